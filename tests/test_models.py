"""The models keep the contract, and their numbers equal the oracle."""

import hashlib
import os
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from contextlib import nullcontext

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import estimator_checks_generator

import contract
import naive
from contract import rating_tables
from reelated.errors import InputError, TooLarge
from reelated.models import BPMF, EASE, MODELS, BiasModel, ItemKNN, Popularity, TopN
from reelated.models.linear_item import LinearItemModel

RECIPE = ItemKNN(
    similarity="cosine", weighting=None, shrinkage=0, min_common=1, n_neighbors=None, positive_only=True,
    dtype="float64",
)  # fmt: skip
SETTINGS = {
    "textbook": RECIPE,
    "default": ItemKNN(),
    "few neighbours": ItemKNN(n_neighbors=3, shrinkage=2.0, damping=1.5, min_common=2, max_memory="1GB"),
    "adjusted cosine": ItemKNN("adjusted-cosine", positive_only=False, n_neighbors=6),
    "pearson": ItemKNN("pearson", positive_only=False, dtype="float64"),
    "positive pearson": ItemKNN("pearson", n_neighbors=4),
    "residual cosine": ItemKNN("residual-cosine", n_neighbors=5, shrinkage=3, prior_weight=0.3),
    "residual Pearson": ItemKNN("residual-pearson", n_neighbors=6, shrinkage=4, min_common=2, positive_only=False),
    "nearest used": ItemKNN("residual-cosine", n_neighbors=9, max_neighbors_used=2, prior_weight=0.1),
    "one used": ItemKNN(max_neighbors_used=1),
    "jaccard": ItemKNN("jaccard", damping=0.5, n_neighbors=4),
    "tf-idf": ItemKNN(weighting="tf-idf", n_neighbors=4),
    "bm25": ItemKNN(weighting="bm25", shrinkage=1, dtype="float64"),
    "ease": EASE(l2=3.0, n_candidates=5, n_neighbors=4),
    "ease of all": EASE(l2=2.0, dropout=0.2, min_weight=0.0, n_candidates=None, n_neighbors=None, dtype="float64"),
    "normalised cosine": ItemKNN(user_normalization=0.5, item_normalization=0.3, n_neighbors=5),
    "normalised ease": EASE(l2=3.0, user_normalization=0.3, item_normalization=0.2, n_candidates=5),
    "popularity": Popularity(),
    "bias": BiasModel(),
    "plain baseline": BiasModel(reg_user=0, reg_item=0, n_iterations=2),
}
EVERY = SETTINGS | {
    "bpmf": BPMF(n_factors=3, n_samples=4, n_warmup=3, n_implicit_factors=2),
    "gaussian without factors": BPMF(n_factors=0, n_samples=2, n_warmup=0, n_implicit_factors=0),
}


def names(promises):
    return [promise.__name__ for promise in promises]


# ---------------------------------------------------------------------------------------------------- the contract
@pytest.mark.parametrize("setting", EVERY)
@pytest.mark.parametrize("promise", contract.EVERY, ids=names(contract.EVERY))
def test_every_model_keeps_the_contract(promise, setting):
    promise(clone(EVERY[setting]), contract.table())


LINKLESS = {
    contract.stars_count: "it counts raters, or takes means",
    contract.an_item_is_not_its_own_neighbour_and_rows_are_sorted: "it has no neighbours",
    contract.nobody_and_nothing_are_answered: "it has an answer for those who rated nothing",
}
"""What does not hold for a model without links between items."""


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("promise", contract.ITEM_ITEM, ids=names(contract.ITEM_ITEM))
def test_every_item_item_model_keeps_the_contract_of_recommend(promise, setting):
    if not isinstance(SETTINGS[setting], (Popularity, BiasModel)) or promise not in LINKLESS:
        promise(clone(SETTINGS[setting]), contract.table())


