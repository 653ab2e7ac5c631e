"""BPMF: samples against the posterior in closed form, predictions against the textbook formula."""

import os
import subprocess
import sys
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

import contract
import damage
import naive
import reelated
from contract import identical, rating_tables
from reelated import _kernels as kernels
from reelated.errors import InputError, TooLarge
from reelated.models import BPMF, BiasModel
from reelated.models.gibbs import RegressionPrior, implicit_features, item_side_info, standardize

SMALL = BPMF(n_factors=3, n_samples=4, n_warmup=3, n_implicit_factors=2)
LEARNED = {
    "units": "rating_moments_", "items": "item_factors_", "level": "user_mean_", "growth": "activity_slope_",
    "lean": "implicit_slope_", "taste": "implicit_factors_", "precision": "precision_", "alpha": "alpha_",
    "counts": "counts_",
}  # fmt: skip
"""The oracle's names, and the model's."""


def learned(model):
    return {name: getattr(model, attribute) for name, attribute in LEARNED.items()}


def measured(model, X):
    """Return standardised rows, NaN for missing ratings."""
    return (naive.as_dense(X) - model.rating_mean_) / model.rating_std_


def scores_of(model, X):
    """Return the unclipped predicted ratings of all rows and items, as lists are sorted by them."""
    numbers, (rows, items) = np.empty(X.shape), contract.every_pair(X)
    numbers[rows, items] = model.score_pairs(X, rows, items)[0]
    return numbers


def world(n_users=400, n_items=60, n_ratings=9000, seed=0):
    """Simulate ratings from a BPMF on an unbounded scale, and hold out a fifth of them."""
    rng = np.random.default_rng(seed)
    people, items = rng.standard_normal((n_users, 3)), rng.standard_normal((n_items, 3))
    places = rng.choice(n_users * n_items, n_ratings, replace=False)
    rows, columns = places // n_items, places % n_items
    ratings = 50 + 5 * rng.standard_normal(n_items)[columns] + 4 * (people[rows] * items[columns]).sum(axis=1)
    ratings += 5 * rng.standard_normal(n_ratings)
    aside = np.arange(n_ratings) % 5 == 0
    X = sp.csr_array((ratings[~aside], (rows[~aside], columns[~aside])), shape=(n_users, n_items), dtype=np.float32)
    return X, rows[aside], columns[aside], ratings[aside]


# ----------------------------------------------------------------------------------------------------------- answers
@given(rating_tables(), st.integers(0, 3), st.integers(0, 2))
def test_predictions_equal_the_textbook_formula(R, n_factors, n_implicit_factors):
    X = naive.as_csr(R)
    model = BPMF(n_factors=n_factors, n_samples=2, n_warmup=1, n_implicit_factors=n_implicit_factors).fit(X)
    rows, items = contract.every_pair(X)
    table, found = measured(model, X), model.predict_pairs(X, rows, items)
    lows, highs = model.predict_intervals(X, rows, items, level=0.5)
    tiny = 1e-5 * max(model.rating_std_, 1.0)
    for u, i, rating, low, high in zip(rows, items, found, lows, highs, strict=True):
        mean, variance, _ = naive.conditional(table[u], i, learned(model))
        mean, reach = (
            model.rating_mean_ + model.rating_std_ * mean,
            0.6744897501960817 * model.rating_std_ * variance**0.5,
        )
        assert rating == pytest.approx(np.clip(mean, *model.scale_), rel=1e-5, abs=tiny)
        assert low == pytest.approx(np.clip(mean - reach, *model.scale_), rel=1e-5, abs=tiny)
        assert high == pytest.approx(np.clip(mean + reach, *model.scale_), rel=1e-5, abs=tiny)


