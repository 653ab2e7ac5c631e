"""What is measured is what is served: splits lose nothing, measures are what they say, doubt is told."""

import itertools
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

import naive_metrics as naive
import reelated
from reelated.errors import InputError
from reelated.evaluation import (
    Split,
    asking,
    by_time,
    compare,
    evaluate,
    given,
    given_folds,
    held_out_users,
    judging,
    leave_last_out,
    metrics,
    random_folds,
    resampling,
    within_items,
    within_users,
)
from reelated.ratings import Dataset
from reelated.recommender import Recommender, textbook

SPLITS = {
    "within_users": within_users,
    "within_items": within_items,
    "leave_last_out": leave_last_out,
    "by_time": by_time,
    "held_out_users": lambda data: held_out_users(data, 0.3),
    "random_folds": lambda data: random_folds(data, 3)[1],
}


def made(seed=0, n_users=23, n_items=17, share=0.5):
    """Make lopsided ratings with ids that are no numbers of rows, and times without ties."""
    draw = np.random.default_rng(seed)
    users, items = np.nonzero(draw.random((n_users, n_items)) < share)
    rating = draw.integers(1, 6, len(users)).astype(float)
    times = draw.permutation(len(users)) * 86400
    return {"user_id": 100 + 7 * users, "item_id": 1000 + 3 * items, "rating": rating, "timestamp": times}


@pytest.fixture(scope="module")
def data():
    return Dataset.from_frames(made(), scale=(1, 5, 1), name="made")


@pytest.fixture(scope="module")
def sample():
    return reelated.read("sample")


def pairs(table):
    return set(table.select("user_id", "item_id").iter_rows())


def learnt(split):
    return pairs(split.train.ratings.to_polars())


# ---------------------------------------------------------------------------------------------------------- measures
def test_measures_of_lists_are_those_worked_by_hand():
    hits = np.array([[1, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]], bool)
    n_relevant = np.array([3, 8, 1, 0])
    by_hand = {
        "precision": [2 / 5, 1 / 5, 0],
        "recall": [2 / 3, 1 / 8, 0],
        "recall_capped": [2 / 3, 1 / 5, 0],
        "map": [(1 / 1 + 2 / 3) / 3, (1 / 4) / 8, 0],
        "mrr": [1, 1 / 4, 0],
        "hit_rate": [1, 1, 0],
        "ndcg": [1.5 / (1.5 + 1 / math.log2(3)), (1 / math.log2(5)) / 2.9484591188793923, 0],
    }
    assert by_hand.keys() == metrics.RANKING.keys()
    for name, values in by_hand.items():
        np.testing.assert_allclose(metrics.RANKING[name](hits, n_relevant), [*values, np.nan], err_msg=name)


def test_measures_of_ratings_and_of_all_lists_are_those_worked_by_hand():
    assert metrics.rmse(np.array([3.0, 5.0]), np.array([4.0, 2.0])) == math.sqrt(5)
    assert metrics.mae(np.array([3.0, 5.0]), np.array([4.0, 2.0])) == 2
    assert metrics.coverage(np.array([2, 0, 1, 0])) == 0.5
    assert metrics.concentration(np.array([2, 0, 1, 0]), most=1) == pytest.approx(2 / 3)
    lists, shares = np.array([[0, 1, -1], [1, -1, -1], [-1, -1, -1]]), np.array([0.5, 0.25])
    np.testing.assert_array_equal(metrics.novelty(lists, shares), [1.5, 2, np.nan])


def test_where_there_is_nothing_there_is_no_number():
    assert math.isnan(metrics.rmse(np.empty(0), np.empty(0)))
    assert math.isnan(metrics.mae(np.empty(0), np.empty(0)))
    assert math.isnan(metrics.concentration(np.zeros(3, int)))


def test_an_unknown_item_is_no_hit_on_anothers_list():
    asked = judging.Asked(pl.Series([5, 6]), np.array([0, 1]), np.array([0, -1]), np.array([True, True]))
    found = judging.of_lists(np.array([[1], [0]]), np.array([True, True]), asked, [1])
    assert {one.measure: one.totals.tolist() for one in found}["hit_rate@1"] == [0, 0]