def test_the_contract_covers_every_model_and_every_promise():
    assert {type(model) for model in EVERY.values()} == set(MODELS.values())
    assert {type(model) for model in SETTINGS.values()} == {
        model for model in MODELS.values() if issubclass(model, LinearItemModel)
    }
    kept = set(contract.EVERY) | set(contract.ITEM_ITEM)
    helpers = {"table", "strangers", "every_pair", "dense", "of_pairs", "shown", "identical", "learned", "same_fit"}
    written = {
        name for name, thing in vars(contract).items() if getattr(thing, "__module__", None) == contract.__name__
    }
    assert written - helpers - {"rating_tables"} == {promise.__name__ for promise in kept}


PREDICTS_A_TABLE = "predict answers users × items, a rating for each pair; scikit-learn expects one number a row"
SKLEARN_EXCEPTIONS = {
    ItemKNN: {"check_estimator_sparse_array": PREDICTS_A_TABLE, "check_estimator_sparse_matrix": PREDICTS_A_TABLE},
    BiasModel: {"check_estimator_sparse_array": PREDICTS_A_TABLE, "check_estimator_sparse_matrix": PREDICTS_A_TABLE},
    BPMF: {"check_estimator_sparse_array": PREDICTS_A_TABLE, "check_estimator_sparse_matrix": PREDICTS_A_TABLE},
}


def sklearn_checks():
    for model in (
        ItemKNN(),
        ItemKNN("residual-cosine", n_neighbors=None),
        EASE(),
        Popularity(),
        BiasModel(),
        BPMF(),
    ):
        with warnings.catch_warnings(action="ignore"):  # the models do not inherit from BaseEstimator
            checks = list(estimator_checks_generator(model))
        for _, check in checks:
            name = getattr(check, "func", check).__name__
            if name != "check_array_api_input":  # for other arrays than numpy's, which no estimator of ours claims
                reason = SKLEARN_EXCEPTIONS.get(type(model), {}).get(name)
                yield pytest.param(model, check, reason, id=f"{type(model).__name__}-{name}")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(("model", "check", "expected_failure"), list(sklearn_checks()))
def test_the_estimator_checks_of_scikit_learn_pass_but_for_the_named_exceptions(model, check, expected_failure):
    # No xfail: pytest would render its traceback, which Python 3.11.0 to 3.11.4 cannot do safely beside other threads.
    with nullcontext() if expected_failure is None else pytest.raises(AssertionError, match="sparse data"):
        check(model)


def minus_rmse(model, X, y=None):
    """Return minus the RMSE of every third rating, predicted from the others of its row."""
    hidden = np.arange(X.nnz) % 3 == 0
    rows, items = (part[hidden] for part in X.nonzero())
    rest = sp.csr_array((X.data[~hidden], tuple(part[~hidden] for part in X.nonzero())), shape=X.shape)
    wrong = model.predict_pairs(rest, rows, items) - X.data[hidden]
    return -np.sqrt(np.nanmean(wrong**2))


def test_a_grid_search_works_with_a_custom_scorer():
    X = contract.table(40, 9)
    search = GridSearchCV(ItemKNN(), {"n_neighbors": [1, 4, None]}, scoring=minus_rmse, cv=3).fit(X)
    scores = search.cv_results_["mean_test_score"]
    assert len(set(scores)) == 3
    assert search.best_score_ == scores.max() < 0
    assert search.best_estimator_.item_weights_.shape == (9, 9)
    assert search.best_params_["n_neighbors"] == [1, 4, None][int(scores.argmax())]


def test_a_clone_has_the_parameters_and_is_unfitted():
    model = ItemKNN("pearson", n_neighbors=7, damping=2.0).fit(contract.table())
    copy = clone(model)
    assert copy.get_params() == model.get_params() != ItemKNN().get_params()
    assert not hasattr(copy, "item_weights_")


