"""The item × item matrix agrees with the oracle for every similarity, and does not depend on how the work is split."""

import itertools
import os
import signal
import time
from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, given
from hypothesis import strategies as st

import naive
from contract import rating_tables
from reelated import _kernels as kernels
from reelated import parallel
from reelated.errors import TooLarge
from reelated.models import ItemKNN
from reelated.similarity import (
    SimilarityParams,
    as_kernel_csr,
    blocked,
    neighbors,
    row_costs,
    similarity,
    sizes_and_norms,
    weighted,
)

NAMES = ["cosine", "adjusted-cosine", "pearson", "jaccard", "residual-cosine", "residual-pearson"]


def without_noise(R, name):
    """Return whether no column is so close to zero that rounding determines its cosine."""
    V = np.nan_to_num(naive.residuals(R, name)) if name in naive.HAS_OFFSETS else np.nan_to_num(R)
    norms = np.sqrt((V**2).sum(axis=0))
    return ((norms == 0) | (norms > 1e-6)).all() and (name != "residual-pearson" or has_variance(R))


def has_variance(R):
    """Return whether the variance over common raters is clearly 0 or clearly positive for every pair of columns."""
    V = naive.residuals(R, "residual-pearson")
    for i, j in product(range(R.shape[1]), repeat=2):
        x = V[~np.isnan(V[:, i]) & ~np.isnan(V[:, j]), i]
        if len(x) and 1e-9 * sum(x**2) < sum((x - x.mean()) ** 2) < 1e-2 * sum(x**2):
            return False
    return True


@given(
    rating_tables(), st.sampled_from(NAMES), st.sampled_from([0.0, 2.5]), st.sampled_from([0.0, 1.5]),
    st.integers(1, 3), st.booleans(),
)  # fmt: skip
def test_similarities_of_awkward_ratings_agree_with_the_oracle(R, name, shrinkage, damping, min_common, positive_only):
    assume(without_noise(R, name))
    setting = {"shrinkage": shrinkage, "damping": damping, "min_common": min_common, "positive_only": positive_only}
    expected, common = naive.item_similarity(R, name, **setting)
    for dtype, close in (("float64", 1e-9), ("float32", 1e-4 if name == "residual-pearson" else 1e-5)):
        model = ItemKNN(name, n_neighbors=None, dtype=dtype, **setting).fit(naive.as_csr(R))
        result = model.item_weights_.toarray()
        assert result == pytest.approx(expected, abs=close)
        assert model.item_weights_.dtype == dtype
        assert (model.n_common_.toarray() == np.where(result != 0, common, 0)).all()


@given(rating_tables(), st.sampled_from(["tf-idf", "bm25"]))
def test_weighted_similarities_of_awkward_ratings_agree_with_the_oracle(R, weighting):
    assume(not (R < 0).any())
    expected, _ = naive.item_similarity(R, weighting=weighting)
    result = ItemKNN(weighting=weighting, n_neighbors=None, dtype="float64").fit(naive.as_csr(R)).item_weights_
    assert result.toarray() == pytest.approx(expected, abs=1e-9)


@given(rating_tables(), st.sampled_from(["tf-idf", "bm25"]))
def test_weightings_agree_with_the_oracle_and_do_not_change_the_ratings(R, weighting):
    assume(not (R < 0).any())
    X = naive.as_csr(R).astype(np.float64)
    before = X.data.copy()
    assert naive.as_dense(weighted(X, weighting)) == pytest.approx(naive.weighted(R, weighting), nan_ok=True)
    assert X.data.tolist() == before.tolist()
    assert weighted(X, None) is X


@given(rating_tables(), st.sampled_from(NAMES), st.integers(1, 4), st.booleans())
def test_the_strongest_neighbours_are_kept_and_ties_go_to_the_first(R, name, n_neighbors, positive_only):
    setting = {"positive_only": positive_only, "dtype": "float64"}
    whole = ItemKNN(name, n_neighbors=None, **setting).fit(naive.as_csr(R)).item_weights_.toarray()
    cut = ItemKNN(name, n_neighbors=n_neighbors, **setting).fit(naive.as_csr(R)).item_weights_
    assert (cut.toarray() == naive.nearest(whole, n_neighbors)).all()
    assert np.diff(cut.indptr).max() <= n_neighbors


@given(rating_tables(), st.booleans())
def test_an_unpruned_similarity_is_symmetric_bit_for_bit(R, jaccard):
    S = similarity(naive.as_csr(R), SimilarityParams(jaccard=jaccard, positive_only=False)).values.toarray()
    assert (S == S.T).all()