@settings(max_examples=60)
@drawn(st.lists(st.tuples(st.lists(st.booleans(), min_size=4, max_size=4), st.integers(0, 6)), min_size=1, max_size=9))
def test_measures_of_lists_agree_with_plain_loops(cases):
    cases = [(hits, max(sum(hits), 1) + more) for hits, more in cases]
    hits, counts = np.array([hits for hits, _ in cases]), np.array([count for _, count in cases])
    for row, (places, count) in enumerate(cases):
        relevant = {k for k, hit in enumerate(places) if hit} | {10 + k for k in range(count - sum(places))}
        for name, value in naive.judged(list(range(4)), relevant, 4).items():
            assert metrics.RANKING[name](hits, counts)[row] == pytest.approx(value), name


# ------------------------------------------------------------------------------------------------------------ splits
@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("seed", range(3))
def test_a_split_shares_all_ratings_out(name, seed):
    data = Dataset.from_frames(made(seed), scale=(1, 5, 1))
    split, whole = SPLITS[name](data), data.ratings.to_polars()
    hidden = split.test.join(whole, on=["user_id", "item_id", "rating"], how="inner").select(whole.columns)
    shown = [] if split.shown is None else [split.shown.to_polars()]
    parts = pl.concat([split.train.ratings.to_polars(), hidden, *shown])
    assert parts.sort("user_id", "item_id").equals(whole)
    assert split.train.items.equals(data.items)
    assert split.train.ratings.scale == data.ratings.scale


@pytest.mark.parametrize("name", ["within_users", "within_items", "held_out_users", "random_folds"])
def test_the_same_seed_hides_the_same_and_another_seed_others(name, data):
    make = {"within_users": within_users, "within_items": within_items, "held_out_users": held_out_users}.get(
        name, lambda data, seed=0: random_folds(data, seed=seed)[0]
    )
    assert make(data, seed=4).test.equals(make(data, seed=4).test)
    assert not make(data, seed=4).test.equals(make(data, seed=5).test)


@pytest.mark.parametrize(("make", "group"), [(within_users, "user_id"), (within_items, "item_id")])
def test_of_each_group_the_share_is_hidden(make, group, data):
    split, every = make(data, 0.3), data.ratings.to_polars()
    hidden = dict(split.test.group_by(group).len().iter_rows())
    for name, count in every.group_by(group).len().iter_rows():
        assert hidden.get(name, 0) == np.round(0.3 * count)