THREADS_SCRIPT = """
import hashlib, threading
import numpy as np
import naive
from reelated import _kernels, parallel
from reelated.models import ItemKNN, linear_item, topn
from reelated.similarity import blocked, neighbors

neighbors.SLICE, linear_item.SLICE, topn.SLICE, blocked.SLICE = 4000.0, 2000.0, 2000.0, 100.0
blocked.MAX_BLOCK_ITEMS = 16
slices, threads, cut = [], {"rows": set(), "blocked": set()}, parallel.split_by_cost
rows, blocks = _kernels.similarity_rows, _kernels.add_sparse_products
barriers = {kind: threading.Barrier(2) for kind in threads}

def counted(cost, budget):
    slices.append(len(cut(cost, budget)))
    return cut(cost, budget)

def meet(kind):
    # the first two threads wait for each other: on a busy machine one could finish all slices alone
    if threading.get_ident() not in threads[kind]:
        threads[kind].add(threading.get_ident())
        if parallel.n_threads() > 1 and len(threads[kind]) <= 2:
            barriers[kind].wait(60)

def noted_rows(*arguments):
    meet("rows")
    return rows(*arguments)

def noted_blocks(*arguments):
    meet("blocked")
    return blocks(*arguments)

neighbors.split_by_cost = blocked.split_by_cost = linear_item.split_by_cost = topn.split_by_cost = counted
_kernels.similarity_rows, _kernels.add_sparse_products = noted_rows, noted_blocks
rng, digest = np.random.default_rng(5), hashlib.sha256()
R = np.where(rng.random((1601, 90)) < 0.4, rng.integers(1, 6, (1601, 90)), np.nan)
R[4], R[:, 6] = np.nan, np.nan
X = naive.as_csr(R)
every_pair = [part.ravel() for part in np.indices(X.shape)]
for model in (ItemKNN(n_neighbors=None), ItemKNN("residual-pearson", n_neighbors=9, shrinkage=4)):
    model.fit(X)
    pairs, _ = model.score_pairs(X, *every_pair, by="rating")
    for part in (model.item_weights_.data, model.item_weights_.indices, model.n_common_.data, pairs):
        digest.update(part.tobytes())
    for by in model.numbers:
        for part in model.recommend(X, 7, by=by):
            digest.update(part.tobytes())
print(parallel.n_threads(), min(slices), min(map(len, threads.values())) > 1, digest.hexdigest())
"""


def test_results_are_identical_on_1_2_and_16_threads():
    paths = os.pathsep.join(["tests", *sys.path])
    running = [
        subprocess.Popen(
            [sys.executable, "-c", THREADS_SCRIPT],
            env=os.environ | {"NUMBA_NUM_THREADS": str(n), "PYTHONPATH": paths},
            stdout=subprocess.PIPE, text=True, cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        )
        for n in (1, 2, 16)
    ]  # fmt: skip
    said = [process.communicate()[0].split() for process in running]
    assert [words[0] for words in said] == ["1", "2", "16"]
    assert all(int(words[1]) >= 5 for words in said), "too few slices to prove anything"
    assert [words[2] for words in said] == ["False", "True", "True"]
    assert len({words[3] for words in said}) == 1


# ------------------------------------------------------------------------------------------------ against the oracle
def oracle_settings():
    return st.fixed_dictionaries(
        {
            "similarity": st.sampled_from(
                ["cosine", "adjusted-cosine", "pearson", "jaccard", "residual-cosine", "residual-pearson"]
            ),
            "positive_only": st.booleans(),
            "shrinkage": st.sampled_from([0, 1.5]),
            "n_neighbors": st.sampled_from([1, 2, None]),
            "max_neighbors_used": st.sampled_from([1, 2, None]),
            "dtype": st.sampled_from(["float32", "float64"]),
        }
    )