@pytest.mark.parametrize("n_samples", [7, 8, 13, 16])
def test_predictions_equal_the_textbook_formula_for_any_number_of_samples(n_samples):
    X = world(n_users=40, n_items=30, n_ratings=600)[0]
    model = BPMF(n_factors=3, n_samples=n_samples, n_warmup=1, n_implicit_factors=2).fit(X, scale=(0, 100))
    table, drawn, everyone = measured(model, X), learned(model), np.arange(X.shape[0])
    assert set(np.diff(X.indptr) % 4) == {0, 1, 2, 3}  # ratings are added four at a time
    for i in (0, 11):
        told = [naive.conditional(row, i, drawn)[0] for row in table]
        found = model.predict_pairs(X, everyone, np.full(len(everyone), i))
        assert found == pytest.approx(model.rating_mean_ + model.rating_std_ * np.array(told), rel=1e-6)


def test_the_covariance_is_the_mean_over_the_samples():
    X = world(n_users=40, n_items=12, n_ratings=300)[0]
    model, items = clone(SMALL).fit(X), [7, 2, 9]
    found, noise = model.covariance(items)
    for a, i in enumerate(items):
        for b, j in enumerate(items):
            parts = []
            for draw in range(4):
                q_i, q_j = ([1.0, *model.item_factors_[item, 1:, draw].tolist()] for item in (i, j))
                parts.append(np.array(q_i) @ np.linalg.inv(model.precision_[:, :, draw]) @ np.array(q_j))
            assert found[a, b] == pytest.approx(np.mean(parts), rel=1e-6)
    assert noise == pytest.approx(np.mean([1 / alpha for alpha in model.alpha_]))


def test_predict_and_predict_pairs_give_the_same_bits():
    model, X = clone(SMALL).fit(contract.table()), sp.vstack([contract.table(), contract.strangers(contract.table())])
    rows, items = contract.every_pair(X)
    numbers = scores_of(model, X)
    assert identical(model.predict_pairs(X, rows, items), model.predict(X)[rows, items])
    for i in range(X.shape[1]):
        scores, n_neighbors_used = model.score_users(X, i)
        assert identical(scores, np.ascontiguousarray(numbers[:, i]))
        others = ~np.isnan(naive.as_dense(X)) & (np.arange(X.shape[1]) != i)
        assert n_neighbors_used.tolist() == others.sum(axis=1).tolist()


def test_a_prediction_does_not_use_the_rating_itself():
    X = contract.table()
    model, R = clone(SMALL).fit(X), naive.as_dense(X)
    for u, i in np.argwhere(~np.isnan(R))[::7]:
        without = np.where(np.arange(len(R[u])) == i, np.nan, R[u])[None]
        assert model.predict_pairs(X, [u], [i]) == pytest.approx(
            model.predict_pairs(naive.as_csr(without), [0], [i]), abs=2e-6
        )


def test_every_pair_has_a_predicted_rating():
    X = contract.table()
    model = clone(SMALL).fit(X)
    silent = sp.csr_array((2, X.shape[1]), dtype=np.float32)
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.predict(silent)).all()
    assert model.score_pairs(silent, [0, 1], [3, 6])[1].tolist() == [0, 0]
    assert model.predict(X[:0]).shape == (0, X.shape[1])


def test_lists_are_sorted_by_rating_without_seen_or_masked_items():
    X = contract.table()
    model, R, allowed = clone(SMALL).fit(X), naive.as_dense(X), np.arange(X.shape[1]) % 3 != 0
    numbers = scores_of(model, X)
    for n in (0, 1, 4, 100):
        for keep_seen in (False, True):
            found = model.recommend(X, n, item_mask=allowed, exclude_seen=not keep_seen)
            for u in range(X.shape[0]):
                absent = set(np.flatnonzero(~allowed)) | set(() if keep_seen else naive.rated(R[u]))
                items, scores = found.row(u)
                assert items.tolist() == naive.top_n(numbers[u], n, absent)
                assert identical(scores, numbers[u][items])
                alone = model.recommend(X[[u]], n, item_mask=allowed, exclude_seen=not keep_seen)
                assert identical(alone.items, items)
                assert identical(alone.scores, scores)


