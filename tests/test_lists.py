"""Lists computed for eight rows at a time equal those of each row alone, bit for bit, whatever the rounding."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import contract
import naive
from contract import rating_tables
from reelated import _kernels as kernels
from reelated._kernels import batch_topn
from reelated.models import ItemKNN, topn


def both_ways(model, X, n, **asked):
    """Return the grouped and the row-by-row lists."""
    seen, groups = [], kernels.topn_groups
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "topn_groups", lambda *a: seen.append(groups(*a)))
        fast = model.recommend(X, n, **asked)
        patch.setattr(topn, "MAX_GROUPED", 0)
        plain = model.recommend(X, n, **asked)
    assert seen, "no row was scored in a group"
    return fast, plain


def assert_same(fast, plain):
    for one, other in zip(fast, plain, strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


@given(rating_tables(), st.integers(1, 6), st.booleans(), st.sampled_from(["cosine", "jaccard", "pearson"]))
def test_grouped_lists_equal_row_by_row_lists_on_edge_cases(R, n, keep_seen, similarity):
    X = naive.as_csr(np.tile(R, (9, 1))[: max(9, len(R))])
    model = ItemKNN(similarity, n_neighbors=3).fit(X)
    assume(X.data.min(initial=0) >= model.zero_rating)  # else a rating is worth less than nothing
    allowed = np.arange(X.shape[1]) % 3 != 1
    assert_same(*both_ways(model, X, n, exclude_seen=not keep_seen))
    assert_same(*both_ways(model, X, n, exclude_seen=not keep_seen, item_mask=allowed))


@pytest.mark.parametrize("worth_sorting", [0, np.inf])
def test_grouped_lists_equal_row_by_row_lists_on_many_rows(worth_sorting, monkeypatch):
    X = contract.table(331, 203)
    model = ItemKNN(n_neighbors=20, shrinkage=2).fit(X)
    monkeypatch.setattr(topn, "WORTH_SORTING", worth_sorting)
    for n in (1, 10, 100):
        assert_same(*both_ways(model, X, n))


def test_slices_of_one_row_give_the_same_lists(monkeypatch):
    X = contract.table(30, 12)  # so few items that many rows have fewer than ten left
    model = ItemKNN(n_neighbors=20).fit(X)
    expected = model.recommend(X, 10, by="rating")
    assert len(np.unique(np.diff(expected.indptr))) > 1
    monkeypatch.setattr(topn, "SLICE", 1e-9)
    assert_same(expected, model.recommend(X, 10, by="rating"))


def test_rows_affected_by_rounding_are_computed_row_by_row(monkeypatch):
    R = np.full((40, 60), np.nan)
    R[:20, :50] = 4.0  # fifty items that nobody could tell apart: the tenth best is as good as the eleventh
    R[20:, 30:] = 5.0
    R[20:, 0] = 3.0
    X, asked, topn_rows = naive.as_csr(R), [], kernels.topn_rows
    model = ItemKNN(n_neighbors=None).fit(X)
    monkeypatch.setattr(kernels, "topn_rows", lambda *a: asked.append(a[1] - a[0]) or topn_rows(*a))
    fast = model.recommend(X, 5)
    assert sum(asked) > 0
    monkeypatch.setattr(topn, "MAX_GROUPED", 0)
    assert_same(fast, model.recommend(X, 5))


@pytest.mark.parametrize(
    ("setting", "by"),
    [
        ({"positive_only": False, "similarity": "residual-cosine"}, "score"),
        ({"max_neighbors_used": 2}, "score"),
        ({}, "rating"),
    ],
)
def test_scores_with_negative_terms_are_never_grouped(setting, by, monkeypatch):
    X = contract.table(60, 40)
    model = ItemKNN(**{"n_neighbors": 9} | setting).fit(X)
    monkeypatch.setattr(kernels, "topn_groups", lambda *_: pytest.fail("a group was made"))
    assert len(model.recommend(X, 5, by=by).items)


def test_ties_are_in_ascending_item_index_whatever_the_order_of_the_row():
    items, exact = np.array([9, 7, 3, 8], np.int32), np.array([1.0, 2.0, 2.0, 1.0])
    out_items, out_scores = np.zeros(3, np.int32), np.zeros(3)
    assert batch_topn._certain_top_n(items, exact, 0.5, 3, out_items, out_scores) == 3
    assert out_items.tolist() == [3, 7, 8]
    assert out_scores.tolist() == [2, 2, 1]
    assert batch_topn._certain_top_n(items, exact, 1.0, 3, out_items, out_scores) == -1
    assert batch_topn._certain_top_n(items[:2], exact[:2], 0.0, 3, out_items, out_scores) == -1