@given(rating_tables(), rating_tables(), oracle_settings())
def test_scores_and_predictions_equal_the_oracle_on_edge_cases(R, others, setting):
    X = naive.as_csr(R)
    model = ItemKNN(**setting).fit(X)
    S = model.item_weights_.toarray().astype(np.float64)
    strangers = np.full((others.shape[0], R.shape[1]), np.nan)
    width = min(others.shape[1], R.shape[1])
    strangers[:, :width] = others[:, :width]
    offsets = naive.item_offsets(R, setting["similarity"])
    assert model.offset_ == pytest.approx(offsets, abs=1e-9, nan_ok=True)
    for people in (R, strangers):
        Y = naive.as_csr(people)
        relevance = naive.scores(people, S, "score", model.scale_, max_neighbors_used=setting["max_neighbors_used"])
        assert model.score_items(Y) == pytest.approx(relevance, abs=1e-5, nan_ok=True)
        told = {
            "similarity": setting["similarity"],
            "offsets": offsets,
            "max_neighbors_used": setting["max_neighbors_used"],
        }
        wanted = naive.scores(people, S, "rating", model.scale_, **told)
        numbers = model.score_items(Y, by="rating")
        assert numbers == pytest.approx(wanted, abs=1e-5, nan_ok=True)
        assert model.predict(Y) == pytest.approx(naive.shown(wanted, model.scale_), abs=1e-5, nan_ok=True)
        listed = model.recommend(Y, 3, by="rating")
        for u in range(len(people)):
            assert listed.row(u)[0].tolist() == naive.top_n(numbers[u], 3, naive.rated(people[u]))


@given(rating_tables(), st.integers(0, 4), st.sampled_from([0.0, 0.5, 12.0]), st.integers(1, 4))
def test_the_bias_model_equals_the_oracle_on_edge_cases(R, reg_item, reg_user, rounds):
    model = BiasModel(reg_user=reg_user, reg_item=reg_item, n_iterations=rounds).fit(naive.as_csr(R))
    mean, of_item = naive.baseline(R, reg_user, reg_item, rounds)
    assert model.mean_ == pytest.approx(mean, abs=1e-9)
    assert model.item_bias_ == pytest.approx(of_item, abs=1e-9)
    users, items = contract.every_pair(naive.as_csr(R))
    wanted = []
    for u, i in zip(users, items, strict=True):
        beyond = [R[u, j] - mean - of_item[j] for j in naive.rated(R[u])]
        mine = sum(beyond) / (reg_user + len(beyond)) if beyond else 0.0
        wanted.append(min(max(mean + of_item[i] + mine, model.scale_[0]), model.scale_[1]))
    assert model.predict_pairs(naive.as_csr(R), users, items) == pytest.approx(wanted, abs=2e-6)


def test_a_small_table_matches_a_calculation_by_hand():
    R = np.array([[5, 4, np.nan], [4, 5, 1], [1, np.nan, 5], [np.nan, 2, 4]])
    X = naive.as_csr(R)
    model = clone(RECIPE).fit(X)
    s01, s02, s12 = 40 / (42 * 45) ** 0.5, 9 / 42, 13 / (45 * 42) ** 0.5
    assert model.item_weights_.toarray() == pytest.approx(np.array([[0, s01, s02], [s01, 0, s12], [s02, s12, 0]]))
    assert model.score_items(X)[0, 2] == pytest.approx(s02 * (5 - 1) + s12 * (4 - 1))
    assert model.predict_pairs(X, [0], [2]) == pytest.approx([(s02 * 5 + s12 * 4) / (s02 + s12)], abs=1e-6)
    assert model.predict_pairs(X, [2], [1]) == pytest.approx([(s01 * 1 + s12 * 5) / (s01 + s12)], abs=1e-6)
    told = model.explain_pair(X[[0]], 2, by="rating")
    assert told.base == pytest.approx(4.5)
    assert told.contributions == pytest.approx([s02 * 0.5 / (s02 + s12), -s12 * 0.5 / (s02 + s12)])


def test_a_row_without_evidence_has_no_score():
    R = np.array([[5, 4, np.nan, np.nan], [4, np.nan, np.nan, np.nan], [np.nan, np.nan, np.nan, 2]])
    X, nobody = naive.as_csr(R), sp.csr_array((1, 4), dtype=np.float32)
    assert np.isnan(clone(RECIPE).fit(X).predict_pairs(X, [1, 0], [2, 3])).all()
    assert np.isnan(ItemKNN("adjusted-cosine").fit(X).predict(nobody)).all()
    pearson = ItemKNN("pearson").fit(X).predict(nobody)[0]
    assert pearson == pytest.approx([4.5, 4, np.nan, 2], nan_ok=True)
    flat = naive.as_csr(np.array([[1, -1, 1], [-1, 1, np.nan]]))
    assert ItemKNN("pearson").fit(flat).predict(sp.csr_array((1, 3), dtype=np.float32)).tolist() == [[0, 0, 1]]