def test_lists_are_sorted_by_unclipped_ratings_and_show_clipped_ones():
    X = contract.table()
    model, R, told_apart = clone(SMALL).fit(X, scale=(2.5, 3.5)), naive.as_dense(X), 0
    numbers = scores_of(model, X)
    assert identical(model.predict(X), numbers.clip(2.5, 3.5))
    for u in range(X.shape[0]):
        items, scores = model.recommend(X[[u]], 99).row(0)
        assert items.tolist() == naive.top_n(numbers[u], 99, naive.rated(R[u]))
        assert identical(scores, numbers[u][items])
        told_apart += sum(a > b >= 3.5 for a, b in pairwise(scores))
    assert told_apart, "nothing was clipped"
    for i in range(X.shape[1]):
        raters = np.flatnonzero(~np.isnan(R[:, i]))
        assert model.audience(X, i, 99).tolist() == naive.top_n(numbers[:, i], 99, raters)


def test_an_audience_has_the_best_users_who_have_not_rated_the_item():
    X = contract.table()
    model, R = clone(SMALL).fit(X), naive.as_dense(X)
    for i in range(X.shape[1]):
        raters = np.flatnonzero(~np.isnan(R[:, i]))
        assert model.audience(X, i, 5).tolist() == naive.top_n(scores_of(model, X)[:, i], 5, raters)


def test_explanations_add_up_and_their_weights_equal_the_formula():
    X = contract.table()
    model, R, clipped = clone(SMALL).fit(X, scale=(2.5, 3.5)), naive.as_dense(X), 0
    for u, i in np.ndindex(*X.shape):
        told, table = model.explain_pair(X[[u]], i), measured(model, X)
        others = [j for j in naive.rated(R[u]) if j != i]
        assert told.items.tolist() == others
        assert told.ratings.tolist() == R[u, others].tolist()
        assert identical(told.score, model.predict_pairs(X, [u], [i])[0])
        parts = told.base + told.contributions.sum()
        assert parts + told.clip == pytest.approx(told.score, abs=1e-9)
        assert told.score == pytest.approx(np.clip(parts, *model.scale_), abs=1e-5)
        assert told.similarities == pytest.approx(naive.conditional(table[u], i, learned(model))[2], abs=1e-5)
        clipped += abs(told.clip) > 1e-5
    assert clipped
    with pytest.raises(InputError, match="X of 2 rows: expected a single row"):
        model.explain_pair(X[:2], 0)


def test_one_star_less_lowers_the_prediction_by_the_weight():
    X = contract.table()
    model, moved = clone(SMALL).fit(X, scale=(-1000, 1000)), 0
    for u in (0, 5, 11):
        lowered = X[[u]].copy()
        lowered.data[1] -= 1
        for i in range(X.shape[1]):
            told = model.explain_pair(X[[u]], i)
            weight = told.similarities[told.items == X[[u]].indices[1]]
            if len(weight):
                after = model.predict_pairs(lowered, [0], [i])[0]
                assert told.score - after == pytest.approx(weight[0], abs=3e-6)
                moved += 1
    assert moved > 20


# ------------------------------------------------------------------------------------------------------------ draws
def test_a_row_is_sampled_from_its_posterior():
    rng = np.random.default_rng(1)
    X, others = naive.as_csr(contract.table().toarray()[:6] + 0.5), rng.standard_normal((14, 4))
    half = rng.standard_normal((4, 4))
    prior = kernels.GaussianPrior(rng.standard_normal((6, 4)), half @ half.T + np.eye(4), 1.7)
    rows = kernels.CSR(X.indptr, X.indices, X.data.astype(float))

    def drawn(noise):
        out = np.zeros((6, 4))
        kernels.sample_rows(0, 6, rows, padded(others), prior, noise, out)
        return out

    middle = drawn(np.zeros((6, 4)))
    root = np.array([drawn(np.tile(unit, (6, 1))) - middle for unit in np.eye(4)])
    for u in range(6):
        seen = X.indices[X.indptr[u] : X.indptr[u + 1]]
        Q = np.column_stack([np.ones(len(seen)), others[seen, 1:]])
        A = prior.precision + prior.alpha * Q.T @ Q
        beyond = X.data[X.indptr[u] : X.indptr[u + 1]] - others[seen, 0]
        assert middle[u] == pytest.approx(
            np.linalg.solve(A, prior.precision @ prior.mean[u] + prior.alpha * Q.T @ beyond)
        )
        assert root[:, u].T @ root[:, u] == pytest.approx(np.linalg.inv(A))