def test_slices_of_one_row_give_the_same_bits_as_one_slice(monkeypatch):
    R = np.random.default_rng(1).integers(1, 6, (31, 12)).astype(float)
    R[R < 3] = np.nan
    X, cuts, split_by_cost = naive.as_csr(R), [], neighbors.split_by_cost
    monkeypatch.setattr(neighbors, "split_by_cost", lambda *a: cuts.append(split_by_cost(*a)) or cuts[-1])
    at_once = similarity(X, SimilarityParams(n_neighbors=None))
    monkeypatch.setattr(neighbors, "SLICE", 1.0)
    in_pieces = similarity(X, SimilarityParams(n_neighbors=None))
    assert [len(cut) for cut in cuts] == [1, 12]
    for one, other in zip(at_once, in_pieces, strict=True):
        assert one.data.tobytes() == other.data.tobytes()
        assert one.indices.tolist() == other.indices.tolist()
        assert one.indptr.tolist() == other.indptr.tolist()


def test_shrinkage_multiplies_and_damping_adds_to_the_denominator():
    X = naive.as_csr(np.array([[3, 4], [np.nan, 2], [4, 3]], float))
    plain = 24 / (5 * 29**0.5)
    values = [similarity(X.astype(np.float64), SimilarityParams(shrinkage=h, damping=d)).values[[0], [1]]
              for h, d in ((0, 0), (3, 0), (0, 10))]  # fmt: skip
    assert np.concatenate(values) == pytest.approx([plain, plain * 2 / 5, 24 / (5 * 29**0.5 + 10)])


def test_items_with_fewer_than_min_common_raters_have_no_similarity():
    X = naive.as_csr(np.array([[3, 4, 1], [np.nan, 2, 5], [4, 3, np.nan], [1, 1, np.nan]], float))
    result = similarity(X, SimilarityParams(min_common=3))
    assert result.values.nnz == result.common.nnz == 2
    assert result.common.toarray().tolist() == [[0, 3, 0], [3, 0, 0], [0, 0, 0]]


def test_sizes_norms_and_row_costs_of_columns():
    R = np.array([[3, np.nan, 1], [4, 0, np.nan]], float)
    X = naive.as_csr(R)
    sizes, norms = sizes_and_norms(as_kernel_csr(X), 3)
    assert sizes.tolist() == [2, 1, 1]
    assert norms.tolist() == [5, 0, 1]
    assert row_costs(X.tocsc(), np.diff(X.indptr)).tolist() == [4, 2, 2]


def test_exceeding_max_memory_raises_before_the_work_and_names_both_sizes():
    X = sp.csr_array((np.ones(2, np.float32), ([0, 1], [7, 99_000])), shape=(2, 100_000))
    params = SimilarityParams(n_neighbors=None)
    with pytest.raises(TooLarge, match=r"max_memory='2\.0 GB': the similarity of 100,000 items may need \d{3}\.\d GB"):
        similarity(X, params, max_memory=2 * 10**9)
    assert similarity(X, SimilarityParams(n_neighbors=10), max_memory=2 * 10**9).values.nnz == 0


def test_progress_of_a_similarity_increases_to_one(monkeypatch):
    monkeypatch.setattr(neighbors, "SLICE", 1.0)
    seen = []
    similarity(naive.as_csr(np.ones((3, 8))), SimilarityParams(), progress=seen.append)
    assert seen[-1] == 1.0
    assert len(seen) >= 8
    assert seen == sorted(seen)


@given(
    rating_tables(),
    st.sampled_from(["cosine", "jaccard", "pearson"]),
    st.booleans(),
    st.sampled_from([(0.0, 0.0, 1), (3.0, 0.5, 2)]),
    st.integers(1, 5),
)
def test_the_blocked_and_the_row_wise_method_give_the_same_bits(R, measure, positive_only, less, n_neighbors):
    shrinkage, damping, min_common = less
    X = naive.as_csr(R - np.nanmean(R) if np.isfinite(R).any() else R)
    kind = {"jaccard": measure == "jaccard", "pearson": measure == "pearson", "positive_only": positive_only}
    params = SimilarityParams(
        shrinkage=shrinkage, damping=damping, min_common=min_common, n_neighbors=n_neighbors, **kind
    )  # fmt: skip
    assert_same_bits(X, params)


@pytest.mark.parametrize("measure", ["cosine", "jaccard", "pearson"])
@pytest.mark.parametrize(("n_users", "n_items", "share"), [(700, 90, 0.5), (600, 203, 0.2), (3000, 1100, 0.02)])
def test_a_dense_block_changes_no_bit(measure, n_users, n_items, share):
    X = busy_table(n_users, n_items, share)
    params = SimilarityParams(
        jaccard=measure == "jaccard", pearson=measure == "pearson", positive_only=False, n_neighbors=7
    )
    widths = dense_widths_of(X)
    assert widths[0] > 0
    assert widths == sorted(widths, reverse=True)
    assert_same_bits(X, params)