def test_predictions_of_the_largest_floats_are_finite():
    R = np.array([[3e12, 1e13, 2e13], [1e13, 2e13, np.nan]])
    model = clone(RECIPE).fit(naive.as_csr(R))
    assert model.predict(naive.as_csr(R)) == pytest.approx(naive.weighted_averages(R, model.item_weights_.toarray()))


def test_a_rating_is_not_used_to_predict_itself():
    X = contract.table()
    model = clone(RECIPE).fit(X)
    u, i = 0, int(X.indices[0])
    without = X.copy()
    without.data[0] = 5.0 if X.data[0] < 5 else 1.0
    assert contract.identical(model.predict_pairs(X, [u], [i]), model.predict_pairs(without, [u], [i]))


def test_negative_weights_lower_the_score_and_higher_ratings_lower_it_further():
    model = ItemKNN("pearson", positive_only=False, n_neighbors=None).fit(contract.table())
    i, j = (int(part[0]) for part in np.nonzero(model.item_weights_.toarray() < 0))
    row = np.full((2, 14), np.nan)
    row[:, j] = 2, 5
    scores, _ = model.score_users(naive.as_csr(row), i)
    assert scores[1] < scores[0] < 0


def test_the_plan_bounds_the_result_and_a_fit_above_max_memory_is_refused():
    X = contract.table(60, 40)
    for setting in (SETTINGS["default"], SETTINGS["textbook"], SETTINGS["few neighbours"]):
        model = clone(setting)
        planned = model.plan(X)
        model.fit(X)
        kept = sum(part.nbytes for name in ("item_weights_", "n_common_") for part in contract.learned(model)[name])
        assert kept <= planned
        assert clone(setting).set_params(max_memory=planned).fit(X).item_weights_.nnz == model.item_weights_.nnz
        with pytest.raises(TooLarge, match=r"max_memory='1\.0 KB': the similarity of 40 items may need .* KB.*n_neigh"):
            clone(setting).set_params(max_memory="1KB").fit(X)
    assert ItemKNN(n_neighbors=5).plan(X) < ItemKNN(n_neighbors=20).plan(X)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_fit_takes_no_more_memory_than_its_plan(setting):
    X, model = contract.table(4000, 60), clone(SETTINGS[setting])
    model.fit(X)  # compiles, so that the compiler's memory is not counted
    planned = model.plan(X)
    tracemalloc.start()
    model.fit(X)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert planned / 4 < taken <= planned


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"similarity": "cosin"}, "similarity='cosin': expected one of .* Did you mean 'cosine'"),
        ({"n_neighbors": 0}, "n_neighbors=0: expected an integer of 1 or more, or None."),
        ({"n_neighbors": 2.0}, "n_neighbors=2.0"),
        ({"weighting": "tfidf"}, "weighting='tfidf'.*Did you mean 'tf-idf'"),
        ({"weighting": "bm25", "similarity": "jaccard"}, "weighting='bm25': with similarity='jaccard'"),
        ({"shrinkage": -1}, "shrinkage=-1: expected a finite number of 0 or more."),
        ({"damping": float("nan")}, "damping=nan"),
        ({"min_common": 0}, "min_common=0"),
        ({"positive_only": "yes"}, "positive_only='yes': expected True or False."),
        ({"dtype": "float16"}, "dtype='float16'"),
        ({"max_memory": "lots"}, "max_memory='lots': expected a size such as '2GB'"),
    ],
)
def test_fit_rejects_an_invalid_parameter_of_item_knn_by_name(wrong, words):
    model = ItemKNN(**wrong)
    with pytest.raises(InputError, match=words):
        model.fit(contract.table())


@pytest.mark.parametrize("wrong", [{"reg_user": -1}, {"reg_item": "1"}, {"n_iterations": 0}])
def test_fit_rejects_an_invalid_parameter_of_the_bias_model_by_name(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name}="):
        BiasModel(**wrong).fit(contract.table())