def padded(others):
    """Return offsets, and factors with zeros up to a multiple of eight."""
    return np.ascontiguousarray(others[:, 0]), np.pad(others[:, 1:], ((0, 0), (0, -(others.shape[1] - 1) % 8)))


@pytest.mark.parametrize("D", [1, 4, 9, 12])
def test_sampled_rows_come_with_their_squared_error_and_the_sums_of_their_factors(D):
    rng, n_rows, n_others = np.random.default_rng(3), 21, 90
    X = naive.as_csr(rng.integers(0, 3, (n_rows, n_others)) * (rng.random((n_rows, 1)) < 0.9))
    rows, others = kernels.CSR(X.indptr, X.indices, X.data.astype(float)), rng.standard_normal((n_others, D))
    prior = kernels.GaussianPrior(rng.standard_normal((n_rows, D)), np.eye(D), 1.7)
    out = np.zeros((n_rows, D))
    errors, sums = kernels.sample_rows(2, n_rows, rows, padded(others), prior, rng.standard_normal((n_rows, D)), out)
    assert not out[:2].any()
    for u in range(2, n_rows):
        seen = X.indices[X.indptr[u] : X.indptr[u + 1]]
        beyond = X.data[X.indptr[u] : X.indptr[u + 1]] - others[seen, 0] - out[u, 0] - others[seen, 1:] @ out[u, 1:]
        assert errors[u - 2] == pytest.approx(np.sum(beyond**2), abs=1e-9)
        assert sums[u - 2] == pytest.approx(others[seen].sum(axis=0), abs=1e-9)


def test_the_regression_prior_recovers_mean_slopes_and_precision():
    rng = np.random.default_rng(2)
    known, slopes = rng.standard_normal((4000, 2)), np.array([[1.0, -2.0, 0.0], [0.5, 0.0, 3.0]])
    spread = np.array([[1.0, 0.6, 0.0], [0.6, 2.0, 0.0], [0.0, 0.0, 0.5]])
    numbers = [4.0, -1.0, 2.0] + known @ slopes + rng.multivariate_normal(np.zeros(3), spread, 4000)
    prior, samples = RegressionPrior(known, 3), []
    for _ in range(40):
        around = prior.sample(numbers, rng)
        samples.append((prior.mean, prior.slopes, np.linalg.inv(prior.precision)))
    mean, slope, covariance = (np.mean(part, axis=0) for part in zip(*samples[10:], strict=True))
    assert mean == pytest.approx([4, -1, 2], abs=0.1)
    assert slope == pytest.approx(slopes, abs=0.1)
    assert covariance == pytest.approx(spread, abs=0.15)
    assert around == pytest.approx(mean + known @ slope, abs=0.5)
    assert np.std([mean[0] for mean, *_ in samples[10:]]) == pytest.approx(1 / 4000**0.5, rel=0.5)


def test_implicit_features_of_a_user_depend_on_the_rated_items_only():
    X = contract.table()
    features = implicit_features(X, 3, 0)
    counts = np.diff(X.indptr)
    for u in np.flatnonzero(counts):
        seen = X.indices[X.indptr[u] : X.indptr[u + 1]]
        mine = features.items[seen].sum(axis=0) / np.sqrt(len(seen)) - features.means[:-1]
        assert features.users[u, :-1] == pytest.approx(mine)
    assert features.users.mean(axis=0) == pytest.approx(0)
    assert features.users[:, :-1].std(axis=0) == pytest.approx(1)
    assert (features.min_ratings, features.max_ratings) == (counts[counts > 0].min(), counts.max())


def test_a_constant_column_is_standardized_to_zeros():
    table = standardize(np.array([[1.0, 7.0], [3.0, 7.0], [8.0, 7.0]]))
    assert table[:, 0].mean() == pytest.approx(0)
    assert table[:, 0].std() == pytest.approx(1)
    assert not table[:, 1].any()