def test_blocks_in_any_order_give_the_same_bits(monkeypatch):
    # the buffers of early items are then full before the similarities of these items are selected
    X, params = busy_table(60, 900, 0.3), SimilarityParams(n_neighbors=30, positive_only=False)
    expected = similarity(X, params)
    monkeypatch.setattr(blocked, "MAX_BLOCK_ITEMS", 64)
    monkeypatch.setattr(blocked, "parallel_for", lambda work, slices, *_: [work(*part) for part in reversed(slices)])
    found = similarity(X, params)
    for part in ("indptr", "indices", "data"):
        np.testing.assert_array_equal(getattr(found.values, part), getattr(expected.values, part))


def busy_table(n_users, n_items, share):
    """Return residuals with few active and many inactive users, and few popular and many unpopular items."""
    rng = np.random.default_rng(5)
    eager, known = rng.random(n_users)[:, None] ** 3, rng.random(n_items) ** 3
    chances = eager * known
    R = np.where(
        rng.random((n_users, n_items)) < chances * share / chances.mean(), rng.normal(size=(n_users, n_items)), np.nan
    )
    return naive.as_csr(R)


def dense_widths_of(X):
    """Return the width of each chunk of the dense block."""
    seen, widths = [], kernels.dense_widths
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "dense_widths", lambda *a: seen.append(widths(*a)) or seen[-1])
        similarity(X, SimilarityParams(n_neighbors=3))
    return seen[0].tolist()


def assert_same_bits(X, params):
    """Assert that both methods give the same bits."""
    assert neighbors.plan(X, params).blocked
    fast = similarity(X, params)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbors, "MAX_WORKSPACE_BYTES", -1)
        assert not neighbors.plan(X, params).blocked
        plain = similarity(X, params)
    for one, other in zip(fast, plain, strict=True):
        assert one.indptr.tolist() == other.indptr.tolist()
        assert one.indices.tolist() == other.indices.tolist()
        assert one.data.tobytes() == other.data.tobytes()


def test_very_many_items_with_few_common_raters_use_the_row_wise_method():
    few = sp.csr_array((np.ones(4, np.float32), ([0, 0, 1, 1], [0, 1, 1, 99_999])), shape=(2, 100_000))
    assert not neighbors.plan(few, SimilarityParams(n_neighbors=5)).blocked
    assert neighbors.plan(few[:, :2000], SimilarityParams(n_neighbors=5)).blocked


def test_the_blocked_method_is_not_chosen_beyond_max_memory():
    X = naive.as_csr(np.random.default_rng(3).integers(1, 6, (40, 300)).astype(float))
    params = SimilarityParams(n_neighbors=5)
    fast, lean = neighbors.plan(X, params), neighbors.plan(X, SimilarityParams(n_neighbors=None))
    assert fast.blocked
    assert not lean.blocked
    assert not neighbors.plan(X, params, fast.bytes - 1).blocked
    assert neighbors.plan(X, params, fast.bytes).blocked


def test_a_cancelled_fit_stops_within_a_block(monkeypatch):
    X, add_pairs, added = busy_table(900, 300, 0.05), kernels.add_sparse_products, []
    monkeypatch.setattr(parallel, "n_threads", lambda: 2)
    monkeypatch.setattr(blocked, "n_threads", lambda: 2)
    monkeypatch.setattr(blocked, "ROWS_PER_CHECK", 3)
    monkeypatch.setattr(blocked, "MAX_BLOCK_ITEMS", 152)  # two blocks
    monkeypatch.setattr(kernels, "dense_widths", lambda *_: np.zeros(0, np.int64))

    def slowly(block, *arguments):
        add_pairs(block, *arguments)
        added.append(block)
        fifth = cancel_after and next(cancel_after) == 5  # each number comes once, whichever thread asks
        time.sleep(0.002)
        if fifth:  # Ctrl-C reaches the caller, who has one block; another thread has the other
            os.kill(os.getpid(), signal.SIGINT)

    cancel_after = None
    monkeypatch.setattr(kernels, "add_sparse_products", slowly)
    similarity(X, SimilarityParams(n_neighbors=3))
    whole = len(added)
    assert whole > 40
    added.clear()
    cancel_after = itertools.count(1)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a worker of pytest-xdist ignores the signal
    try:
        with pytest.raises(KeyboardInterrupt):
            similarity(X, SimilarityParams(n_neighbors=3))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(added) < whole / 8


@pytest.mark.parametrize("threads", [1, 3])
def test_an_exception_in_a_block_reaches_the_caller(monkeypatch, threads):
    monkeypatch.setattr(blocked, "n_threads", lambda: threads)
    monkeypatch.setattr(parallel, "n_threads", lambda: threads)
    monkeypatch.setattr(blocked, "MAX_BLOCK_ITEMS", 8)

    def harvest(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(kernels, "select_neighbors", harvest)
    with pytest.raises(MemoryError, match="no room"):
        similarity(busy_table(900, 300, 0.05), SimilarityParams(n_neighbors=3))