@pytest.mark.parametrize("weighting", ["tf-idf", "bm25"])
def test_weightings_reject_negative_ratings(weighting):
    with pytest.raises(InputError, match=f"weighting='{weighting}': expected no rating below 0, got -2"):
        ItemKNN(weighting=weighting).fit(np.array([[3, -2, 1], [1, 1, 1]]))


def test_a_stored_zero_is_a_rating_and_a_dense_zero_is_missing():
    R = np.array([[0, 4, np.nan], [3, 0, np.nan], [0, 0, np.nan], [np.nan, 2, 2]])
    stored, full = ItemKNN().fit(naive.as_csr(R)), ItemKNN().fit(np.nan_to_num(R))
    assert stored.scale_ == (0, 4)
    assert full.scale_ == (2, 4)
    assert ItemKNN("jaccard").fit(naive.as_csr(R)).item_weights_[[0], [1]] == pytest.approx([3 / 4])
    assert ItemKNN("jaccard").fit(np.nan_to_num(R)).item_weights_.nnz == 2


def test_the_rows_of_a_top_n_are_slices_of_its_arrays():
    top = TopN(np.array([0, 2, 2, 3]), np.array([4, 1, 0], np.int32), np.array([0.5, 0.25, 1.0]))
    assert [top.row(u)[0].tolist() for u in range(3)] == [[4, 1], [], [0]]
    assert top.row(2)[1].tolist() == [1.0]


# -------------------------------------------------------------------------------------------- the recipe on real data
@pytest.fixture(scope="module")
def movielens_100k(shared_data):
    """The ratings of MovieLens 100K, users × items, NaN for missing ratings; read without reelated."""
    with zipfile.ZipFile(shared_data / "ml-100k.zip") as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("u.data")]
        table = pl.read_csv(archive.read(name), separator="\t", has_header=False)
    users, items, ratings = (table[column].to_numpy() for column in table.columns[:3])
    R = np.full((users.max(), items.max()), np.nan)
    R[users - 1, items - 1] = ratings
    assert R.shape == (943, 1682)
    assert np.sum(~np.isnan(R)) == 100_000
    return R


@pytest.fixture(scope="module")
def recipe_100k(movielens_100k):
    return clone(RECIPE).fit(naive.as_csr(movielens_100k))


def test_textbook_similarities_equal_scikit_learn_on_movielens_100k(movielens_100k, recipe_100k):
    wanted = 1 - pairwise_distances(np.nan_to_num(movielens_100k).T, metric="cosine")
    np.fill_diagonal(wanted, 0)
    assert np.abs(recipe_100k.item_weights_.toarray() - wanted).max() < 1e-6
    assert recipe_100k.item_weights_.dtype == np.float64


@pytest.mark.parametrize("name", ["cosine", "jaccard", *naive.HAS_OFFSETS])
def test_neighbours_of_some_items_equal_plain_loops_on_movielens_100k(movielens_100k, name):
    R = movielens_100k
    model = ItemKNN(name, n_neighbors=50, positive_only=False, shrinkage=5).fit(naive.as_csr(R))
    V, common = naive.residuals(R, name) if name in naive.HAS_OFFSETS else R, ~np.isnan(R)
    measure = {"jaccard": naive.jaccard, "residual-pearson": naive.correlation}.get(name, naive.cosine)
    for i in (49, 1000):  # Star Wars, and an item that few have rated
        both = (common[:, [i]] & common).sum(axis=0)
        wanted = np.array([measure(V[:, i], V[:, j]) * c / (c + 5) if c and j != i else 0 for j, c in enumerate(both)])
        found = model.item_weights_[[i]].toarray()[0]
        kept = found != 0
        assert kept.sum() == 50
        assert found[kept] == pytest.approx(wanted[kept], abs=2e-5)
        assert np.abs(wanted[~kept]).max() <= np.abs(wanted[kept]).min() + 2e-5
        assert model.n_common_[[i]].toarray()[0].tolist() == np.where(kept, both, 0).tolist()