def test_an_unrated_item_has_mean_directions_and_the_lowest_rating_count():
    X = contract.table()
    raters = np.bincount(X.indices, minlength=14)
    known = item_side_info(X, np.arange(28.0).reshape(14, 2), np.eye(14)[:, :1])
    others = np.arange(14) != 6
    assert raters[6] == 0
    assert known[6, :2].tolist() == [0, 0]
    assert known[6, 2] == known[others, 2].min() == known[raters == raters[others].min(), 2][0]
    assert known[others, :3].mean(axis=0) == pytest.approx(0, abs=1e-12)
    assert known[others, :3].std(axis=0) == pytest.approx(1)
    assert known[:, 3] == pytest.approx(standardize(np.eye(14)[:, :1])[:, 0])


def test_simulated_ratings_are_predicted_almost_to_the_noise_and_intervals_are_calibrated():
    X, rows, items, ratings = world()
    model = BPMF(n_factors=5).fit(X, scale=(-100, 200))
    error = np.sqrt(np.mean((model.predict_pairs(X, rows, items) - ratings) ** 2))
    plain = np.sqrt(np.mean((BiasModel().fit(X, scale=(-100, 200)).predict_pairs(X, rows, items) - ratings) ** 2))
    assert plain > 8
    assert 4.9 < error < 6.2  # the noise is 5
    for level in (0.5, 0.8, 0.95):
        low, high = model.predict_intervals(X, rows, items, level=level)
        assert np.mean((low <= ratings) & (ratings <= high)) == pytest.approx(level, abs=0.03)


def test_an_unrated_item_uses_items_with_similar_attributes():
    rng = np.random.default_rng(3)
    kind = np.arange(40) % 2
    likes = rng.integers(0, 2, 120)  # one half of the people love kind 0, the other kind 1
    R = np.where(kind[None] == likes[:, None], 5.0, 1.0) + rng.normal(0, 0.1, (120, 40))
    R[rng.random(R.shape) < 0.5] = np.nan
    R[:, [10, 11]] = np.nan
    X = naive.as_csr(R)
    model = BPMF(n_factors=2).fit(X, items=np.column_stack([kind == 0, kind == 1]))
    of_kind = np.array([model.predict(X)[likes == kind][:, [10, 11]].mean(axis=0) for kind in (0, 1)])
    assert of_kind[0, 0] > 4 > 2 > of_kind[1, 0]
    assert of_kind[1, 1] > 4 > 2 > of_kind[0, 1]
    without = BPMF(n_factors=2).fit(X).predict(X)[:, [10, 11]]
    assert np.ptp(without.mean(axis=0)) < 1


# -------------------------------------------------------------------------------------------------------- fit and io
def test_item_attributes_are_accepted_in_any_format_and_checked():
    X, table = contract.table(), np.random.default_rng(0).integers(0, 2, (14, 3)).astype(float)
    wanted = clone(SMALL).fit(X, items=table)
    for form in (sp.csr_array(table), table.tolist(), table.astype(bool)):
        assert contract.same_fit(clone(SMALL).fit(X, items=form), wanted)
    assert not contract.same_fit(clone(SMALL).fit(X), wanted)
    with pytest.raises(InputError, match=r"items of shape \(13, 3\): expected a row for each of 14 items"):
        clone(SMALL).fit(X, items=table[1:])
    with pytest.raises(ValueError, match="NaN"):
        clone(SMALL).fit(X, items=np.full((14, 1), np.nan))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n_factors": -1}, "n_factors=-1: expected an integer of 0 or more"),
        ({"n_samples": 0}, "n_samples=0: expected an integer of 1 or more"),
        ({"n_warmup": 1.5}, "n_warmup=1.5"),
        ({"n_implicit_factors": None}, "n_implicit_factors=None"),
        ({"random_state": "a"}, "random_state='a'"),
        ({"max_memory": "much"}, "max_memory='much'"),
    ],
)
def test_invalid_parameters_are_rejected_by_name(wrong, words):
    with pytest.raises(InputError, match=words):
        BPMF(**wrong).fit(contract.table())