def test_folds_hide_every_rating_once(data):
    folds = random_folds(data, 4)
    hidden = [pair for fold in folds for pair in pairs(fold.test)]
    assert len(hidden) == len(set(hidden)) == len(data.ratings)
    assert {len(fold.test) for fold in folds} <= {len(hidden) // 4, len(hidden) // 4 + 1}


def test_the_last_ratings_are_the_latest(data):
    split, every = leave_last_out(data, 2), data.ratings.to_polars()
    for (user,), theirs in every.group_by("user_id"):
        latest = pairs(theirs.sort("timestamp").tail(2)) if len(theirs) > 2 else set()
        assert pairs(split.test.filter(pl.col("user_id") == user)) == latest


def test_who_has_rated_no_more_than_the_last_keeps_it_all():
    table = {"user_id": [1, 1, 1, 2, 2, 3], "item_id": [7, 8, 9, 8, 9, 7], "rating": [1, 2, 3, 4, 5, 5]}
    data = Dataset.from_frames(table | {"timestamp": range(6)})
    assert pairs(leave_last_out(data).test) == {(1, 9), (2, 9)}
    assert pairs(leave_last_out(data, 2).test) == {(1, 8), (1, 9)}


def test_an_order_stands_in_for_times_of_which_some_are_missing():
    table = pl.DataFrame(made())
    whole = leave_last_out(Dataset.from_frames(table))
    some = table.with_columns(
        order="timestamp", timestamp=pl.when(pl.col("timestamp") > 500_000).then("timestamp")
    )  # fmt: skip
    split = leave_last_out(Dataset.from_frames(some))
    assert pairs(split.test) == pairs(whole.test)
    assert "by time" in whole.how
    assert "by the order given" in split.how


@pytest.mark.parametrize("make", [leave_last_out, by_time])
def test_missing_times_are_counted_and_told(make):
    table = pl.DataFrame(made())
    none = Dataset.from_frames(table.drop("timestamp"))
    n = len(none.ratings)
    with pytest.raises(InputError, match=f"^{n} ratings of {n} have no time"):
        make(none)
    some = Dataset.from_frames(
        table.with_columns(pl.when(pl.col("user_id") > 107).then("timestamp").alias("timestamp"))
    )
    missing = len(table.filter(pl.col("user_id") <= 107))
    with pytest.raises(InputError, match=f"^{missing} ratings of {n} have no time"):
        make(some)


def test_a_point_in_time_parts_before_and_after(data):
    at = 86400 * 100
    split = by_time(data, at=at)
    assert split.train.ratings.timestamps.max() < at
    assert len(split.test) == int((data.ratings.timestamps >= at).sum())
    assert "1970-04-11" in split.how
    assert len(by_time(data, 0.25).test) == pytest.approx(0.25 * len(data.ratings), abs=1)


def test_users_who_are_held_out_are_not_learnt_from(data):
    split = held_out_users(data, 0.3, shown=0.5)
    asked = set(split.test["user_id"])
    assert not asked & set(split.train.ratings.user_ids)
    assert asked <= set(split.shown.user_ids)
    assert len(split.shown.user_ids) == round(0.3 * len(data.ratings.user_ids))


def test_a_split_that_hides_nothing_or_everything_is_refused(data):
    with pytest.raises(InputError, match="nothing is hidden"):
        within_users(data, 0)
    with pytest.raises(InputError, match="nothing is left to learn from"):
        within_users(data, 1)
    with pytest.raises(InputError, match=r"share=1\.5: expected"):
        within_users(data, 1.5)


def test_a_given_split_has_ids_of_the_same_types(data):
    test = {"user_id": ["107"], "item_id": [1000], "rating": [4]}
    with pytest.raises(InputError, match="user_id is not of type int"):
        given(data, test)


# ------------------------------------------------------------------------------------------------------- measurement
def lists_of(rec, n):
    """Ask for everybody's list one by one."""
    return {user: [row.item_id for row in rec.recommend(user_id=user, n=n)] for user in rec.user_ids}


def hidden_of(test, least=0):
    return {u: set(t["item_id"]) for (u,), t in test.filter(pl.col("rating") >= least).group_by("user_id")}


@pytest.mark.parametrize("name", ["within_users", "within_items", "leave_last_out", "by_time", "random_folds"])
def test_what_is_measured_is_what_is_served(name, data):
    split = SPLITS[name](data)
    result = evaluate(Recommender(), split, n=[2, 5])
    rec = Recommender(fill_with_popular=False).fit(split.train)
    lists = {user: entries for user, entries in lists_of(rec, 5).items() if user in set(split.test["user_id"])}
    for n, (relevance, least) in itertools.product((2, 5), (("any", 0), ("liked", 4))):
        means, count = naive.mean_over_users(lists, hidden_of(split.test, least), n)
        for measure, value in means.items():
            assert result.value(f"{measure}@{n}", relevance) == pytest.approx(value), (measure, n, relevance)
        counted = [row.units for row in result.rows(resamples=1) if row.relevance == relevance]
        assert set(counted) == {count}
    kept = split.train.ratings
    raters = {item: int(n) for item, n in zip(kept.item_ids, np.bincount(kept.matrix.indices), strict=True)}
    whole = naive.of_lists_as_a_whole(lists, raters, len(kept.user_ids), len(kept.item_ids))
    assert {measure: result.value(measure) for measure in whole} == pytest.approx(whole)
    said = [
        (rec.predict(user, item).predicted_rating if user in rec.user_ids and item in rec.item_ids else None, rating)
        for user, item, rating in split.test.iter_rows()
    ]
    if all(predicted is not None for predicted, _ in said):
        assert {measure: result.value(measure) for measure in ("rmse", "mae")} == pytest.approx(naive.errors(said))


def test_users_held_out_are_asked_about_by_what_is_shown(data):
    split = held_out_users(data, 0.4, shown=0.6)
    result, rec = evaluate(Recommender(), split, n=3), Recommender(fill_with_popular=False).fit(split.train)
    lists = {}
    for (user,), theirs in split.shown.to_polars().group_by("user_id"):
        ratings = {m: r for m, r in theirs.select("item_id", "rating").iter_rows() if m in rec.item_ids}
        lists[user] = [row.item_id for row in rec.recommend(ratings=ratings, n=3)]
    lists = {user: entries for user, entries in lists.items() if user in set(split.test["user_id"])}
    means, _ = naive.mean_over_users(lists, hidden_of(split.test), 3)
    assert {name: result.value(f"{name}@3", "any") for name in means} == pytest.approx(means)


def test_what_is_shown_of_unknown_items_is_no_evidence():
    seen = {"user_id": [1, 1, 2, 2, 2], "item_id": [7, 8, 7, 8, 9], "rating": [5, 4, 4, 5, 2]}
    train = Dataset.from_frames(seen, scale=(1, 5, 1))
    shown = Dataset.from_frames({"user_id": [5, 5, 5], "item_id": [1, 8, 99], "rating": [1, 5, 1]}, scale=(1, 5, 1))
    test = pl.DataFrame({"user_id": [5, 5], "item_id": [7, 9], "rating": [4.0, 4.0]})
    result = evaluate(Recommender(), Split(train, test, "made", shown=shown.ratings), n=2)
    assert result.value("recall@2", "any") == 1
    rec = Recommender().fit(train)
    said = [(rec.predict(None, item_id=item, ratings={8: 5}).predicted_rating, 4) for item in (7, 9)]
    assert result.value("rmse") == pytest.approx(naive.errors(said)["rmse"])


def test_lists_are_not_filled_up_with_popular_items():
    """Nobody has rated 7 or 8 and also 9: a list of the first two users ends before 9, popular as it may be."""
    table = {"user_id": [1, 1, 2, 3, 4, 5], "item_id": [7, 8, 7, 9, 9, 9], "rating": [5, 4, 4, 5, 5, 5]}
    split = given(Dataset.from_frames(table, scale=(1, 5, 1)), {"user_id": [2], "item_id": [9], "rating": [5]})
    assert evaluate(Recommender(), split).value("hit_rate@10", "any") == 0


def test_pairs_in_small_portions_are_the_same_pairs(data, monkeypatch):
    split = by_time(data)
    whole = evaluate(Recommender(), split).to_dicts(resamples=5)
    monkeypatch.setattr(asking, "PAIRS", 7)
    assert evaluate(Recommender(), split).to_dicts(resamples=5) == whole


def test_the_audience_is_measured_item_by_item(data):
    split = within_items(data, 0.4)
    result, rec = evaluate(Recommender(), split, n=4, ask="users"), Recommender().fit(split.train)
    lists = {m: [row.user_id for row in rec.audience(m, n=4)] for m in set(split.test["item_id"])}
    relevant = {m: set(t["user_id"]) for (m,), t in split.test.group_by("item_id")}
    means, _ = naive.mean_over_users(lists, relevant, 4)
    assert {name: result.value(f"{name}@4", "any") for name in means} == pytest.approx(means)
    assert result.by_unit().columns[:2] == ["split", "item_id"]


def test_candidates_are_all_that_is_ranked(data):
    split = within_users(data)
    named = split.test.select("user_id", "item_id")
    rec = Recommender(fill_with_popular=False).fit(split.train)
    others = pl.concat([named.with_columns(item_id=pl.lit(item, pl.Int64)) for item in list(rec.item_ids)[:4]])
    split = Split(split.train, split.test, split.how, candidates=pl.concat([named, named, others]))
    result = evaluate(Recommender(), split, n=3)
    lists = {}
    for (user,), theirs in split.candidates.unique().group_by("user_id"):
        scores = {m: rec.explain(user, m).value for m in sorted(set(theirs["item_id"]) & set(rec.item_ids))}
        lists[user] = sorted(scores, key=lambda m: (-(scores[m] or 0), m))[:3]
    means, _ = naive.mean_over_users(lists, hidden_of(split.test), 3)
    assert {name: result.value(f"{name}@3", "any") for name in means} == pytest.approx(means)


def test_a_candidate_without_a_score_comes_last():
    table = {"user_id": [1, 1, 2, 2, 3], "item_id": [8, 9, 8, 9, 7], "rating": [5, 4, 4, 5, 5]}
    train = Dataset.from_frames(table | {"user_id": [1, 1, 2, 4, 3]}, scale=(1, 5, 1))
    test = pl.DataFrame({"user_id": [2], "item_id": [9], "rating": [5.0]})
    both = pl.DataFrame({"user_id": [2, 2], "item_id": [7, 9]})  # nobody has rated 8 and 7
    assert evaluate(Recommender(), Split(train, test, "made", candidates=both), 2).value("mrr@2", "any") == 1


def test_the_recommender_is_left_as_it_is(data):
    fresh = Recommender()
    evaluate(fresh, within_users(data))
    assert not hasattr(fresh, "models_")
    assert fresh.fill_with_popular
    fitted = Recommender().fit(data)
    before = fitted.recommend(user_id=100)
    evaluate(fitted, within_users(data))
    assert fitted.recommend(user_id=100) == before


def test_an_item_without_training_data_of_which_genres_are_known_is_judged_and_told():
    seen = {"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 9, 8], "rating": [5, 1, 4, 3, 4]}
    known = {"item_id": [7, 8, 9, 10, 11], "genres": ["Drama", "Comedy", "Comedy", "Drama", ""]}
    train = Dataset.from_frames(seen, known, scale=(1, 5, 1), name="few")
    result = evaluate(Recommender(), given(train, {"user_id": [1, 1], "item_id": [10, 11], "rating": [5, 5]}), n=2)
    assert result.value("recall@2", "any") == 0.5
    assert np.isfinite(result.value("novelty"))
    assert [note.split(":")[0] for note in result.notes] == [
        "1 hidden rating of 1 item without training data",
        "1 hidden rating of 1 item without training data",
    ]
    assert result.notes[1].endswith("genres and year alone speak for it.")


def test_what_has_no_training_data_is_counted_and_told():
    train = Dataset.from_frames(
        {"user_id": [1, 1, 2, 2], "item_id": [7, 8, 7, 9], "rating": [5, 1, 4, 3]}, scale=(1, 5, 1), name="few"
    )
    test = {"user_id": [1, 1, 3], "item_id": [9, 99, 7], "rating": [5, 5, 2]}
    result = evaluate(Recommender(), given(train, test), n=2)
    assert result.value("recall@2", "any") == 0.5  # item 99 cannot be listed; user 3 has no list
    rows = {(row.measure, row.relevance): row for row in result.rows(resamples=5)}
    assert (rows["recall@2", "any"].units, rows["recall@2", "any"].left_out) == (1, 1)
    assert [note.split(":")[0] for note in result.notes] == [
        "1 hidden rating of 1 item without training data",
        "1 hidden rating of 1 user without training data",
    ]
    of_the_unknown = result.errors().filter((pl.col("of") == "item") & (pl.col("low") == 0))
    assert of_the_unknown["predicted"].to_list() == [13 / 4]


def test_a_rating_that_cannot_be_predicted_is_told_and_the_mean_stands_in():
    train = Dataset.from_frames(
        {"user_id": [1, 1, 2, 2], "item_id": [7, 8, 9, 10], "rating": [5, 1, 4, 3]}, scale=(1, 5, 1)
    )
    result = evaluate(textbook(), given(train, {"user_id": [1], "item_id": [9], "rating": [4]}))
    assert result.value("mae") == pytest.approx(4 - 13 / 4)
    assert result.notes == ("1 other hidden rating could not be predicted: the mean rating stands in.",)


def test_liked_is_four_of_five_a_given_bar_or_above_the_users_mean(data):
    split = within_users(data)
    assert evaluate(Recommender(), split).liked == "rated 4 or more"
    assert evaluate(Recommender(), split, liked=3).liked == "rated 3 or more"
    mean = evaluate(Recommender(), split, n=5, liked="mean")
    assert mean.liked == "rated above the user's own mean"
    kept = split.train.ratings.to_polars().group_by("user_id").agg(pl.col("rating").mean().alias("mean"))
    good = split.test.join(kept, on="user_id").filter(pl.col("rating") > pl.col("mean"))
    rec = Recommender(fill_with_popular=False).fit(split.train)
    lists = {user: entries for user, entries in lists_of(rec, 5).items() if user in set(split.test["user_id"])}
    means, _ = naive.mean_over_users(lists, hidden_of(good), 5)
    assert mean.value("ndcg@5", "liked") == pytest.approx(means["ndcg"])


def test_where_nothing_is_a_hit_there_is_no_number_and_it_is_told(data):
    result = evaluate(Recommender(), within_users(data), liked=5.5)
    assert math.isnan(result.value("ndcg@10", "liked"))
    row = {(row.measure, row.relevance): row for row in result.rows(resamples=20)}["ndcg@10", "liked"]
    assert (row.value, row.low, row.high, row.units) == (None, None, None, 0)
    assert row.left_out == len(data.ratings.user_ids)


def test_counts_without_a_top_are_liked_above_the_users_mean():
    table = made() | {"rating": np.random.default_rng(1).pareto(1, len(made()["rating"])).round() + 1}
    table["rating"][0] = 1e6
    assert evaluate(Recommender(), within_users(Dataset.from_frames(table))).liked == "rated above the user's own mean"


def test_several_splits_give_the_mean_of_their_measures(data):
    folds = random_folds(data, 3)
    result, each = evaluate(Recommender(), folds), [evaluate(Recommender(), fold) for fold in folds]
    for measure, relevance in (("ndcg@10", "any"), ("rmse", None), ("concentration", None)):
        assert result.value(measure, relevance) == pytest.approx(np.mean([e.value(measure, relevance) for e in each]))


def test_progress_is_told_from_nothing_to_all(data):
    told = []
    evaluate(Recommender(), random_folds(data, 2), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n=0: expected"),
        ({"n": []}, r"n=\[\]: expected"),
        ({"n": "10"}, "n='10': expected"),
        ({"ask": "films"}, "ask='films': expected"),
        ({"liked": "often"}, "liked='often': expected"),
    ],
)
def test_wrong_arguments_are_named(data, options, message):
    with pytest.raises(InputError, match=message):
        evaluate(Recommender(), within_users(data), **options)


def test_a_split_must_be_one(data):
    with pytest.raises(InputError, match="expected a Split"):
        evaluate(Recommender(), [data])


# ------------------------------------------------------------------------------------------------------------- doubt
@pytest.fixture(scope="module")
def two(sample):
    split = within_users(sample)
    return evaluate(textbook(), split), evaluate(Recommender(), split)


def test_intervals_hold_their_value_and_are_the_same_for_the_same_seed(two):
    rows = two[1].rows(resamples=300)
    assert rows == two[1].rows(resamples=300)
    assert rows != two[1].rows(resamples=300, seed=1)
    for row in rows:
        assert row.low is None or row.low < row.value < row.high


def test_an_interval_is_about_as_wide_as_theory_says(two):
    (row,) = [row for row in two[1].rows(resamples=2000) if (row.measure, row.relevance) == ("precision@10", "any")]
    each = two[1].by_unit().filter((pl.col("measure") == "precision@10") & (pl.col("relevance") == "any"))
    wanted = 2 * 1.96 * each["total"].std() / math.sqrt(len(each))
    assert row.high - row.low == pytest.approx(wanted, rel=0.08)


def test_draws_in_small_portions_are_the_same_draws(two, monkeypatch):
    whole = two[1].rows(resamples=50)
    monkeypatch.setattr(resampling, "CELLS", 5000)
    assert two[1].rows(resamples=50) == whole


def test_by_unit_holds_all_that_a_measure_is_made_of(two):
    table = two[1].by_unit().group_by("measure", "relevance").agg(pl.col("total", "weight").sum())
    for measure, relevance, total, weight in table.iter_rows():
        value = math.sqrt(total / weight) if measure == "rmse" else total / weight
        assert two[1].value(measure, relevance) == pytest.approx(value)


def test_errors_by_bins_add_up_to_all_errors(two):
    for (_,), table in two[1].errors().group_by("of"):
        squares = (table["rmse"] ** 2 * table["pairs"]).sum()
        assert math.sqrt(squares / table["pairs"].sum()) == pytest.approx(two[1].value("rmse"))
        assert (table["mae"] * table["pairs"]).sum() / table["pairs"].sum() == pytest.approx(two[1].value("mae"))


def test_a_clear_difference_is_told_and_none_is_not(two):
    found = {(row.measure, row.relevance): row for row in compare(*two, resamples=500)}
    ndcg = found["ndcg@10", "any"]
    assert ndcg.difference == pytest.approx(ndcg.second - ndcg.first)
    assert 0 < ndcg.low < ndcg.difference < ndcg.high
    assert ndcg.p_value == pytest.approx(1 / 501)
    for row in compare(two[0], two[0], resamples=50):
        assert (row.difference, row.low, row.high, row.p_value) == (0, 0, 0, 1)


def test_the_randomisation_test_agrees_with_trying_every_exchange():
    train = Dataset.from_frames(made(3, n_users=9), scale=(1, 5, 1))
    split = within_users(train, 0.3)
    results = evaluate(textbook(), split), evaluate(Recommender(), split)
    (row,) = [r for r in compare(*results, resamples=20_000) if r.measure == "mae"]
    totals = [r.by_unit().filter(pl.col("measure") == "mae") for r in results]
    gaps = ((totals[1]["total"] - totals[0]["total"]) / totals[0]["weight"].sum()).to_numpy()
    signs = np.array(list(itertools.product((-1, 1), repeat=len(gaps))))
    wanted = np.mean(np.abs(signs @ gaps) >= abs(gaps.sum()) - 1e-12)
    assert row.p_value == pytest.approx(wanted, abs=0.02)


def test_only_what_was_measured_on_the_same_split_is_compared(data):
    first = evaluate(Recommender(), within_users(data))
    for other in (within_users(data, seed=1), random_folds(data, 2)):
        with pytest.raises(InputError, match="not measured on the same split"):
            compare(first, evaluate(Recommender(), other))
    with pytest.raises(InputError, match="with the same n"):
        compare(first, evaluate(Recommender(), within_users(data), n=5))


def test_a_measure_that_there_is_not_is_answered_with_those_there_are(two):
    with pytest.raises(InputError, match=r"measure='ndcg@20'.*expected one of ndcg@10, map@10.*coverage"):
        two[0].value("ndcg@20", "any")


def test_results_go_into_tables(two):
    table = two[1].to_polars(resamples=20)
    assert table.columns == ["measure", "relevance", "value", "low", "high", "units", "left_out"]
    assert table.to_dicts() == two[1].to_dicts(resamples=20)
    assert "ndcg@10 any" in repr(two[1])


# --------------------------------------------------------------------------------------------------------- real data
def test_the_recipe_on_the_official_folds_has_its_known_error(shared_data):
    result = evaluate(textbook(), given_folds(shared_data / "ml-100k.zip"))
    assert result.value("rmse") == pytest.approx(1.017, abs=5e-4)
    (note,) = result.notes
    assert note.startswith("167 hidden ratings of items without training data: ")


def test_a_split_can_be_made_of_tables_of_any_kind():
    """What was loaded with pandas or polars is a data set; nobody has to make one first."""
    train = {"user_id": [1, 1, 2, 2, 3, 3], "item_id": [7, 8, 7, 9, 8, 9], "rating": [5, 4, 4, 2, 5, 3]}
    test = {"user_id": [3], "item_id": [7], "rating": [4]}
    wanted = evaluate(textbook(), given(Dataset.from_frames(train), test))
    for kind in (pd.DataFrame, pl.DataFrame, dict):
        split = given(kind(train), kind(test))
        assert split.test.rows() == [(3, 7, 4.0)]
        assert repr(evaluate(textbook(), split)) == repr(wanted)
        assert repr(within_users(kind(train), 0.5)) == "ratings: 3 ratings to learn from, 3 hidden"
        assert len(random_folds(kind(train), 2)) == 2
