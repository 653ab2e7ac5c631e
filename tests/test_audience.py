"""Audiences: the order by adjusted score against its formula, and the limit per user for several items."""

import numpy as np
import polars as pl
import pytest

import naive
from reelated.errors import InputError, UnknownId
from reelated.models import EASE, ItemKNN
from reelated.recommender import Recommender, textbook
from test_time import village


@pytest.fixture(scope="module")
def rec():
    rater = ItemKNN("residual-cosine", shrinkage=5)
    return Recommender(EASE(l2=1.0), rater, recency_half_life=4).fit(village())


def adjusted_score(rec):
    """Return the adjusted scores of all users and items, in plain loops."""
    R = naive.as_dense(rec.ratings_.matrix)
    relevance = rec.models_.ranker.score_items(rec.ratings_.matrix, weights=rec.engine.all_users.weights)
    ratings = rec.models_.rater.predict(rec.ratings_.matrix)
    unclipped = rec.models_.rater.score_items(rec.ratings_.matrix, by="rating")
    popularity = naive.degree_factors(R, -0.5, axis=0)
    wanted = np.full(R.shape, np.nan)
    for u, row in enumerate(R):
        usual = sum(value for value in relevance[u] if not np.isnan(value)) / R.shape[1]
        own = np.nanmean(row)
        for i in range(R.shape[1]):
            beyond, above_user_mean = relevance[u, i] - 0.7 * usual * popularity[i], unclipped[u, i] - own
            wanted[u, i] = (
                beyond * np.exp(0.25 * above_user_mean) if beyond > 0 else beyond / np.exp(0.25 * above_user_mean)
            )
    return R, wanted, ratings


def test_an_audience_is_sorted_by_adjusted_score(rec):
    R, wanted, ratings = adjusted_score(rec)
    for i, item in enumerate(rec.item_ids):
        rows = rec.audience(item, n=8)
        column = np.where(np.isnan(R[:, i]), wanted[:, i], np.nan)
        best = naive.top_n(column, 8)
        assert [row.adjusted_score for row in rows] == pytest.approx(column[best], abs=1e-5)
        for row in rows:
            u = rec.user_ids.index_of(row.user_id)
            assert row.adjusted_score == pytest.approx(wanted[u, i], abs=1e-5)
            assert row.above_user_mean == pytest.approx(ratings[u, i] - np.nanmean(R[u]), abs=1e-5)
        assert rec.audience(item, n=8, by="adjusted_score") == rows
    assert rec.audience(1, n=8) != rec.audience(1, n=8, by="score")


def test_users_are_chosen_by_scores_that_age_with_any_ranker():
    few = Recommender(ItemKNN(max_neighbors_used=2), None, recency_half_life=1, recency_floor=0.0).fit(village())
    scores = few.models_.ranker.score_items(few.ratings_.matrix, weights=few.engine.all_users.weights)
    R = naive.as_dense(few.ratings_.matrix)
    for i, item in enumerate(few.item_ids):
        column = np.where(np.isnan(R[:, i]), scores[:, i], np.nan)
        listed = [few.user_ids.index_of(row.user_id) for row in few.audience(item, n=4, by="score")]
        assert listed == naive.top_n(column, 4)


def test_active_users_lead_fewer_audiences_by_adjusted_score_than_by_score():
    rng = np.random.default_rng(7)
    eager = [(user, item) for user in range(120) for item in range(60) if rng.random() < (0.6 if user < 6 else 0.12)]
    frame = pl.DataFrame({"user_id": [u for u, _ in eager], "item_id": [m for _, m in eager]})
    rec = Recommender(EASE(l2=1.0), ItemKNN("residual-cosine")).fit(
        frame.with_columns(rating=pl.Series(rng.integers(1, 6, len(eager)).astype(float)))
    )
    places = {
        by: sum(row.user_id < 6 for item in rec.item_ids for row in rec.audience(item, n=5, by=by))
        for by in ("adjusted_score", "score")
    }
    assert places["adjusted_score"] < 0.8 * places["score"]


