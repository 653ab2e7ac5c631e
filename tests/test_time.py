"""Ageing of ratings, and fitted models that serve other users."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive
from reelated.errors import InputError
from reelated.evaluation import compare, evaluate, within_users
from reelated.models import BPMF, EASE, ItemKNN
from reelated.ratings import NO_TIME, Dataset, Ratings
from reelated.recommender import Recommender

BY = ("score", "rating")


def table(times, users=None):
    """Return ratings of two users with times."""
    users = [1, 1, 1, 1, 2, 2] if users is None else users
    return {"user_id": users, "item_id": [4, 5, 6, 7, 4, 9], "rating": [5, 4, 3, 2, 1, 5], "timestamp": times}


def village(seed=3, n_users=40, n_items=17):
    rng = np.random.default_rng(seed)
    pairs = rng.choice(n_users * n_items, 300, replace=False)
    return pl.DataFrame(
        {
            "user_id": pairs // n_items + 100,
            "item_id": pairs % n_items * 3 + 1,
            "rating": rng.integers(1, 6, 300).astype(float),
            "timestamp": rng.integers(0, 60, 300),
        }
    )


@given(st.lists(st.integers(0, 3), min_size=6, max_size=6), st.lists(st.sampled_from([1, 2]), min_size=6, max_size=6))
def test_the_age_of_a_rating_is_the_number_of_later_ratings_by_the_user(times, users):
    frame = pl.DataFrame({"user_id": users, "item_id": range(6), "rating": [3.0] * 6, "timestamp": times})
    ratings = Dataset.from_frames(frame).ratings
    told = dict(zip(ratings.to_polars()["item_id"], ratings.ages(), strict=True))
    for item, (user, time) in enumerate(zip(users, times, strict=True)):
        assert told[item] == sum(u == user and t > time for u, t in zip(users, times, strict=True))


def test_the_order_gives_the_ages_if_times_are_incomplete_and_without_both_there_are_none():
    known = Dataset.from_frames(table([10, 20, 30, 30, 5, 6])).ratings
    assert known.ages().tolist() == [3, 2, 0, 0, 1, 0]
    some = replace(known, timestamps=np.where(np.arange(6) == 1, NO_TIME, known.timestamps))
    assert some.ages() is None
    assert replace(some, order=np.array([0, 1, 2, 3, 1, 0])).ages().tolist() == [3, 2, 1, 0, 0, 1]
    assert Dataset.from_frames({"user": [1], "item": [1], "stars": [3]}).ratings.ages() is None


def test_known_times_are_used_and_missing_ones_are_noted():
    timed, timeless = village(), village().drop("timestamp")
    assert Recommender().fit(timed).notes_ == ()
    assert Recommender().fit(timeless).notes_ == ("Not all ratings have a time: all count alike, however old.",)
    for made in (Recommender(recency_half_life=None), Recommender(ranker=None)):
        assert made.fit(timeless).notes_ == ()
    assert Recommender().fit(timeless).recommend(110) == Recommender(recency_half_life=None).fit(timed).recommend(110)


def test_older_ratings_have_lower_weights():
    frame, settings = village(), {"recency_half_life": 3.0, "recency_floor": 0.25}
    made = Recommender(EASE(l2=1.0), **settings).fit(frame)
    R = naive.as_dense(made.ratings_.matrix)
    S, ages = made.models_.ranker.item_weights_.toarray(), naive.as_dense(made.ratings_.matrix)
    ages[~np.isnan(R)] = made.ratings_.ages()
    worth = naive.worth(R, (1, 5), 0.25) * np.nan_to_num(0.25 + 0.75 * 0.5 ** (ages / 3.0))
    for user in (100, 117, 139):
        u = made.user_ids.index_of(user)
        for row in made.recommend(user, n=20, by="score"):
            if row.source == "model":
                i = made.item_ids.index_of(row.item_id)
                assert row.score == pytest.approx(worth[u] @ S[i], abs=1e-5)
                assert sum(r.contribution for r in row.reasons) + row.other == pytest.approx(row.score, abs=1e-5)
    assert made.recommend(100) != Recommender(EASE(l2=1.0), recency_half_life=None).fit(frame).recommend(100)


@pytest.mark.parametrize("by", BY)
def test_lists_audiences_and_explanations_agree_on_the_age_of_ratings(by, tmp_path):
    made = Recommender(EASE(l2=1.0), recency_half_life=2).fit(village())
    everybody = pl.concat(made.recommend_batch(5, by=by))
    for user in (101, 120):
        rows = made.recommend(user, n=5, by=by)
        mine = everybody.filter(pl.col("user_id") == user)
        assert mine["item_id"].to_list() == [row.item_id for row in rows]
        for row in rows:
            why = made.explain(user, row.item_id, by=by)
            assert why.value == (row.score if by == "score" else row.predicted_rating)
            assert why.rank == row.rank
            audience = {other.user_id: other for other in made.audience(row.item_id, n=40, by=by)}
            assert (audience[user].score, audience[user].predicted_rating) == (row.score, row.predicted_rating)
    loaded = Recommender.load(made.save(tmp_path / "m"))
    assert (loaded.recency_half_life, loaded.recency_floor) == (2, 0.5)
    assert loaded.recommend(101, by=by) == made.recommend(101, by=by)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"recency_half_life": 0}, "recency_half_life=0: expected"),
        ({"recency_half_life": "x"}, "recency_half_life='x'"),
        ({"recency_half_life": -3}, "recency_half_life=-3"),
        ({"recency_floor": 2}, "recency_floor=2"),
        ({"recency_floor": None}, "recency_floor=None"),
    ],
)
def test_invalid_ageing_parameters_are_rejected_by_name(wrong, said):
    with pytest.raises(InputError, match=said):
        Recommender(**wrong).fit(village())


# --------------------------------------------------------------------------------------------------- other people
def test_fitted_models_serve_other_users_without_a_refit():
    frame = village()
    made = Recommender(EASE(l2=1.0)).fit(frame)
    some = made.with_ratings(frame.filter(pl.col("user_id") < 120))
    assert some.models_ is made.models_
    assert max(some.user_ids) < 120 < max(made.user_ids)
    for user in (100, 119):
        assert some.recommend(user) == made.recommend(user)
    later = made.with_ratings({"user_id": ["a", "a"], "item_id": [1, 4], "rating": [5, 1]})
    new_user = made.recommend(ratings={1: 5, 4: 1})  # another predicted rating: the number of ratings is not a feature
    assert [replace(row, predicted_rating=0) for row in later.recommend("a")] == [
        replace(row, predicted_rating=0) for row in new_user
    ]
    assert len(made.ratings_) == 300


def test_unknown_items_are_ignored_and_times_stay_with_their_ratings():
    made = Recommender(EASE(l2=1.0)).fit(village())
    frame = pl.DataFrame(
        {"user_id": [7, 7, 7, 8], "item_id": [4, 999, 1, 1], "rating": [5, 3, 2, 4], "timestamp": [30, 20, 10, 5]}
    )
    other = made.with_ratings(frame).ratings_
    assert list(other.item_ids) == list(made.item_ids)
    assert other.to_polars().rows() == [(7, 1, 2.0, 10), (7, 4, 5.0, 30), (8, 1, 4.0, 5)]
    assert isinstance(other, Ratings)
    assert other.ages().tolist() == [1, 0, 0]


def test_ratings_on_another_scale_or_with_other_ids_are_rejected():
    made = Recommender().fit(village())
    with pytest.raises(InputError, match="ratings from 1 to 50: expected 1 to 5 in steps of 1, as in the fit"):
        made.with_ratings({"user_id": [1, 2], "item_id": [1, 4], "rating": [50, 1]})
    with pytest.raises(InputError, match="item_id is of type str: expected int, as in the fit"):
        made.with_ratings({"user_id": [1, 2], "item_id": ["1", "4"], "rating": [5, 1]})


# ------------------------------------------------------------------------------------------------------ intervals
def test_a_prediction_has_an_interval_if_the_model_has_one():
    made = Recommender(EASE(l2=1.0), BPMF(n_samples=5, n_warmup=2)).fit(village())
    for user in (100, 117):
        for item in (1, 4, 16):
            told = made.predict(user, item)
            row = naive.as_dense(made.ratings_.matrix)[[made.user_ids.index_of(user)]]
            row[0, made.item_ids.index_of(item)] = np.nan
            column = [made.item_ids.index_of(item)]
            low, high = made.models_.rater.predict_intervals(naive.as_csr(row), [0], column, level=0.8)
            assert (told.low, told.high) == (low[0], high[0])
            assert 1 <= told.low < told.predicted_rating < told.high <= 5
    plain = Recommender(EASE(l2=1.0), ItemKNN("residual-cosine")).fit(village()).predict(100, 4)
    assert (plain.low, plain.high) == (None, None)


def test_the_interval_coverage_of_hidden_ratings_is_measured():
    split = within_users(Dataset.from_frames(village()), 0.3)
    made = Recommender(EASE(l2=1.0), BPMF(n_samples=5, n_warmup=2))
    result, rec = evaluate(made, split), made.fit(split.train)
    users, items = (
        ids.indices_of(split.test[name]) for ids, name in ((rec.user_ids, "user_id"), (rec.item_ids, "item_id"))
    )
    known = (users >= 0) & (items >= 0)
    low, high = rec.models_.rater.predict_intervals(rec.ratings_.matrix, users[known], items[known], level=0.8)
    given = split.test["rating"].to_numpy()[known]
    assert result.value("interval_coverage") == pytest.approx(np.mean((low <= given) & (given <= high)))
    assert 0.5 < result.value("interval_coverage") < 1
    plain = evaluate(Recommender(EASE(l2=1.0), ItemKNN("residual-cosine")), split)
    assert "interval_coverage" not in {measure.measure for measure in plain.rows(resamples=10)}


def test_a_model_with_intervals_can_be_compared_with_one_without():
    split = within_users(Dataset.from_frames(village()), 0.3)
    with_them = Recommender(EASE(l2=1.0), BPMF(n_samples=5, n_warmup=2))
    one, two = (evaluate(made, split) for made in (with_them, Recommender(EASE(l2=1.0), ItemKNN("residual-cosine"))))
    assert {told.measure for told in compare(one, two, resamples=20)} == {
        told.measure for told in two.rows(resamples=10)
    } - {"coverage", "top10_share"}
