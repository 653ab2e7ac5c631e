"""`EASE` and `Popularity`: weights against the oracle, limits, and memory."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.base import clone

import contract
import naive
from contract import rating_tables
from reelated.errors import InputError, TooLarge
from reelated.models import EASE, ItemKNN, Popularity, ease
from reelated.similarity import ridge

SETTINGS = st.fixed_dictionaries(
    {
        "l2": st.sampled_from([0.5, 20.0]),
        "dropout": st.sampled_from([0.0, 0.6]),
        "min_weight": st.sampled_from([0.0, 0.25, 1.0]),
        "n_candidates": st.sampled_from([1, 2, 4, None]),
        "n_neighbors": st.sampled_from([1, 2, None]),
    }
)


@given(rating_tables(), SETTINGS)
def test_weights_equal_the_oracle_on_edge_cases(R, setting):
    X = naive.as_csr(R)
    model = EASE(**setting, dtype="float64").fit(X)
    # which of two nearly equal candidates comes first is up to rounding
    assume(not naive.hardly_apart(naive.ease_values(R, model), setting["n_candidates"]))
    wanted = naive.ease_weights(R, model)
    kept = model.item_weights_.toarray()
    if setting["n_neighbors"] is None:
        assert kept == pytest.approx(wanted, abs=1e-6)
    else:
        lengths = np.minimum((np.abs(wanted) > 1e-7).sum(axis=1), setting["n_neighbors"])
        assert ((kept != 0).sum(axis=1) >= lengths).all()
        assert kept[kept != 0] == pytest.approx(wanted[kept != 0], abs=1e-6)
        strongest = np.sort(np.abs(wanted))[:, ::-1][:, : setting["n_neighbors"]]
        assert np.sort(np.abs(kept))[:, ::-1][:, : setting["n_neighbors"]] == pytest.approx(strongest, abs=1e-6)
        whole = (wanted**2).sum(axis=1)
        share = np.divide((kept**2).sum(axis=1), whole, out=np.ones(len(whole)), where=whole > 1e-12)
        assert model.truncation_error_[whole > 1e-12] == pytest.approx(1 - share[whole > 1e-12], abs=1e-5)


@given(rating_tables(), rating_tables(), st.sampled_from([0.0, 0.25, 1.0]))
def test_the_score_is_the_sum_of_rating_weights_times_item_weights(R, others, min_weight):
    model = EASE(l2=1, min_weight=min_weight, n_candidates=None).fit(naive.as_csr(R))
    people = np.full((others.shape[0], R.shape[1]), np.nan)
    width = min(others.shape[1], R.shape[1])
    people[:, :width] = np.clip(others[:, :width], *model.scale_)
    S, rated = model.item_weights_.toarray(), (~np.isnan(people)).astype(float)
    wanted = np.where(rated @ (S != 0).T > 0, naive.worth(people, model.scale_, min_weight) @ S.T, np.nan)
    assert model.score_items(naive.as_csr(people)) == pytest.approx(wanted, abs=1e-5, nan_ok=True)


def test_float32_equals_float64_up_to_rounding_in_closed_form_and_with_candidates():
    X = contract.table(400, 60)
    for near in (None, 20):
        single, double = (EASE(l2=5, n_candidates=near, dtype=dtype).fit(X) for dtype in ("float32", "float64"))
        assert single.item_weights_.dtype == np.float32
        assert single.item_weights_.toarray() == pytest.approx(double.item_weights_.toarray(), abs=1e-5)


@given(rating_tables(), st.sampled_from([0.5, 20.0]), st.sampled_from([1, 2, 4]), st.booleans())
def test_a_sparse_gram_matrix_without_dropped_entries_and_the_ratings_give_the_same_weights(R, l2, near, sparse):
    X, model = naive.as_csr(R), EASE(l2=l2, n_candidates=near, dtype="float64")
    wanted = clone(model).fit(X).item_weights_.toarray()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ridge, "MAX_GRAM_BYTES", 0)
        patch.setattr(ridge, "MAX_RATINGS", 0 if sparse else 30_000)
        assert model.fit(X).item_weights_.toarray() == pytest.approx(wanted, abs=1e-6)


@given(rating_tables(), st.sampled_from([2, 4]), st.integers(0, 2))
def test_products_of_rare_items_from_their_ratings_give_the_same_weights(R, near, n_common):
    X, model = naive.as_csr(R), EASE(l2=0.5, n_candidates=near)
    wanted = clone(model).fit(X).item_weights_
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ridge, "MAX_RARE", X.shape[0])
        patch.setattr(ridge, "MIN_COMMON", n_common)
        weights = model.fit(X).item_weights_
    assert contract.identical(weights.indices, wanted.indices)
    assert weights.data == pytest.approx(wanted.data, abs=1e-5)


def test_a_sparse_gram_matrix_keeps_the_largest_entries(monkeypatch):
    X = contract.table(600, 80)
    whole = EASE(l2=20, n_candidates=15).fit(X)
    monkeypatch.setattr(ridge, "MAX_GRAM_BYTES", 0)
    monkeypatch.setattr(ridge, "MAX_RATINGS", 0)
    monkeypatch.setattr(ridge, "SPARSE_GRAM_ENTRIES", 40)
    part = EASE(l2=20, n_candidates=15).fit(X)
    assert contract.identical(part.item_weights_.indices, whole.item_weights_.indices)
    far = np.abs(part.item_weights_.data - whole.item_weights_.data)
    assert 0 < far.max() < 0.5 * np.abs(whole.item_weights_.data).max()
    assert part.plan(X) < whole.plan(sp.csr_array((600, 80), dtype=np.float32)) + 10 * X.nnz + 1e6


def test_an_indefinite_system_is_regularised_until_it_has_a_solution(monkeypatch):
    V = np.ones((50, 12), np.float32)  # all alike: without some of the entries this is no Gram matrix any more
    monkeypatch.setattr(ridge, "MAX_GRAM_BYTES", 0)
    monkeypatch.setattr(ridge, "MAX_RATINGS", 0)
    monkeypatch.setattr(ridge, "SPARSE_GRAM_ENTRIES", 3)
    model = EASE(l2=1e-3, dropout=0.0, n_candidates=8).fit(naive.as_csr(V))
    assert np.isfinite(model.item_weights_.data).all()
    assert model.item_weights_.nnz > 0


def test_the_block_size_of_the_inverse_changes_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    A = rng.normal(size=(53, 41))
    matrix = A.T @ A + np.eye(41)
    wanted = np.linalg.inv(matrix)
    for block in (1, 7, 41, 500):
        monkeypatch.setattr(ridge, "BLOCK", block)
        swept, seen = np.tril(matrix), []
        ridge.invert(swept, seen.append)
        assert swept == pytest.approx(wanted, abs=1e-12)
        assert seen[-1] == 1.0


@pytest.mark.parametrize(("n_candidates", "max_gram_bytes"), [(30, ridge.MAX_GRAM_BYTES), (30, 0), (None, 0)])
def test_the_number_of_threads_does_not_change_the_weights(n_candidates, max_gram_bytes, monkeypatch):
    X = contract.table(300, 90)
    settings = {"MAX_GRAM_BYTES": max_gram_bytes, "SLICE": 1e5, "BLOCK": 16, "MIN_COMMON": 40, "MAX_RARE": 300}
    for name, value in settings.items():
        monkeypatch.setattr(ridge, name, value)
    fits = []
    for threads in (1, 2, 16):
        monkeypatch.setattr("reelated.parallel.n_threads", lambda threads=threads: threads)
        fits.append(EASE(l2=5, n_candidates=n_candidates, n_neighbors=20).fit(X))
    assert contract.same_fit(fits[0], fits[1])
    assert contract.same_fit(fits[0], fits[2])


def test_weights_scale_the_rating_weights_and_not_the_predicted_rating():
    X = contract.table()
    for model in (EASE(l2=2).fit(X), ItemKNN().fit(X)):
        alike = model.score_items(X)
        twice = np.full(X.nnz, 2.0)
        assert model.score_items(X, weights=twice) == pytest.approx(2 * alike, nan_ok=True, rel=1e-6)
        some = np.linspace(0.1, 1, X.nnz)
        numbers = model.score_items(X, weights=some)
        listed = model.recommend(X, 5, weights=some)
        for u in range(X.shape[0]):
            assert listed.row(u)[0].tolist() == naive.top_n(numbers[u], 5, X.indices[X.indptr[u] : X.indptr[u + 1]])
        for i in range(X.shape[1]):
            assert contract.identical(model.score_users(X, i, weights=some)[0], np.ascontiguousarray(numbers[:, i]))
        told = model.explain_pair(X[[0]], int(listed.row(0)[0][0]), weights=some[: X.indptr[1]])
        assert told.contributions.sum() == pytest.approx(listed.row(0)[1][0], abs=1e-5)


@pytest.mark.parametrize("weights", [[1.0], "all", np.nan, -1.0])
def test_weights_must_have_one_number_per_rating(weights):
    X = contract.table()
    wrong = np.full(X.nnz, weights) if isinstance(weights, float) else weights
    with pytest.raises(ValueError, match=r"weights|could not convert"):
        EASE(l2=2).fit(X).score_items(X, weights=wrong)


def test_a_lower_rating_has_a_lower_weight_and_the_lowest_a_positive_one():
    R = np.array([[5.0, 5, np.nan], [4, 4, 1], [5, 4, 1], [np.nan, 1, 5]])
    model = EASE(l2=0.5).fit(naive.as_csr(R), scale=(1, 5))
    stars = np.full((3, 3), np.nan)
    stars[:, 0] = 1, 3, 5
    scores = model.score_items(naive.as_csr(stars))[:, 1]
    assert 0 < scores[0] < scores[1] < scores[2]
    assert scores[0] == pytest.approx(scores[2] * 0.25, rel=1e-5)


def test_the_plan_bounds_the_memory_and_a_fit_above_max_memory_is_refused():
    import tracemalloc

    X = contract.table(3000, 700)
    for setting in (EASE(n_candidates=None), EASE(n_candidates=50), EASE(n_candidates=None, n_neighbors=None)):
        setting.fit(X[:, :60])
        planned = setting.plan(X)
        tracemalloc.start()
        model = clone(setting).fit(X)
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert planned / 4 < taken <= planned
        assert clone(setting).set_params(max_memory=planned).fit(X).item_weights_.nnz == model.item_weights_.nnz
        with pytest.raises(TooLarge, match=r"max_memory='1MB': weights between 700 items may need .* MB\. Raise"):
            clone(setting).set_params(max_memory="1MB").fit(X)


def test_the_plan_of_27000_items_in_closed_form_is_below_6_gigabytes():
    X = sp.random_array((1000, 27_000), density=0.01, dtype=np.float32, format="csr", rng=1)
    assert EASE(n_candidates=None).plan(X) < 6e9
    assert EASE(n_candidates=None, dtype="float64", n_neighbors=100).plan(X) < 7e9
    with pytest.raises(TooLarge, match=r"27,000 items may need .* GB"):
        EASE(n_candidates=None, max_memory="2GB").fit(X)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"l2": 0}, "l2=0: expected"),
        ({"dropout": 1}, "dropout=1: expected"),
        ({"min_weight": -0.5}, "min_weight=-0.5"),
        ({"min_weight": 1.5}, "min_weight=1.5"),
        ({"n_candidates": 0}, "n_candidates=0"),
        ({"n_neighbors": 1.5}, "n_neighbors=1.5"),
        ({"dtype": "half"}, "dtype='half'"),
        ({"max_memory": "some"}, "max_memory='some'"),
    ],
)
def test_invalid_parameters_are_rejected_by_name(wrong, words):
    with pytest.raises(InputError, match=words):
        EASE(**wrong).fit(contract.table())


def test_equal_ratings_count_as_likes():
    likes = naive.as_csr(np.array([[1.0, 1, np.nan], [1, np.nan, 1], [np.nan, 1, 1], [1, 1, np.nan]]))
    model = EASE(l2=1).fit(likes)
    assert model.rating_weight(likes.data).tolist() == [1.0] * likes.nnz
    assert np.isfinite(model.score_items(likes)).all()


def test_an_interrupted_fit_leaves_the_model_unfitted(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    model = EASE(l2=1)
    monkeypatch.setattr(ease, "fit_ridge", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.fit(contract.table())
    assert not hasattr(model, "item_weights_")


@pytest.mark.parametrize("near", [None, 3, 6])
def test_item_attributes_act_as_users_and_are_not_counted_as_raters(near):
    R = np.array([[5.0, 4, np.nan, np.nan, 1, np.nan], [4, np.nan, 5, np.nan, 2, np.nan], [np.nan, 2, 1, 5, 5, np.nan]])
    items = np.array([[1.0, 0], [1, 0.5], [0, 1], [0, 1], [0, 0], [1, 0]])  # nobody has rated the last
    X, model = naive.as_csr(R), EASE(l2=0.5, n_candidates=near, dtype="float64")
    for form in (items, items.tolist(), sp.csr_array(items)):
        wanted = naive.ease_weights(R, model.fit(X, scale=(1, 5), items=form), items.T)
        assert model.item_weights_.toarray() == pytest.approx(wanted, abs=1e-6)
    rated = (~np.isnan(R)).astype(int)
    assert (model.n_common_.toarray() == (rated.T @ rated) * (model.item_weights_.toarray() != 0)).all()
    assert (wanted[5] != 0).any()
    score = model.score_items(X[:1])[0, 5]
    assert score == pytest.approx(naive.worth(R, (1, 5), model.min_weight)[0] @ wanted[5])


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (np.full((14, 1), 1.5), "items from 1.5 to 1.5: expected numbers from 0 to 1."),
        (np.full((14, 2), -0.5), "items from -0.5 to -0.5: expected numbers from 0 to 1."),
        (np.ones((13, 2)), "items of shape (13, 2): expected a row for each of 14 items."),
    ],
)
def test_item_attributes_must_be_between_0_and_1(items, words):
    with pytest.raises(InputError) as caught:
        EASE().fit(contract.table(), items=items)
    assert str(caught.value) == words


def test_popularity_is_the_number_of_raters_for_every_user():
    X = contract.table()
    model, counts = Popularity().fit(X), np.bincount(X.indices, minlength=X.shape[1])
    nobody = sp.csr_array((1, X.shape[1]), dtype=np.float32)
    for people in (X, nobody):
        assert (model.score_items(people) == counts).all()
    assert model.recommend(nobody, 4).items.tolist() == np.lexsort((np.arange(len(counts)), -counts))[:4].tolist()
    told = model.explain_pair(X[[0]], 3)
    assert (told.base, len(told.contributions)) == (counts[3], 0)