@pytest.mark.parametrize("level", [-0.1, 1.1, "0.8", None])
def test_an_invalid_interval_level_is_rejected(level):
    model = clone(SMALL).fit(contract.table())
    with pytest.raises(InputError, match="level="):
        model.predict_intervals(contract.table(), [0], [0], level=level)


def test_an_interval_of_level_1_is_the_scale_and_of_level_0_the_prediction():
    X = contract.table()
    model = clone(SMALL).fit(X)
    assert [part.tolist() for part in model.predict_intervals(X, [0], [1], level=1)] == [[1.0], [5.0]]
    low, high = model.predict_intervals(X, [0], [1], level=0)
    assert low == high == model.predict_pairs(X, [0], [1])


def test_only_the_rating_is_supported():
    X = contract.table()
    model = clone(SMALL).fit(X)
    for ask in (
        model.recommend,
        lambda X, by: model.audience(X, 0, by=by),
        lambda X, by: model.explain_pair(X, 0, by=by),
    ):
        with pytest.raises(InputError, match="by='score': expected one of 'rating'"):
            ask(X[[0]], by="score")


def test_a_model_restored_from_arrays_gives_the_same_predictions(tmp_path):
    X = contract.table()
    model = clone(SMALL).fit(X)
    np.savez(tmp_path / "model.npz", **learned(model))
    other = clone(SMALL)
    with np.load(tmp_path / "model.npz", allow_pickle=False) as arrays:
        for name, attribute in LEARNED.items():
            setattr(other, attribute, arrays[name])
    other.scale_, other.n_features_in_ = model.scale_, X.shape[1]
    other.prepare()
    assert identical(other.predict(X), model.predict(X))


def test_the_plan_bounds_the_memory_and_a_fit_above_max_memory_is_refused():
    X, *_ = world(n_users=3000, n_items=500, n_ratings=60_000)
    clone(SMALL).fit(X)  # what is compiled is not counted
    model = BPMF(n_factors=8, n_samples=10, n_warmup=2)
    planned = model.plan(X)
    tracemalloc.start()
    model.fit(X)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken <= planned <= 3 * taken
    model.set_params(max_memory=planned).fit(X)
    with pytest.raises(
        TooLarge, match=r"max_memory=\d+: 500 items and 3,000 rows need .* lower n_samples or n_factors"
    ):
        model.set_params(max_memory=planned - 1).fit(X)
    with pytest.raises(TooLarge, match=r"3,000 rows × 500 items need 12\.0 MB"):
        model.set_params(max_memory="1MB").predict(X)