def test_textbook_predictions_of_all_pairs_equal_the_oracle_on_movielens_100k(movielens_100k, recipe_100k):
    R = movielens_100k
    wanted_similarity = 1 - pairwise_distances(np.nan_to_num(R).T, metric="cosine")
    np.fill_diagonal(wanted_similarity, 0)
    wanted_similarity[wanted_similarity < 1e-12] = 0
    wanted = naive.weighted_averages(R, wanted_similarity)
    rows, items = (part.ravel() for part in np.indices(R.shape))
    predicted = recipe_100k.predict_pairs(naive.as_csr(R), rows, items).reshape(R.shape)
    assert (np.isnan(predicted) == np.isnan(wanted)).all()
    assert np.nanmax(np.abs(predicted - wanted)) < 1e-5
    assert np.isfinite(predicted).mean() > 0.99
    assert contract.identical(predicted, recipe_100k.predict(naive.as_csr(R)))


def test_textbook_predictions_of_some_pairs_equal_plain_loops_on_movielens_100k(movielens_100k, recipe_100k):
    R, picked = movielens_100k, np.random.default_rng(7)
    X = naive.as_csr(R)
    for u, i in zip(picked.integers(0, 943, 60), picked.integers(0, 1682, 60), strict=True):
        top = weight = 0.0
        for j in naive.rated(R[u]):
            if j != i:
                s = naive.cosine(R[:, i], R[:, j])
                top, weight = top + s * R[u, j], weight + s
        wanted = top / weight if weight > 0 else np.nan
        assert recipe_100k.predict_pairs(X, [u], [i]) == pytest.approx([wanted], abs=1e-5, nan_ok=True)


def test_textbook_lists_are_sorted_by_prediction_with_ties_by_id_on_movielens_100k(movielens_100k, recipe_100k):
    X = naive.as_csr(movielens_100k)
    found, predicted = recipe_100k.recommend(X, 10, by="rating"), recipe_100k.predict(X)
    assert np.diff(found.indptr).tolist() == [10] * 943
    ties = 0
    for u in range(0, 943, 10):
        items, scores = found.row(u)
        assert items.tolist() == naive.top_n(predicted[u], 10, naive.rated(movielens_100k[u]))
        ties += len(set(scores)) < 10
    assert ties > 10  # so that the order of ties is tested at all
    assert (
        hashlib.sha256(found.items.tobytes()).hexdigest()
        == hashlib.sha256(recipe_100k.recommend(X.tocsc(), 10, by="rating").items.tobytes()).hexdigest()
    )


@pytest.mark.parametrize(
    ("indices", "indptr"),
    [([0, -1, 2], [0, 2, 3]), ([0, 3, 2], [0, 2, 3]), ([0, 2**31 - 1, 2], [0, 2, 3]), ([0, 1, 2], [0, 4, 3])],
)
@pytest.mark.parametrize("ready", [False, True])
def test_entries_outside_the_matrix_are_rejected_before_a_kernel_runs(indices, indptr, ready):
    X = sp.csr_array(
        (np.ones(3, np.float32), np.array([0, 1, 2], np.int32), np.array([0, 2, 3], np.int32)), shape=(2, 3)
    )
    model = ItemKNN().fit(X)
    X.indices[:], X.indptr[:] = indices, indptr
    if ready:
        X.has_sorted_indices = X.has_canonical_format = True
    for ask in (model.fit, model.recommend, model.score_items):
        with pytest.raises(
            InputError, match=r"X of shape \(2, 3\) has entries outside its shape: expected column indices"
        ):
            ask(X)


def test_weights_of_ratings_are_refused_for_predicted_ratings():
    X = sp.csr_array(contract.table(12, 9))
    model, weights = ItemKNN().fit(X), np.ones(X.nnz, np.float32)
    assert (model.recommend(X, weights=weights).items == model.recommend(X).items).all()
    with pytest.raises(InputError, match="weights are for the score"):
        model.recommend(X, by="rating", weights=weights)