def test_without_a_ranker_users_are_sorted_by_predicted_rating_and_have_no_adjusted_score():
    plain = textbook().fit(village())
    for by in (None, "rating", "score", "adjusted_score"):
        rows = plain.audience(4, n=9, by=by)
        assert list(rows) == list(plain.audience(4, n=9, by="rating"))
        assert {row.adjusted_score for row in rows} == {None}
    by_rating = Recommender(EASE(l2=1.0), by="rating").fit(village())
    assert by_rating.audience(4) == by_rating.audience(4, by="rating")


def test_audiences_of_several_items_equal_those_of_each_item_unless_per_user_limits_them(rec):
    items = list(rec.item_ids)[:7]
    free = rec.audience_batch(items, n=5)
    for item in items:
        mine = free.filter(pl.col("item_id") == item)
        rows = rec.audience(item, n=5)
        assert mine["user_id"].to_list() == [row.user_id for row in rows]
        assert mine["adjusted_score"].to_list() == [row.adjusted_score for row in rows]
        assert mine["rank"].to_list() == [1, 2, 3, 4, 5]
    assert free.columns == [
        "item_id", "title", "user_id", "rank", "score", "predicted_rating", "n_neighbors_used", "adjusted_score",
        "above_user_mean",
    ]  # fmt: skip
    assert free["user_id"].value_counts()["count"].max() > 2
    for most in (1, 2):
        dealt = rec.audience_batch(items, n=5, per_user=most)
        assert dealt["user_id"].value_counts()["count"].max() <= most
        assert dealt.group_by("item_id").len()["len"].max() == 5
        strongest = max(free.iter_rows(named=True), key=lambda row: row["adjusted_score"])
        first = dealt.filter((pl.col("item_id") == strongest["item_id"]) & (pl.col("rank") == 1))
        assert first["user_id"].to_list() == [strongest["user_id"]]
        for item in items:
            ranks = dealt.filter(pl.col("item_id") == item)
            assert ranks["adjusted_score"].is_sorted(descending=True)
            assert ranks["rank"].to_list() == list(range(1, len(ranks) + 1))


def test_users_at_their_limit_are_replaced_by_the_next_best(rec):
    items = list(rec.item_ids)[:2]
    one, two = (rec.audience(item, n=99) for item in items)
    dealt = rec.audience_batch(items, n=1, per_user=1)
    numbers = {(0, row.user_id): row.adjusted_score for row in one} | {
        (1, row.user_id): row.adjusted_score for row in two
    }
    (item, user), _ = max(numbers.items(), key=lambda pair: pair[1])
    other = max((pair for pair in numbers.items() if pair[0][0] != item and pair[0][1] != user), key=lambda p: p[1])
    assert dict(zip(dealt["item_id"], dealt["user_id"], strict=True)) == {
        items[item]: user,
        items[other[0][0]]: other[0][1],
    }


def test_progress_is_reported_and_invalid_arguments_are_rejected(rec, monkeypatch):
    together, seen = rec.audience_batch([1, 4, 7]), []
    monkeypatch.setattr("reelated.recommender.audience.PAIRS", 1)  # one item at a time
    alone = rec.audience_batch([1, 4, 7], progress=seen.append)
    assert seen == pytest.approx([1 / 3, 2 / 3, 1])
    assert alone.equals(together)
    for wrong, words in (({"per_user": 0}, "per_user=0"), ({"n": 0}, "n=0"), ({"by": "x"}, "by='x'")):
        with pytest.raises(InputError, match=words):
            rec.audience_batch([1], **wrong)
    with pytest.raises(UnknownId, match="item_id=999999"):
        rec.audience_batch([1, 999999])
    with pytest.raises(InputError, match=r"item_ids=5\.5: expected a list"):
        rec.audience_batch(5.5)
    with pytest.raises(InputError, match="expected one item or more"):
        rec.audience_batch([])