def test_progress_reaches_the_end():
    seen = []
    clone(SMALL).fit(contract.table(), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    model = clone(SMALL).fit(contract.table())
    seen.clear()
    model.recommend(contract.table(), 3, progress=seen.append)
    assert seen[-1] == 1.0


THREADS_SCRIPT = """
import numpy as np
import scipy.sparse as sp
from reelated.models import BPMF, gibbs, posterior

gibbs.SLICE = posterior.SLICE = 1e5
X, (rows, items) = sp.load_npz("X.npz"), np.load("pairs.npy")
model = BPMF(n_factors=4, n_samples=20, n_warmup=10).fit(X)
print(*np.concatenate([model.predict_pairs(X, rows, items), model.predict(X[:20]).ravel()]))
"""


def test_any_number_of_threads_gives_the_same_ratings(tmp_path):
    X, rows, items, _ = world()
    sp.save_npz(tmp_path / "X.npz", X)
    np.save(tmp_path / "pairs.npy", [rows, items])
    said = [
        subprocess.run(
            [sys.executable, "-c", THREADS_SCRIPT],
            env=os.environ | {"NUMBA_NUM_THREADS": n, "OPENBLAS_NUM_THREADS": n}, cwd=tmp_path,
            capture_output=True, text=True, check=True,
        ).stdout
        for n in ("1", "2")
    ]  # fmt: skip
    one, two = (np.array(text.split(), float) for text in said)
    assert len(one) > 1000
    assert one == pytest.approx(two, abs=1e-5)


FIRST_FIT_SCRIPT = """
import scipy.sparse as sp
from threadpoolctl import threadpool_info
from reelated import BPMF
from reelated.models import bpmf

def spy(*args):
    result = features(*args)
    print(*[library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"])
    return result

features, bpmf.implicit_features = bpmf.implicit_features, spy
BPMF(n_factors=4, n_samples=20, n_warmup=10).fit(sp.load_npz("X.npz"))
"""


def test_the_first_fit_of_a_process_runs_blas_in_one_thread(tmp_path):
    sp.save_npz(tmp_path / "X.npz", world()[0])
    threads = subprocess.run(
        [sys.executable, "-c", FIRST_FIT_SCRIPT], env=os.environ | {"OPENBLAS_NUM_THREADS": "2"}, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert set(threads) == {"1"}


# ------------------------------------------------------------------------------------------------------ in names
ITEMS = {"item_id": range(14), "title": [f"Item {i}" for i in range(14)], "genres": ["Drama", "Comedy"] * 7}


def ratings_table():
    users, items = contract.table().nonzero()
    return {"user_id": users, "item_id": items, "rating": contract.table().data}


@pytest.fixture(scope="module")
def rec():
    data = reelated.Dataset.from_frames(ratings_table(), ITEMS)
    return reelated.Recommender(rater=SMALL).fit(data)


def test_a_recommender_passes_genres_and_returns_the_predicted_ratings(rec):
    table, ids = contract.table(), rec.item_ids
    genres = np.array([[i % 2 == 0, i % 2 == 1] for i in ids], float)[:, ::-1]  # Comedy, Drama
    X = table[:, list(ids)]
    model = clone(SMALL).fit(X[np.diff(X.indptr) > 0], items=genres, scale=(1, 5))
    for user in (0, 5):
        for row in rec.recommend(user_id=user, n=3, by="rating"):
            column = list(ids).index(row.item_id)
            wanted = model.predict_pairs(X[[user]], [0], [column])[0]
            assert row.predicted_rating == pytest.approx(wanted, abs=1e-5)
            assert rec.predict(user, row.item_id).predicted_rating == row.predicted_rating
            told = rec.explain(user_id=user, item_id=row.item_id, by="rating")
            assert told.base + sum(part.contribution for part in told.contributions) + told.clip == pytest.approx(
                row.predicted_rating, abs=1e-5
            )
            assert {part.common_raters for part in told.contributions} == {None}
            assert "base" in repr(told)
    assert [row.user_id for row in rec.recommend(item_id=2, n=3, by="rating")]
    assert rec.recommend(ratings={3: 5}, n=2, by="rating")[0].predicted_rating


def test_a_saved_recommender_gives_the_same_results_and_a_modified_one_is_rejected(rec, tmp_path):
    rec.save(tmp_path / "model")
    again = reelated.Recommender.load(tmp_path / "model")
    assert (
        again.recommend(user_id=5, n=5, by="rating").to_dicts() == rec.recommend(user_id=5, n=5, by="rating").to_dicts()
    )
    for name, change in (
        ("item_factors_", lambda a: a[:, :, :-1]),
        ("alpha_", lambda a: a * np.nan),
        ("implicit_factors_", lambda a: a[1:]),
    ):
        path = tmp_path / "model" / f"rater.{name}.npy"
        kept = np.load(path)
        np.save(path, change(kept))
        damage.write_checksums_again(tmp_path / "model")
        with pytest.raises(InputError, match=r"damaged model \(rater\.\w+_\.npy: "):
            reelated.Recommender.load(tmp_path / "model")
        np.save(path, kept)


def test_it_predicts_ratings_and_ranks_by_them_only():
    alone = reelated.Recommender(ranker=None, rater=SMALL).fit(ratings_table())
    assert all(row.score == row.predicted_rating for row in alone.recommend(alone.user_ids[0]))
    with pytest.raises(InputError, match=r"ranker=BPMF\(.*BPMF scores no items"):
        reelated.Recommender(ranker=SMALL).fit(ratings_table())
