"""Evaluation: splits are complete, metrics match their definitions, intervals and tests are correct."""

import itertools
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import naive_metrics as naive
import reelated
from reelated.errors import InputError
from reelated.evaluation import (
    Split,
    bootstrap,
    by_time,
    compare,
    evaluate,
    held_out_users,
    leave_last_out,
    metrics,
    predefined_folds,
    predefined_split,
    random_folds,
    scoring,
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


def make_ratings(seed=0, n_users=23, n_items=17, share=0.5):
    """Make a non-square table of ratings with ids that are no row numbers, and times without ties."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((n_users, n_items)) < share)
    rating = rng.integers(1, 6, len(users)).astype(float)
    times = rng.permutation(len(users)) * 86400
    return {"user_id": 100 + 7 * users, "item_id": 1000 + 3 * items, "rating": rating, "timestamp": times}


@pytest.fixture(scope="module")
def data():
    return Dataset.from_frames(make_ratings(), scale=(1, 5, 1), name="made")


@pytest.fixture(scope="module")
def sample():
    return reelated.read("sample")


def pairs(table):
    return set(table.select("user_id", "item_id").iter_rows())


def test_list_metrics_match_hand_computed_values():
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


def test_rating_and_overall_metrics_match_hand_computed_values():
    assert metrics.rmse(np.array([3.0, 5.0]), np.array([4.0, 2.0])) == math.sqrt(5)
    assert metrics.mae(np.array([3.0, 5.0]), np.array([4.0, 2.0])) == 2
    assert metrics.coverage(np.array([2, 0, 1, 0])) == 0.5
    assert metrics.top_share(np.array([2, 0, 1, 0]), 1) == pytest.approx(2 / 3)
    lists, shares = np.array([[0, 1, -1], [1, -1, -1], [-1, -1, -1]]), np.array([0.5, 0.25])
    np.testing.assert_array_equal(metrics.novelty(lists, shares), [1.5, 2, np.nan])


def test_metrics_of_no_data_are_nan():
    assert math.isnan(metrics.rmse(np.empty(0), np.empty(0)))
    assert math.isnan(metrics.mae(np.empty(0), np.empty(0)))
    assert math.isnan(metrics.top_share(np.zeros(3, int), 10))


def test_an_unknown_item_is_not_a_hit_on_another_list():
    hidden = scoring.HoldOut(pl.Series([5, 6]), np.array([0, 1]), np.array([0, -1]), np.array([True, True]))
    metrics = scoring.score_lists(np.array([[1], [0]]), np.array([True, True]), hidden, [1])
    assert {values.measure: values.totals.tolist() for values in metrics}["hit_rate@1"] == [0, 0]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.lists(st.booleans(), min_size=4, max_size=4), st.integers(0, 6)), min_size=1, max_size=9))
def test_list_metrics_match_plain_loops(cases):
    cases = [(hits, max(sum(hits), 1) + more) for hits, more in cases]
    hits, counts = np.array([hits for hits, _ in cases]), np.array([count for _, count in cases])
    for row, (places, count) in enumerate(cases):
        relevant = {k for k, hit in enumerate(places) if hit} | {10 + k for k in range(count - sum(places))}
        for name, value in naive.score_list(list(range(4)), relevant, 4).items():
            assert metrics.RANKING[name](hits, counts)[row] == pytest.approx(value), name


@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("seed", range(3))
def test_every_rating_is_in_exactly_one_part_of_a_split(name, seed):
    data = Dataset.from_frames(make_ratings(seed), scale=(1, 5, 1))
    split, expected = SPLITS[name](data), data.ratings.to_polars()
    hidden = split.test.join(expected, on=["user_id", "item_id", "rating"], how="inner").select(expected.columns)
    shown = [] if split.shown is None else [split.shown.to_polars()]
    parts = pl.concat([split.train.ratings.to_polars(), hidden, *shown])
    assert parts.sort("user_id", "item_id").equals(expected)
    assert split.train.items.equals(data.items)
    assert split.train.ratings.scale == data.ratings.scale


@pytest.mark.parametrize("name", ["within_users", "within_items", "held_out_users", "random_folds"])
def test_the_seed_determines_the_hidden_ratings(name, data):
    make = {"within_users": within_users, "within_items": within_items, "held_out_users": held_out_users}.get(
        name, lambda data, seed=0: random_folds(data, seed=seed)[0]
    )
    assert make(data, seed=4).test.equals(make(data, seed=4).test)
    assert not make(data, seed=4).test.equals(make(data, seed=5).test)


@pytest.mark.parametrize(("make", "group"), [(within_users, "user_id"), (within_items, "item_id")])
def test_the_share_is_hidden_in_every_group(make, group, data):
    split, every = make(data, 0.3), data.ratings.to_polars()
    hidden = dict(split.test.group_by(group).len().iter_rows())
    for name, count in every.group_by(group).len().iter_rows():
        assert hidden.get(name, 0) == np.round(0.3 * count)


def test_folds_hide_every_rating_once(data):
    folds = random_folds(data, 4)
    hidden = [pair for fold in folds for pair in pairs(fold.test)]
    assert len(hidden) == len(set(hidden)) == len(data.ratings)
    assert {len(fold.test) for fold in folds} <= {len(hidden) // 4, len(hidden) // 4 + 1}


def test_leave_last_out_hides_the_latest_ratings(data):
    split, every = leave_last_out(data, 2), data.ratings.to_polars()
    for (user,), theirs in every.group_by("user_id"):
        latest = pairs(theirs.sort("timestamp").tail(2)) if len(theirs) > 2 else set()
        assert pairs(split.test.filter(pl.col("user_id") == user)) == latest


def test_users_with_too_few_ratings_keep_them_all():
    table = {"user_id": [1, 1, 1, 2, 2, 3], "item_id": [7, 8, 9, 8, 9, 7], "rating": [1, 2, 3, 4, 5, 5]}
    data = Dataset.from_frames(table | {"timestamp": range(6)})
    assert pairs(leave_last_out(data).test) == {(1, 9), (2, 9)}
    assert pairs(leave_last_out(data, 2).test) == {(1, 8), (1, 9)}


def test_the_order_is_used_where_some_times_are_missing():
    table = pl.DataFrame(make_ratings())
    timed = leave_last_out(Dataset.from_frames(table))
    some = table.with_columns(
        order="timestamp", timestamp=pl.when(pl.col("timestamp") > 500_000).then("timestamp")
    )  # fmt: skip
    split = leave_last_out(Dataset.from_frames(some))
    assert pairs(split.test) == pairs(timed.test)
    assert "by time" in timed.how
    assert "by the order given" in split.how


@pytest.mark.parametrize("make", [leave_last_out, by_time])
def test_missing_times_are_counted_in_the_message(make):
    table = pl.DataFrame(make_ratings())
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


def test_by_time_splits_at_a_point_in_time(data):
    at = 86400 * 100
    split = by_time(data, at=at)
    assert split.train.ratings.timestamps.max() < at
    assert len(split.test) == int((data.ratings.timestamps >= at).sum())
    assert "1970-04-11" in split.how
    assert len(by_time(data, 0.25).test) == pytest.approx(0.25 * len(data.ratings), abs=1)


def test_held_out_users_are_not_in_the_training_data(data):
    split = held_out_users(data, 0.3, shown=0.5)
    asked = set(split.test["user_id"])
    assert not asked & set(split.train.ratings.user_ids)
    assert asked <= set(split.shown.user_ids)
    assert len(split.shown.user_ids) == round(0.3 * len(data.ratings.user_ids))


def test_a_split_that_hides_nothing_or_everything_is_rejected(data):
    with pytest.raises(InputError, match="nothing is hidden"):
        within_users(data, 0)
    with pytest.raises(InputError, match="nothing is left to learn from"):
        within_users(data, 1)
    with pytest.raises(InputError, match=r"share=1\.5: expected"):
        within_users(data, 1.5)


def test_a_predefined_split_needs_ids_of_the_same_types(data):
    test = {"user_id": ["107"], "item_id": [1000], "rating": [4]}
    with pytest.raises(InputError, match="user_id is not of type int"):
        predefined_split(data, test)


def lists_of(rec, n):
    """Return the list of every user, one by one."""
    return {user: [row.item_id for row in rec.recommend(user_id=user, n=n)] for user in rec.user_ids}


def hidden_of(test, least=0):
    return {u: set(t["item_id"]) for (u,), t in test.filter(pl.col("rating") >= least).group_by("user_id")}


@pytest.mark.parametrize("name", ["within_users", "within_items", "leave_last_out", "by_time", "random_folds"])
def test_evaluation_measures_the_lists_of_recommend(name, data):
    split = SPLITS[name](data)
    result = evaluate(Recommender(), split, n=[2, 5])
    rec = Recommender(fill_with_popular=False).fit(split.train)
    lists = {user: entries for user, entries in lists_of(rec, 5).items() if user in set(split.test["user_id"])}
    for n, (relevance, least) in itertools.product((2, 5), (("any", 0), ("liked", 4))):
        means, count = naive.mean_over_users(lists, hidden_of(split.test, least), n)
        for measure, value in means.items():
            assert result.value(f"{measure}@{n}", relevance) == pytest.approx(value), (measure, n, relevance)
        counted = [row.entities for row in result.rows(resamples=1) if row.relevance == relevance]
        assert set(counted) == {count}
    train = split.train.ratings
    raters = {item: int(n) for item, n in zip(train.item_ids, np.bincount(train.matrix.indices), strict=True)}
    overall = naive.overall(lists, raters, len(train.user_ids), len(train.item_ids))
    assert {measure: result.value(measure) for measure in overall} == pytest.approx(overall)
    predictions = [
        (rec.predict(user, item).predicted_rating if user in rec.user_ids and item in rec.item_ids else None, rating)
        for user, item, rating in split.test.iter_rows()
    ]
    if all(predicted is not None for predicted, _ in predictions):
        assert {measure: result.value(measure) for measure in ("rmse", "mae")} == pytest.approx(
            naive.errors(predictions)
        )


def test_held_out_users_get_lists_from_their_shown_ratings(data):
    split = held_out_users(data, 0.4, shown=0.6)
    result, rec = evaluate(Recommender(), split, n=3), Recommender(fill_with_popular=False).fit(split.train)
    lists = {}
    for (user,), theirs in split.shown.to_polars().group_by("user_id"):
        ratings = {m: r for m, r in theirs.select("item_id", "rating").iter_rows() if m in rec.item_ids}
        lists[user] = [row.item_id for row in rec.recommend(ratings=ratings, n=3)]
    lists = {user: entries for user, entries in lists.items() if user in set(split.test["user_id"])}
    means, _ = naive.mean_over_users(lists, hidden_of(split.test), 3)
    assert {name: result.value(f"{name}@3", "any") for name in means} == pytest.approx(means)


def test_shown_ratings_of_unknown_items_are_ignored():
    seen = {"user_id": [1, 1, 2, 2, 2], "item_id": [7, 8, 7, 8, 9], "rating": [5, 4, 4, 5, 2]}
    train = Dataset.from_frames(seen, scale=(1, 5, 1))
    shown = Dataset.from_frames({"user_id": [5, 5, 5], "item_id": [1, 8, 99], "rating": [1, 5, 1]}, scale=(1, 5, 1))
    test = pl.DataFrame({"user_id": [5, 5], "item_id": [7, 9], "rating": [4.0, 4.0]})
    result = evaluate(Recommender(), Split(train, test, "made", shown=shown.ratings), n=2)
    assert result.value("recall@2", "any") == 1
    rec = Recommender().fit(train)
    known = rec.with_ratings({"user_id": [5], "item_id": [8], "rating": [5]})
    predictions = [(known.predict(5, item).predicted_rating, 4) for item in (7, 9)]
    assert result.value("rmse") == pytest.approx(naive.errors(predictions)["rmse"])


def test_lists_are_not_filled_with_popular_items():
    """No user has rated 7 or 8 and also 9: the lists of the first two users do not reach 9, although it is popular."""
    table = {"user_id": [1, 1, 2, 3, 4, 5], "item_id": [7, 8, 7, 9, 9, 9], "rating": [5, 4, 4, 5, 5, 5]}
    split = predefined_split(
        Dataset.from_frames(table, scale=(1, 5, 1)), {"user_id": [2], "item_id": [9], "rating": [5]}
    )
    assert evaluate(Recommender(), split).value("hit_rate@10", "any") == 0


def test_the_batch_size_of_pairs_changes_nothing(data, monkeypatch):
    split = by_time(data)
    expected = evaluate(Recommender(), split).to_dicts(resamples=5)
    monkeypatch.setattr("reelated.recommender.engine.PAIRS", 7)
    assert evaluate(Recommender(), split).to_dicts(resamples=5) == expected


def test_the_audience_is_measured_item_by_item(data):
    split = within_items(data, 0.4)
    result, rec = evaluate(Recommender(), split, n=4, target="users"), Recommender().fit(split.train)
    lists = {m: [row.user_id for row in rec.audience(m, n=4)] for m in set(split.test["item_id"])}
    relevant = {m: set(t["user_id"]) for (m,), t in split.test.group_by("item_id")}
    means, _ = naive.mean_over_users(lists, relevant, 4)
    assert {name: result.value(f"{name}@4", "any") for name in means} == pytest.approx(means)
    assert result.by_entity().columns[:2] == ["split", "item_id"]


def test_only_candidates_are_ranked(data):
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


def test_the_recommender_stays_unchanged(data):
    fresh = Recommender()
    evaluate(fresh, within_users(data))
    assert not hasattr(fresh, "models_")
    assert fresh.fill_with_popular
    fitted = Recommender().fit(data)
    before = fitted.recommend(user_id=100)
    evaluate(fitted, within_users(data))
    assert fitted.recommend(user_id=100) == before


def test_an_item_with_only_side_information_is_evaluated_and_noted():
    seen = {"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 9, 8], "rating": [5, 1, 4, 3, 4]}
    known = {"item_id": [7, 8, 9, 10, 11], "genres": ["Drama", "Comedy", "Comedy", "Drama", ""]}
    train = Dataset.from_frames(seen, known, scale=(1, 5, 1), name="few")
    result = evaluate(
        Recommender(), predefined_split(train, {"user_id": [1, 1], "item_id": [10, 11], "rating": [5, 5]}), n=2
    )
    assert result.value("recall@2", "any") == 0.5
    assert np.isfinite(result.value("novelty"))
    assert [note.split(":")[0] for note in result.notes] == [
        "1 hidden rating of 1 item without training data",
        "1 hidden rating of 1 item without training data",
    ]
    assert result.notes[1].endswith("only genres and year are used.")


def test_missing_training_data_is_counted_and_noted():
    train = Dataset.from_frames(
        {"user_id": [1, 1, 2, 2], "item_id": [7, 8, 7, 9], "rating": [5, 1, 4, 3]}, scale=(1, 5, 1), name="few"
    )
    test = {"user_id": [1, 1, 3], "item_id": [9, 99, 7], "rating": [5, 5, 2]}
    result = evaluate(Recommender(), predefined_split(train, test), n=2)
    assert result.value("recall@2", "any") == 0.5  # item 99 cannot be listed; user 3 has no list
    rows = {(row.measure, row.relevance): row for row in result.rows(resamples=5)}
    assert (rows["recall@2", "any"].entities, rows["recall@2", "any"].left_out) == (1, 1)
    assert [note.split(":")[0] for note in result.notes] == [
        "1 hidden rating of 1 item without training data",
        "1 hidden rating of 1 user without training data",
    ]
    of_the_unknown = result.errors().filter((pl.col("of") == "item") & (pl.col("low") == 0))
    assert of_the_unknown["predicted"].to_list() == [13 / 4]


def test_the_mean_replaces_a_rating_that_cannot_be_predicted_with_a_note():
    train = Dataset.from_frames(
        {"user_id": [1, 1, 2, 2], "item_id": [7, 8, 9, 10], "rating": [5, 1, 4, 3]}, scale=(1, 5, 1)
    )
    result = evaluate(textbook(), predefined_split(train, {"user_id": [1], "item_id": [9], "rating": [4]}))
    assert result.value("mae") == pytest.approx(4 - 13 / 4)
    assert result.notes == ("1 other hidden rating could not be predicted: the mean rating is used.",)


def test_liked_is_four_of_five_or_a_threshold_or_above_the_users_mean(data):
    split = within_users(data)
    assert evaluate(Recommender(), split).liked == "rated 4 or more"
    assert evaluate(Recommender(), split, liked=3).liked == "rated 3 or more"
    mean = evaluate(Recommender(), split, n=5, liked="mean")
    assert mean.liked == "rated above the user's own mean"
    means_by_user = split.train.ratings.to_polars().group_by("user_id").agg(pl.col("rating").mean().alias("mean"))
    good = split.test.join(means_by_user, on="user_id").filter(pl.col("rating") > pl.col("mean"))
    rec = Recommender(fill_with_popular=False).fit(split.train)
    lists = {user: entries for user, entries in lists_of(rec, 5).items() if user in set(split.test["user_id"])}
    means, _ = naive.mean_over_users(lists, hidden_of(good), 5)
    assert mean.value("ndcg@5", "liked") == pytest.approx(means["ndcg"])


def test_without_relevant_items_values_are_missing_and_users_left_out(data):
    result = evaluate(Recommender(), within_users(data), liked=5.5)
    assert math.isnan(result.value("ndcg@10", "liked"))
    row = {(row.measure, row.relevance): row for row in result.rows(resamples=20)}["ndcg@10", "liked"]
    assert (row.value, row.low, row.high, row.entities) == (None, None, None, 0)
    assert row.left_out == len(data.ratings.user_ids)


def test_counts_without_an_upper_end_are_liked_above_the_users_mean():
    table = make_ratings() | {"rating": np.random.default_rng(1).pareto(1, len(make_ratings()["rating"])).round() + 1}
    table["rating"][0] = 1e6
    data = Dataset.from_frames(table, feedback="explicit")
    assert evaluate(Recommender(), within_users(data)).liked == "rated above the user's own mean"


def test_several_splits_give_the_mean_of_their_metrics(data):
    folds = random_folds(data, 3)
    result, each = evaluate(Recommender(), folds), [evaluate(Recommender(), fold) for fold in folds]
    for measure, relevance in (("ndcg@10", "any"), ("rmse", None), ("top10_share", None)):
        assert result.value(measure, relevance) == pytest.approx(np.mean([e.value(measure, relevance) for e in each]))


def test_progress_is_reported_from_0_to_1(data):
    shares = []
    evaluate(Recommender(), random_folds(data, 2), progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n=0: expected"),
        ({"n": []}, r"n=\[\]: expected"),
        ({"n": "10"}, "n='10': expected"),
        ({"target": "films"}, "target='films': expected"),
        ({"liked": "often"}, "liked='often': expected"),
    ],
)
def test_error_messages_name_the_argument(data, options, message):
    with pytest.raises(InputError, match=message):
        evaluate(Recommender(), within_users(data), **options)


def test_the_split_must_be_a_split(data):
    with pytest.raises(InputError, match="expected a Split"):
        evaluate(Recommender(), [data])


@pytest.fixture(scope="module")
def two(sample):
    split = within_users(sample)
    return evaluate(textbook(), split), evaluate(Recommender(), split)


def test_intervals_contain_their_value_and_the_seed_determines_them(two):
    rows = two[1].rows(resamples=300)
    assert rows == two[1].rows(resamples=300)
    assert rows != two[1].rows(resamples=300, seed=1)
    for row in rows:
        assert row.low is None or row.low < row.value < row.high


def test_the_bootstrap_interval_is_about_as_wide_as_the_normal_one(two):
    (row,) = [row for row in two[1].rows(resamples=2000) if (row.measure, row.relevance) == ("precision@10", "any")]
    each = two[1].by_entity().filter((pl.col("measure") == "precision@10") & (pl.col("relevance") == "any"))
    expected = 2 * 1.96 * each["total"].std() / math.sqrt(len(each))
    assert row.high - row.low == pytest.approx(expected, rel=0.08)


def test_the_batch_size_of_resamples_changes_nothing(two, monkeypatch):
    expected = pl.DataFrame(two[1].rows(resamples=50))
    monkeypatch.setattr(bootstrap, "MAX_CELLS", 5000)
    # on several threads, BLAS adds in another order
    assert_frame_equal(pl.DataFrame(two[1].rows(resamples=50)), expected, rel_tol=1e-12)


def test_by_entity_sums_to_every_metric(two):
    table = two[1].by_entity().group_by("measure", "relevance").agg(pl.col("total", "weight").sum())
    for measure, relevance, total, weight in table.iter_rows():
        value = math.sqrt(total / weight) if measure == "rmse" else total / weight
        assert two[1].value(measure, relevance) == pytest.approx(value)


def test_error_bins_add_up_to_the_metrics(two):
    for (_,), table in two[1].errors().group_by("of"):
        squares = (table["rmse"] ** 2 * table["pairs"]).sum()
        assert math.sqrt(squares / table["pairs"].sum()) == pytest.approx(two[1].value("rmse"))
        assert (table["mae"] * table["pairs"]).sum() / table["pairs"].sum() == pytest.approx(two[1].value("mae"))


def test_a_clear_difference_is_significant_and_equality_is_not(two):
    comparisons = {(row.measure, row.relevance): row for row in compare(*two, resamples=500)}
    ndcg = comparisons["ndcg@10", "any"]
    assert ndcg.difference == pytest.approx(ndcg.second - ndcg.first)
    assert 0 < ndcg.low < ndcg.difference < ndcg.high
    assert ndcg.p_value == pytest.approx(1 / 501)
    for row in compare(two[0], two[0], resamples=50):
        assert (row.difference, row.low, row.high, row.p_value) == (0, 0, 0, 1)


def test_the_randomisation_test_matches_all_exchanges():
    train = Dataset.from_frames(make_ratings(3, n_users=9), scale=(1, 5, 1))
    split = within_users(train, 0.3)
    results = evaluate(textbook(), split), evaluate(Recommender(), split)
    (row,) = [r for r in compare(*results, resamples=20_000) if r.measure == "mae"]
    totals = [r.by_entity().filter(pl.col("measure") == "mae") for r in results]
    gaps = ((totals[1]["total"] - totals[0]["total"]) / totals[0]["weight"].sum()).to_numpy()
    signs = np.array(list(itertools.product((-1, 1), repeat=len(gaps))))
    expected = np.mean(np.abs(signs @ gaps) >= abs(gaps.sum()) - 1e-12)
    assert row.p_value == pytest.approx(expected, abs=0.02)


def test_only_evaluations_on_the_same_split_can_be_compared(data):
    first = evaluate(Recommender(), within_users(data))
    for other in (within_users(data, seed=1), random_folds(data, 2)):
        with pytest.raises(InputError, match="not measured on the same split"):
            compare(first, evaluate(Recommender(), other))
    with pytest.raises(InputError, match="with the same n"):
        compare(first, evaluate(Recommender(), within_users(data), n=5))


def test_an_unknown_metric_is_answered_with_the_known_ones(two):
    with pytest.raises(InputError, match=r"measure='ndcg@20'.*expected one of ndcg@10, map@10.*coverage"):
        two[0].value("ndcg@20", "any")


def test_results_convert_to_tables(two):
    table = two[1].to_polars(resamples=20)
    assert table.columns == ["measure", "relevance", "value", "low", "high", "entities", "left_out"]
    assert table.to_dicts() == two[1].to_dicts(resamples=20)
    assert "ndcg@10 any" in repr(two[1])


def test_the_textbook_recommender_has_its_known_error_on_the_official_folds(shared_data):
    result = evaluate(textbook(), predefined_folds(shared_data / "ml-100k.zip"))
    assert result.value("rmse") == pytest.approx(1.017, abs=5e-4)
    (note,) = result.notes
    assert note.startswith("167 hidden ratings of items without training data: ")


def test_splits_accept_pandas_and_polars_tables_and_dicts():
    train = {"user_id": [1, 1, 2, 2, 3, 3], "item_id": [7, 8, 7, 9, 8, 9], "rating": [5, 4, 4, 2, 5, 3]}
    test = {"user_id": [3], "item_id": [7], "rating": [4]}
    expected = evaluate(textbook(), predefined_split(Dataset.from_frames(train), test))
    for kind in (pd.DataFrame, pl.DataFrame, dict):
        split = predefined_split(kind(train), kind(test))
        assert split.test.rows() == [(3, 7, 4.0)]
        assert repr(evaluate(textbook(), split)) == repr(expected)
        assert repr(within_users(kind(train), 0.5)) == "ratings: 3 ratings to learn from, 3 hidden"
        assert len(random_folds(kind(train), 2)) == 2
