"""The promises of `recommend` with ids and titles: all numbers and lists equal the oracle."""

import dataclasses
import json
import tracemalloc
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone

import naive
import reelated
from reelated.errors import DataWarning, InputError, InputTypeError, TooLarge, UnknownId
from reelated.models import BPMF, EASE, MODELS, BiasModel, ItemKNN
from reelated.ratings import Dataset
from reelated.recommender import Recommender, textbook

BY = ("score", "rating")
RANKER = EASE(l2=2.0)  # small data need a small penalty
RATER = ItemKNN("residual-cosine", n_neighbors=200, max_neighbors_used=30, shrinkage=100, prior_weight=0.05)
UNRATED = 999
GENRES = ("Comedy", "Drama", "Film-Noir")


def stars(n_users=37, n_items=19, seed=4):
    """Return a non-square dense table of stars: a user and an item with one rating, and identical users and items."""
    rng = np.random.default_rng(seed)
    R = rng.integers(1, 6, (n_users, n_items)).astype(float)
    R[rng.random(R.shape) < 0.6] = np.nan
    R[3] = np.nan
    R[3, 5] = 4
    R[7] = R[8]
    R[:, 12] = np.nan
    R[20, 12] = 5
    R[:, 15] = R[:, 14]
    return R


R = stars()
USERS = [100 + 3 * u for u in range(R.shape[0])]
ITEMS = [5 + 7 * i for i in range(R.shape[1])]


def frame_of(R, users=USERS, items=ITEMS):
    """Return a table of ratings in random order."""
    u, i = np.nonzero(~np.isnan(R))
    order = np.random.default_rng(0).permutation(len(u))
    u, i = u[order], i[order]
    return pl.DataFrame({"user_id": [users[k] for k in u], "item_id": [items[k] for k in i], "rating": R[u, i]})


def catalogue():
    """Return the items; one of them has neither ratings nor attributes."""
    return pl.DataFrame(
        {
            "item_id": [*ITEMS, UNRATED],
            "title": [f"The Item {chr(65 + i)}" for i in range(len(ITEMS))] + ["Nobody's"],
            "year": [None if i == 4 else 1980 + i for i in range(len(ITEMS))] + [None],
            "genres": [list(GENRES[i % 3 : i % 3 + 2]) for i in range(len(ITEMS))] + [[]],
        }
    )


@pytest.fixture(scope="module")
def data():
    return Dataset.from_frames(frame_of(R), catalogue(), name="village")


@pytest.fixture(scope="module")
def rec(data):
    return Recommender(RANKER, RATER).fit(data)


@pytest.fixture(scope="module")
def plain(data):
    return textbook().fit(data)


@pytest.fixture(scope="module", params=["default", "textbook"])
def any_rec(request):
    return request.getfixturevalue({"default": "rec", "textbook": "plain"}[request.param])


def similarities(*settings, **more):
    return naive.item_similarity(*settings, **more)[0]


def ranking_weights():
    items = catalogue().head(len(ITEMS))
    known = naive.known_of_items(items["genres"].to_list(), items["year"].to_list())
    return naive.ease_weights(R, RANKER, known, scale=(1, 5))


def oracle(preset, by):
    """Return the named number for all users and items; no predicted rating of this data is clipped."""
    if preset == "textbook":
        return naive.scores(R, similarities(R), "rating", (1, 5), "cosine", np.zeros(R.shape[1]))
    if by == "score":
        S = ranking_weights()
        linked = naive.support(R, S) > 0
        return np.where(linked, naive.worth(R, (1, 5), RANKER.min_weight) @ S.T, np.nan)
    S = similarities(R, "residual-cosine", shrinkage=100, n_neighbors=200)
    return naive.scores(R, S, by, (1, 5), "residual-cosine", naive.item_offsets(R, "residual-cosine"), 0.05, 30)


def number(row, by):
    return row.predicted_rating if by == "rating" else row.score


def ratings_of(u):
    return {ITEMS[i]: R[u, i] for i in naive.rated(R[u])}


def message(kind, function, *arguments, **options):
    with pytest.raises(kind) as caught:
        function(*arguments, **options)
    return str(caught.value)


# ------------------------------------------------------------------------------------------------- lists of items
@pytest.mark.parametrize(("preset", "by"), [("default", "score"), ("default", "rating"), ("textbook", "rating")])
def test_every_list_equals_the_oracle(preset, by, rec, plain):
    made, truth = {"default": rec, "textbook": plain}[preset], oracle(preset, by)
    for u, user in enumerate(USERS):
        rows = [row for row in made.recommend(user, n=99, by=by) if row.source == "model"]
        best = naive.top_n(truth[u], 99, absent=naive.rated(R[u]))
        assert len(rows) == len(best)
        assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
        for row, i in zip(rows, best, strict=True):  # of two that are equal to the oracle either may stand first
            assert number(row, by) == pytest.approx(truth[u, i], abs=1e-4)
            assert number(row, by) == pytest.approx(truth[u, ITEMS.index(row.item_id)], abs=1e-4)


def test_every_row_has_both_numbers_and_the_attributes_of_the_item(rec):
    relevance, rating = oracle("default", "score"), oracle("default", "rating")
    table = {row["item_id"]: row for row in catalogue().to_dicts()}
    for by in BY:
        for row in rec.recommend(USERS[1], n=6, by=by):
            i, known = ITEMS.index(row.item_id), table[row.item_id]
            assert row.score == pytest.approx(relevance[1, i], abs=1e-4)
            assert row.predicted_rating == pytest.approx(rating[1, i], abs=1e-4)
            assert (row.title, row.year, list(row.genres)) == (known["title"], known["year"], known["genres"])


def test_n_neighbors_used_belongs_to_the_number_that_sorts_the_list(rec):
    ranking = naive.support(R, ranking_weights())
    rating = naive.support(R, similarities(R, "residual-cosine", shrinkage=100))
    for by, n_neighbors_used in (("score", ranking), ("rating", rating)):
        for row in rec.recommend(USERS[2], n=8, by=by):
            assert row.n_neighbors_used == n_neighbors_used[2, ITEMS.index(row.item_id)]


def test_rows_are_descending_and_ties_in_ascending_id(any_rec):
    tied = 0
    for user in USERS:
        for by in BY:
            rows = [row for row in any_rec.recommend(user, n=99, by=by) if row.source == "model"]
            keys = [(-number(row, by), row.item_id) for row in rows]
            assert keys == sorted(keys)
            tied += sum(one[0] == two[0] for one, two in pairwise(keys))
    assert tied, "the fixture holds items that are one"


def test_seen_and_excluded_items_are_absent(any_rec):
    for u, user in enumerate(USERS):
        listed = {row.item_id for row in any_rec.recommend(user, n=99, exclude=ITEMS[:4])}
        assert not listed & (ratings_of(u).keys() | set(ITEMS[:4]))


def test_a_list_has_n_rows_and_fillers_are_marked_popular(rec):
    user = USERS[3]  # one rating: few items are linked to it
    rows = rec.recommend(user, n=18)
    assert len(rows) == 18
    assert rows.short is None
    sources = [row.source for row in rows]
    assert set(sources) == {"model", "popular"}
    assert sources == sorted(sources)
    filled = [row for row in rows if row.source == "popular"]
    assert all((row.score, row.reasons, row.other) == (None, (), 0.0) for row in filled)
    counts = dict(zip(ITEMS, (~np.isnan(R)).sum(0), strict=True))
    keys = [(-counts[row.item_id], row.item_id) for row in filled]
    assert keys == sorted(keys)


def test_unfilled_lists_contain_only_rows_of_the_model(data, rec):
    bare = Recommender(RANKER, RATER, fill_with_popular=False).fit(data)
    for user in (USERS[3], USERS[10]):
        assert list(bare.recommend(user, n=99)) == [r for r in rec.recommend(user, n=99) if r.source == "model"]


def test_a_short_list_has_a_reason(data, rec):
    few, all_rated = (
        Recommender(RANKER, RATER, fill_with_popular=False).fit(data).recommend(USERS[3], n=18),
        rec.recommend(USERS[3], n=99),
    )
    assert few.short == (18, len(few), "no_neighbours")
    assert all_rated.short == (99, 18, "no_candidates_left")
    assert rec.recommend(USERS[3], n=18).short is None
    none = rec.recommend(USERS[3], years=1800)
    assert (len(none), none.short) == (0, (10, 0, "no_candidates_left"))


@pytest.mark.parametrize("by", BY)
def test_filters_apply_before_the_cut(any_rec, by):
    for user in USERS[:9]:
        everything = [row.item_id for row in any_rec.recommend(user, n=99, by=by)]
        genres = {row["item_id"]: set(row["genres"]) for row in catalogue().to_dicts()}
        noir = any_rec.recommend(user, n=2, by=by, genres=["film-NOIR"])
        assert {row.item_id for row in noir} <= {item for item in everything if "Film-Noir" in genres[item]}
        assert len(noir) == 2
        one = any_rec.recommend(user, n=3, by=by, exclude=everything[:1])
        assert [row.item_id for row in one] == everything[1:4]


def test_years_are_a_year_or_an_inclusive_pair(rec):
    eighties = {row.year for row in rec.recommend(USERS[3], n=99, years=(1983, 1986))}
    assert eighties == {1983, 1986}  # 1985 is rated, of 1984 the year is unknown
    assert {row.year for row in rec.recommend(USERS[3], n=99, years=1983)} == {1983}
    assert {row.year for row in rec.recommend(USERS[3], n=99, years=np.int64(1983))} == {1983}


@pytest.mark.parametrize("by", BY)
def test_a_user_gets_the_same_list_alone_and_in_a_batch(any_rec, by):
    batch = pl.concat(any_rec.recommend_batch(7, by=by, genres="Drama"))
    names = ["item_id", "title", "rank", "score", "predicted_rating", "n_neighbors_used", "source"]
    assert batch.columns == ["user_id", *names]
    for user in USERS:
        alone = any_rec.recommend(user, n=7, by=by, genres="Drama").to_polars()
        together = batch.filter(pl.col("user_id") == user)
        assert alone.select(names).rows() == together.select(names).rows()


def test_batch_lists_are_streamed_with_progress(rec, monkeypatch):
    whole, seen = pl.concat(rec.recommend_batch(3)), []
    monkeypatch.setattr("reelated.recommender.recommender.CHUNK", 10)
    parts = list(rec.recommend_batch(3, progress=seen.append))
    assert [part["user_id"].n_unique() for part in parts] == [10, 10, 10, 7]
    assert pl.concat(parts).equals(whole)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_without_a_ranker_score_and_rating_are_the_predicted_rating(plain, data):
    assert plain.recommend(USERS[5], by="score") == plain.recommend(USERS[5], by="rating")
    assert all(row.score == row.predicted_rating for row in plain.recommend(USERS[5]))
    assert (
        Recommender(ranker=None, fill_with_popular=False)
        .fit(data)
        .recommend(USERS[5])
        .heading.endswith("by predicted rating")
    )


GENEROUS = np.where(stars(29, 17, seed=2) > 2, 5, 4) * np.where(np.isnan(stars(29, 17, seed=2)), np.nan, 1)
"""Ratings of 4 and 5 alone: many predicted ratings are above the scale."""


@pytest.fixture(scope="module", params=[None, RANKER], ids=["rater alone", "both"])
def generous(request):
    made = Recommender(request.param, ItemKNN("residual-cosine", shrinkage=1), by="rating", fill_with_popular=False)
    S = similarities(GENEROUS, "residual-cosine", shrinkage=1)
    offsets = naive.item_offsets(GENEROUS, "residual-cosine")
    truth = naive.scores(GENEROUS, S, "rating", (4, 5), "residual-cosine", offsets)
    return made.fit(frame_of(GENEROUS, range(29), range(17))), truth


def test_lists_at_the_end_of_the_scale_are_sorted_by_the_unclipped_rating(generous):
    made, truth = generous
    batch, tied = pl.concat(made.recommend_batch(17)), 0
    for u in range(29):
        rows, wanted = made.recommend(u, n=17), naive.top_n(truth[u], 17, absent=naive.rated(GENEROUS[u]))
        assert [row.item_id for row in rows] == wanted
        assert batch.filter(pl.col("user_id") == u)["item_id"].to_list() == wanted
        assert [row.predicted_rating for row in rows] == pytest.approx(np.clip(truth[u, wanted], 4, 5))
        for row in rows:
            assert sum(part.contribution for part in row.reasons) + row.other == pytest.approx(row.predicted_rating)
            assert made.predict(u, row.item_id).predicted_rating == row.predicted_rating
            assert row.score == row.predicted_rating or made.models_.ranker is not None
            why = made.explain(u, row.item_id)
            assert (why.value, why.rank) == (row.predicted_rating, row.rank)
            assert why.base + sum(part.contribution for part in why.contributions) + why.clip == pytest.approx(
                why.value
            )
        tied += sum(row.predicted_rating == 5 for row in rows) > 1
    assert tied > 5


def test_users_at_the_end_of_the_scale_are_sorted_by_the_unclipped_rating(generous):
    made, truth = generous
    tables, tied = made.audience_batch(range(17), n=29, by="rating"), 0
    for i in range(17):
        rows, raters = made.audience(i, n=29, by="rating"), np.flatnonzero(~np.isnan(GENEROUS[:, i]))
        wanted = naive.top_n(truth[:, i], 29, absent=raters)
        assert [row.user_id for row in rows] == wanted
        assert tables.filter(pl.col("item_id") == i)["user_id"].to_list() == wanted
        assert [row.predicted_rating for row in rows] == pytest.approx(np.clip(truth[wanted, i], 4, 5))
        assert [row.above_user_mean for row in rows] == pytest.approx(
            [np.clip(truth[u, i], 4, 5) - np.nanmean(GENEROUS[u]) for u in wanted], abs=1e-5
        )
        tied += sum(row.predicted_rating == 5 for row in rows) > 1
    assert tied > 5


def test_the_textbook_recipe_breaks_ties_at_the_end_of_the_scale_by_ascending_id():
    made, tied = textbook().fit(frame_of(GENEROUS, range(29), range(17))), 0
    for u in range(29):
        keys = [(-row.predicted_rating, row.item_id) for row in made.recommend(u, n=17)]
        assert keys == sorted(keys)
        tied += sum(one[0] == two[0] == -5 for one, two in pairwise(keys))
    assert tied


@pytest.mark.parametrize("ranker", [None, RANKER], ids=["alone", "beside EASE"])
def test_a_bias_model_can_be_the_rater(data, ranker, tmp_path):
    made = Recommender(ranker, BiasModel(), fill_with_popular=False).fit(data)
    mean, of_item = naive.baseline(R)
    for u, user in enumerate(USERS[:9]):
        mine = naive.user_offset(R[u], mean + of_item, "residual-cosine")
        truth = np.array([round(mean + of_item[i] + mine, 6) for i in range(R.shape[1])])
        wanted = naive.top_n(truth, 99, absent=naive.rated(R[u]))
        rows = made.recommend(user, n=99, by="rating")
        assert [ITEMS.index(row.item_id) for row in rows if row.item_id != UNRATED] == wanted
        assert [row.predicted_rating for row in rows] == pytest.approx(
            [
                np.clip(mean + mine + (0 if row.item_id == UNRATED else of_item[ITEMS.index(row.item_id)]), 1, 5)
                for row in rows
            ],
            abs=1e-5,
        )
        assert all(row.reasons == () and row.other == row.predicted_rating for row in rows)
        told = made.explain(user, rows[0].item_id, by="rating")
        assert (told.rank, told.contributions, told.value) == (1, (), rows[0].predicted_rating)
        assert told.base + told.clip == pytest.approx(told.value)
        prediction = made.predict(user, rows[0].item_id)
        assert (prediction.predicted_rating, prediction.n_neighbors_used, prediction.source) == (
            told.value,
            0,
            "bias_only",
        )
    again = Recommender.load(made.save(tmp_path / "model"))
    assert again.models_.rater.mean_ == pytest.approx(mean)
    assert again.models_.rater.item_bias_[: R.shape[1]] == pytest.approx(of_item)
    for by in BY:
        assert again.recommend(USERS[0], by=by) == made.recommend(USERS[0], by=by)
        assert again.audience(ITEMS[0], by=by) == made.audience(ITEMS[0], by=by)
    assert made.audience(ITEMS[0], by="rating")[0].predicted_rating
    assert again.recommend(ratings={ITEMS[0]: 5}, n=3, by="rating")[0].predicted_rating


# ---------------------------------------------------------------------------------------------------------- reasons
@pytest.mark.parametrize("by", BY)
def test_the_reasons_of_a_row_add_up_to_its_number(any_rec, by):
    for user in USERS:
        for row in any_rec.recommend(user, n=99, by=by):
            if row.source == "model":
                whole = sum(reason.contribution for reason in row.reasons) + row.other
                assert whole == pytest.approx(number(row, by), abs=1e-5)
                assert len(row.reasons) == min(3, row.n_neighbors_used)


@pytest.mark.parametrize("by", BY)
def test_the_reasons_of_a_row_are_the_three_largest_parts(any_rec, by):
    for u in (0, 1, 7):
        for row in any_rec.recommend(USERS[u], n=5, by=by):
            parts = any_rec.explain(USERS[u], row.item_id, by=by).contributions
            assert row.reasons == parts[:3]
            assert [p.contribution for p in parts] == sorted((p.contribution for p in parts), reverse=True)


@pytest.mark.parametrize("by", BY)
def test_an_explanation_adds_up_rated_or_not(any_rec, by):
    explained = 0
    for u in range(0, R.shape[0], 3):
        for item in ITEMS:
            why = any_rec.explain(USERS[u], item, by=by)
            if why.value is None:
                assert (why.contributions, why.rank, why.without, why.base) == ((), None, (), 0.0)
                continue
            whole = why.base + sum(part.contribution for part in why.contributions) + why.clip
            assert whole == pytest.approx(why.value, abs=1e-5)
            assert why.rating == ratings_of(u).get(item)
            assert item not in {part.item_id for part in why.contributions}
            explained += 1
    assert explained > 100


def test_the_contributions_to_a_score_equal_the_oracle(rec):
    S, worth = ranking_weights(), naive.worth(R, (1, 5), RANKER.min_weight)
    common = naive.common_raters(R)
    i = next(i for i in range(R.shape[1]) if np.isnan(R[0, i]))
    truth = {j: S[i, j] * worth[0, j] for j in naive.rated(R[0]) if S[i, j] != 0}
    parts = rec.explain(USERS[0], ITEMS[i]).contributions
    assert {ITEMS.index(part.item_id): part.contribution for part in parts} == pytest.approx(truth, abs=1e-4)
    for part in parts:
        j = ITEMS.index(part.item_id)
        assert (part.rating, part.common_raters) == (R[0, j], common[i, j])
        assert part.similarity == pytest.approx(S[i, j], abs=1e-5)


@pytest.mark.parametrize("by", BY)
def test_liked_means_rated_above_the_users_mean(any_rec, by):
    told = 0
    for u, user in enumerate(USERS):
        mean = 3 if np.nanmin(R[u]) == np.nanmax(R[u]) else np.nanmean(R[u])
        for row in any_rec.recommend(user, n=99, by=by):
            assert all(reason.liked == (reason.rating > mean) for reason in row.reasons)
            told += len(row.reasons)
    assert told


@pytest.mark.parametrize("by", BY)
def test_counterfactual_ranks_equal_those_of_a_list_without_the_rating(data, by):
    made = Recommender(RANKER, RATER, fill_with_popular=False).fit(data)

    def place(ratings, item):
        listed = [row.item_id for row in made.recommend(ratings=ratings, n=99, by=by)]
        return listed.index(item) + 1 if item in listed else None

    moved = 0
    for u in (0, 5, 11):
        for item in (*ITEMS[:9], *ITEMS[14:16]):  # the last two are one item twice: their places are tied
            why = made.explain(USERS[u], item, by=by)
            ratings = {other: rating for other, rating in ratings_of(u).items() if other != item}
            assert why.rank == place(ratings, item)
            strongest = sorted(why.contributions, key=lambda part: -abs(part.contribution))[:3]
            assert [w.item_id for w in why.without] == [part.item_id for part in strongest]
            for without in why.without:
                left = {other: rating for other, rating in ratings.items() if other != without.item_id}
                assert (without.rank, without.new_rank) == (why.rank, place(left, item))
                moved += without.rank != without.new_rank
    assert moved


@pytest.mark.parametrize("by", BY)
def test_lowering_a_rating_never_raises_a_positively_linked_item(any_rec, by):
    for u in (0, 6, 14):
        ratings = ratings_of(u)
        high = next(item for item, rating in ratings.items() if rating > 1)
        before = {r.item_id: number(r, by) for r in any_rec.recommend(ratings=ratings, n=99, by=by)}
        after = {r.item_id: number(r, by) for r in any_rec.recommend(ratings=ratings | {high: 1}, n=99, by=by)}
        links = pl.col("neighbor_id") == high, pl.col("similarity") > 0
        linked = any_rec.neighbors().filter(*links)["item_id"].to_list()
        for item in set(linked) & before.keys():
            if before[item] is not None:
                assert after[item] <= before[item] + 1e-6


# -------------------------------------------------------------------------------------------------------- newcomers
@pytest.mark.parametrize("by", BY)
def test_a_new_user_with_the_ratings_of_a_user_gets_the_same_list(any_rec, by):
    for u in (0, 3, 8):
        ratings = dict(reversed(ratings_of(u).items()))
        assert any_rec.recommend(ratings=ratings, n=9, by=by) == any_rec.recommend(USERS[u], n=9, by=by)
        stranger, user = (
            any_rec.explain(user_id, ITEMS[0], by=by, ratings=given)
            for user_id, given in ((None, ratings), (USERS[u], None))
        )
        assert stranger == user


def test_a_new_user_without_ratings_gets_popular_items(rec, plain):
    rows = rec.recommend(ratings={}, n=4)
    assert {row.source for row in rows} == {"popular"}
    assert plain.recommend(ratings={}).short == (10, 0, "no_neighbours")
    assert rec.predict(None, item_id=ITEMS[0], ratings={}).n_neighbors_used == 0
    assert plain.predict(None, item_id=ITEMS[0], ratings={}).predicted_rating is None


def test_a_rating_of_an_item_outside_the_model_is_ignored(rec):
    known = {ITEMS[0]: 5, ITEMS[1]: 2}
    for unrated in (UNRATED, np.int64(UNRATED)):
        assert rec.recommend(ratings=known | {unrated: 5}) == rec.recommend(ratings=known)
        assert rec.recommend(USERS[0], exclude=[unrated]) == rec.recommend(USERS[0])
        assert "the item had no ratings" in message(UnknownId, rec.similar, unrated)


@pytest.mark.parametrize("rating", [0, 6, float("nan"), float("inf"), True, "5", None, 10**400])
def test_a_rating_of_none_is_rejected_with_the_item(rec, rating):
    said = message(InputError, rec.recommend, ratings={ITEMS[2]: rating})
    assert said.startswith(f"ratings[{ITEMS[2]}]=")
    assert said.endswith("expected a finite number from 1 to 5.")


@pytest.mark.parametrize("ratings", [[(5, 3)], "5", 5, {5}])
def test_ratings_must_be_a_mapping(rec, ratings):
    assert "expected a mapping such as {50: 5, 172: 4}" in message(InputError, rec.recommend, ratings=ratings)


def test_unknown_items_among_the_ratings_are_ignored_and_listed(rec):
    known = {ITEMS[0]: 5, ITEMS[1]: 2}
    answers = rec.recommend(ratings={6: 5} | known | {10**40: 1, UNRATED: 3})
    assert answers == rec.recommend(ratings=known)
    assert answers.unknown == answers[:2].unknown == (6, 10**40, UNRATED)
    assert f"unknown: 6, {10**40}, {UNRATED} (left out: not in the model)" in repr(answers)
    assert "<p>unknown: 6, " in answers._repr_html_()
    assert rec.recommend(ratings=known).unknown == rec.recommend(USERS[0]).unknown == ()


def test_without_a_known_item_the_list_has_popular_items(rec):
    answers = rec.recommend(ratings={6: 5}, n=4)
    assert answers.unknown == (6,)
    assert answers == rec.recommend(ratings={}, n=4)
    assert {row.source for row in answers} == {"popular"}
    assert len(answers) == 4


def test_a_prediction_ignores_unknown_items_with_a_warning(rec):
    known = {ITEMS[0]: 5, ITEMS[1]: 2}
    for ask in (rec.predict, rec.explain):
        with pytest.warns(DataWarning, match="ratings: left out items not in the model: 6"):
            assert ask(None, ITEMS[2], ratings=known | {6: 5}) == ask(None, ITEMS[2], ratings=known)


def test_an_item_id_of_the_wrong_type_among_the_ratings_is_rejected(rec):
    assert message(InputTypeError, rec.recommend, ratings={"5": 5}).startswith(
        "ratings: item_id='5': the item ids of this data"
    )


def test_either_user_id_or_ratings_must_be_given(rec):
    for who in ({"user_id": None}, {"user_id": USERS[0], "ratings": {}}):
        assert message(InputError, rec.recommend, **who).startswith("Pass one of user_id=")
        assert message(InputError, rec.predict, item_id=ITEMS[0], **who).startswith("Pass one of user_id=")


# --------------------------------------------------------------------------------------------------- lists of users
@pytest.mark.parametrize("by", BY)
def test_the_audience_has_the_best_users_who_have_not_rated_the_item(any_rec, plain, by):
    truth = oracle("textbook" if any_rec is plain else "default", by)
    for i, item in enumerate(ITEMS):
        rows = any_rec.audience(item, n=99, by=by)
        column = np.where(np.isnan(R[:, i]), truth[:, i], np.nan)
        best = naive.top_n(column, 99)
        assert len(rows) == len(best)
        assert [number(r, by) for r in rows] == pytest.approx(column[best], abs=1e-4)
        keys = [(-number(row, by), row.user_id) for row in rows]
        assert keys == sorted(keys)


def test_recommend_with_item_id_returns_the_audience(any_rec):
    for item in ITEMS[:6]:
        assert any_rec.recommend(item_id=item, n=5) == any_rec.audience(item, n=5)
    assert any_rec.recommend(item_id=ITEMS[0], n=5, by="rating") == any_rec.audience(ITEMS[0], n=5, by="rating")


def test_numbers_of_an_audience_equal_those_of_each_user(any_rec):
    for item in ITEMS[:5]:
        for row in any_rec.audience(item, n=99):
            own = {r.item_id: r for r in any_rec.recommend(row.user_id, n=99)}[item]
            assert (row.score, row.predicted_rating, row.n_neighbors_used) == (
                own.score,
                own.predicted_rating,
                own.n_neighbors_used,
            )
            assert row.predicted_rating == any_rec.predict(row.user_id, item).predicted_rating


def test_rows_about_users_have_no_reasons(rec):
    names = [field.name for field in dataclasses.fields(rec.audience(ITEMS[0])[0])]
    assert names == [
        "rank",
        "user_id",
        "score",
        "predicted_rating",
        "n_neighbors_used",
        "adjusted_score",
        "above_user_mean",
    ]


def test_a_short_audience_has_a_reason(rec):
    raters = int((~np.isnan(R[:, 5])).sum())
    everybody, linked = (rec.audience(ITEMS[5], n=99, by=by) for by in ("rating", "score"))
    assert everybody.short == (99, R.shape[0] - raters, "no_candidates_left")
    assert len(linked) == R.shape[0] - raters
    lonely = rec.audience(ITEMS[12], n=99)  # one person rated it: not all are linked to it
    assert lonely.short == (99, len(lonely), "no_neighbours")
    assert rec.audience(ITEMS[12], n=len(lonely)).short is None


@pytest.mark.parametrize("extra", ["user_id", "ratings", "genres", "years", "exclude"])
def test_a_list_of_users_rejects_item_filters(rec, extra):
    given = {"user_id": USERS[0], "ratings": {}, "genres": "Drama", "years": 1990, "exclude": [5]}[extra]
    said = message(InputError, rec.recommend, item_id=ITEMS[0], **{extra: given})
    assert said.startswith(f"recommend(item_id=…) lists users and does not take {extra}.")


# ------------------------------------------------------------------------------------- similar, neighbours, predict
def test_neighbors_and_common_raters_equal_the_oracle(plain):
    S, common = similarities(R), naive.common_raters(R)
    table = plain.neighbors()
    assert table.columns == ["item_id", "neighbor_id", "similarity", "common_raters"]
    assert len(table) == np.count_nonzero(S)
    for item, neighbor, similarity, raters in table.rows():
        i, j = ITEMS.index(item), ITEMS.index(neighbor)
        assert i != j
        assert similarity == pytest.approx(S[i, j], abs=1e-6)
        assert raters == common[i, j]


def test_similar_items_are_the_neighbours_best_first(any_rec):
    table = any_rec.neighbors()
    for item in ITEMS:
        mine = table.filter(pl.col("item_id") == item).sort(
            "similarity", "neighbor_id", descending=[True, False], maintain_order=True
        )
        rows = any_rec.similar(item, n=5)
        assert [(r.item_id, r.similarity, r.common_raters) for r in rows] == mine.drop("item_id").head(5).rows()


def test_similar_applies_filters_and_has_a_reason_if_short(rec):
    noir = rec.similar(ITEMS[0], n=99, genres="film-noir")
    assert all("Film-Noir" in row.genres for row in noir)
    assert noir.short.reason in ("no_neighbours", "no_candidates_left")
    assert [row.rank for row in noir] == list(range(1, len(noir) + 1))
    first = rec.similar(ITEMS[0], n=1)[0].item_id
    assert first not in {row.item_id for row in rec.similar(ITEMS[0], n=99, exclude=[first])}


def test_a_prediction_does_not_use_the_rating_itself(any_rec):
    for u, item in ((0, next(iter(ratings_of(0)))), (3, ITEMS[5])):  # the second has rated nothing else
        others = {other: rating for other, rating in ratings_of(u).items() if other != item}
        known, blind = any_rec.predict(USERS[u], item), any_rec.predict(None, item_id=item, ratings=others)
        assert (known.predicted_rating, known.n_neighbors_used) == (blind.predicted_rating, blind.n_neighbors_used)
        assert (known.rating, blind.rating) == (ratings_of(u)[item], None)
        assert (known.user_id, blind.user_id) == (USERS[u], None)


def test_predictions_of_unrated_items_equal_the_oracle(any_rec, plain):
    truth = oracle("textbook" if any_rec is plain else "default", "rating")
    for u in range(0, R.shape[0], 5):
        for i in range(R.shape[1]):
            if np.isnan(R[u, i]):
                got = any_rec.predict(USERS[u], ITEMS[i]).predicted_rating
                assert (got is None) == np.isnan(truth[u, i])
                assert got is None or got == pytest.approx(truth[u, i], abs=1e-4)


# --------------------------------------------------------------------------------------------------- ids and numbers
def test_numpy_integers_are_accepted_as_ids_and_returned_as_int(rec):
    user, item = np.int64(USERS[0]), np.int32(ITEMS[1])
    assert rec.recommend(user) == rec.recommend(USERS[0])
    assert rec.predict(user, item) == rec.predict(USERS[0], ITEMS[1])
    for answer in (rec.predict(user, item), rec.explain(user, item), rec.audience(item)[0], rec.similar(item)[0]):
        json.dumps(dataclasses.asdict(answer), allow_nan=False)


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("100", "user_id='100': the user ids of this data are of type int, not str. Did you mean 100?"),
        (100.0, "user_id=100.0: the user ids of this data are of type int, not float."),
        (True, "user_id=True: the user ids of this data are of type int, not bool."),
        ([100], "user_id=[100]: the user ids of this data are of type int, not list."),
    ],
)
def test_an_id_of_another_type_is_an_error_that_names_both_types(rec, user, said):
    assert message(InputTypeError, rec.recommend, user) == said
    assert message(InputTypeError, rec.recommend, item_id=user) == said.replace("user", "item").replace(
        " Did you mean 100?", ""
    )


@pytest.mark.parametrize("unknown", [101, -1, 2**62, 2**64, 10**40])
def test_an_unknown_id_is_an_error_with_a_remedy(rec, unknown):
    assert message(UnknownId, rec.recommend, unknown) == (
        f"user_id={unknown}: no ratings by this user. For a new user pass ratings={{item_id: rating}}."
    )
    for ask in (rec.audience, rec.similar, lambda item: rec.predict(USERS[0], item)):
        said = message(UnknownId, ask, unknown)
        assert said.startswith(f"item_id={unknown}: this item is not among the 19 items of the data.")
        assert said.endswith("Search by title with find('…').")
    assert rec.recommend(USERS[0], exclude=[unknown]) == rec.recommend(USERS[0])


@pytest.mark.parametrize("n", [0, -1, True, 1.5, "3", None, float("nan")])
def test_n_must_be_a_positive_integer(rec, n):
    for ask in (
        lambda: rec.recommend(USERS[0], n=n),
        lambda: rec.recommend(item_id=ITEMS[0], n=n),
        lambda: rec.similar(ITEMS[0], n=n),
        lambda: rec.find("item", n=n),
        lambda: next(rec.recommend_batch(n)),
    ):
        assert message(InputError, ask) == f"n={n!r}: expected an integer of 1 or more."


def test_an_invalid_by_is_rejected(rec):
    for ask in (
        lambda: rec.recommend(USERS[0], by="ratings"),
        lambda: rec.explain(USERS[0], ITEMS[0], by="ratings"),
        lambda: next(rec.recommend_batch(by="ratings")),
    ):
        assert message(InputError, ask).startswith("by='ratings': expected one of 'score', 'rating'. Did you mean")
    for ask in (rec.audience, lambda item, by: rec.audience_batch([item], by=by)):
        said = message(InputError, ask, ITEMS[0], by="ratings")
        assert said == "by='ratings': expected one of 'score', 'rating', 'adjusted_score'. Did you mean 'rating'?"


# --------------------------------------------------------------------------------------------------------- odd data
def fit(users, items, ratings, **known):
    frame = {"user_id": users, "item_id": items, "rating": ratings}
    return Recommender().fit(Dataset.from_frames(frame, **known))


def test_data_with_one_user_can_be_used():
    lone = fit([1, 1, 1], [4, 5, 6], [5, 3, 4])
    rows = lone.recommend(1)
    assert (len(rows), rows.short.reason) == (0, "no_candidates_left")
    assert {row.item_id for row in lone.recommend(ratings={4: 5})} == {5, 6}
    assert len(lone.audience(4)) == 0


def test_data_with_one_item_can_be_used():
    lone = fit([1, 2, 3], [7, 7, 7], [5, 3, 4])
    assert lone.recommend(1).short.reason == "no_candidates_left"
    assert lone.recommend(ratings={})[0].item_id == 7
    assert lone.similar(7).short == (10, 0, "no_candidates_left")
    assert lone.predict(1, 7).n_neighbors_used == 0


def test_equal_ratings_can_be_used():
    same = fit([1, 1, 2, 2, 3], [4, 5, 5, 6, 6], [3, 3, 3, 3, 3])
    assert {row.predicted_rating for row in same.recommend(1)} == {None}
    assert same.recommend(ratings={4: 3})[0].item_id == same.recommend(ratings={4: 5})[0].item_id == 5


def test_the_defaults_rank_negative_ratings():
    jokes = fit([1, 1, 2, 2, 3, 3], [4, 5, 5, 6, 4, 6], [-9.5, 0, 8, 10, 2.25, -3])
    assert len(jokes.recommend(1)) == 1
    assert jokes.recommend(ratings={5: 0}, by="rating")[0].predicted_rating is not None


def test_ids_may_be_text():
    named = fit(["ann", "ann", "ben", "çelik", "çelik"], ["007", "a b", "a b", "007", "ü/x"], [5, 4, 3, 2, 1])
    assert {row.item_id for row in named.recommend("ben")} == {"007", "ü/x"}
    assert {row.user_id for row in named.audience("ü/x")} == {"ann"}  # ben has rated nothing that its rater has
    said = message(InputTypeError, named.recommend, 7)
    assert said == "user_id=7: the user ids of this data are of type str, not int."
    assert "item_id=7: the item ids" in message(InputTypeError, named.similar, 7)
    assert message(UnknownId, named.recommend, "\ud800").startswith("user_id='\\ud800': no ratings by this user.")
    assert message(UnknownId, named.recommend, "x" * 10**6).endswith("For a new user pass ratings={item_id: rating}.")


def test_a_rater_with_offsets_explains_a_new_user_without_ratings(data):
    made = Recommender(rater=ItemKNN("adjusted-cosine")).fit(data)
    why = made.explain(None, item_id=ITEMS[0], ratings={}, by="rating")
    assert (why.value, why.base, why.contributions) == (None, 0.0, ())
    json.dumps(why.to_dict(), allow_nan=False)


# ------------------------------------------------------------------------------------------- fitting, and its limits
def test_an_unfitted_recommender_is_an_error():
    new = Recommender()
    for ask in (
        lambda: new.recommend(1),
        lambda: new.recommend(ratings={1: 5}),
        lambda: new.recommend(item_id=1),
        lambda: next(new.recommend_batch()),
        lambda: new.similar(1),
        lambda: new.predict(1, 1),
        lambda: new.explain(1, 1),
        lambda: new.find("x"),
        new.neighbors,
        lambda: new.item_ids,
        lambda: new.user_ids,
        lambda: new.save("nowhere"),
    ):
        assert message(InputError, ask).startswith("This Recommender is not fitted yet: call fit(data)")
    assert repr(new).startswith("Recommender(ranker='default'")


def test_a_second_fit_equals_the_first(data):
    twice = Recommender().fit(data)
    first = [twice.recommend(user) for user in USERS], twice.audience(ITEMS[0])
    twice.fit(data)
    assert ([twice.recommend(user) for user in USERS], twice.audience(ITEMS[0])) == first


def test_a_fit_to_other_data_replaces_the_first(data):
    made = Recommender().fit(data)
    made.audience(ITEMS[0])
    other = {"user_id": [1, 1, 2], "item_id": [ITEMS[0], 2, 2], "rating": [5, 4, 3]}
    made.fit(other)
    assert made.audience(ITEMS[0]) == Recommender().fit(other).audience(ITEMS[0])
    assert list(made.item_ids) == [2, ITEMS[0]]


def test_given_models_are_used_and_unchanged(data):
    ranker, rater = ItemKNN(n_neighbors=2), ItemKNN("pearson")
    made = Recommender(ranker, rater).fit(data)
    assert not hasattr(ranker, "item_weights_")
    assert made.neighbors().group_by("item_id").len()["len"].max() == 2
    assert made.models_.rater.similarity == "pearson"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ranker": "knn"}, "ranker='knn': expected a model such as EASE() or ItemKNN(), or 'default'."),
        ({"ranker": ItemKNN}, "ranker=<class"),
        ({"ranker": BPMF()}, "ranker=BPMF(): BPMF scores no items. Expected one of EASE(), ItemKNN(), Popularity()."),
        ({"rater": EASE()}, "rater=EASE(): EASE predicts no ratings. Expected one of ItemKNN(), BiasModel(), BPMF()."),
        ({"ranker": None, "rater": None}, "ranker=None: expected a model for at least one of ranker and rater."),
        ({"by": "rating", "rater": None}, "by='rating': this model predicts no ratings"),
        ({"by": "stars"}, "by='stars': expected one of 'score', 'rating'."),
        ({"fill_with_popular": "yes"}, "fill_with_popular='yes': expected True or False."),
        ({"max_memory": "lots"}, "max_memory='lots': expected a size such as '2GB'"),
    ],
)
def test_fit_rejects_an_invalid_parameter(data, options, said):
    assert message(InputError, Recommender(**options).fit, data).startswith(said)


def test_every_ranker_and_every_rater_is_accepted(data):
    for model in MODELS.values():
        if "score" in model.numbers:
            assert len(Recommender(model(), None).fit(data).recommend(USERS[0]))
        if "rating" in model.numbers:
            small = model(n_samples=4, n_warmup=2) if model is BPMF else model()
            alone = Recommender(None, small, by="rating").fit(data)
            row = alone.recommend(USERS[0])[0]
            assert row.score == row.predicted_rating == alone.predict(USERS[0], row.item_id).predicted_rating


def test_a_model_without_an_item_item_matrix_has_no_similar_items(data):
    alone = Recommender(None, BPMF(n_samples=4, n_warmup=2)).fit(data)
    assert message(InputError, alone.similar, ITEMS[0]).startswith("BPMF has no item–item matrix: fit with a ranker")


def test_a_recommender_behaves_like_an_estimator(data):
    made = Recommender(by="rating", fill_with_popular=False)
    assert made.get_params(deep=False)["by"] == "rating"
    assert clone(made.fit(data)).set_params(by="score").get_params(deep=False) == Recommender(
        fill_with_popular=False
    ).get_params(deep=False)


@pytest.mark.parametrize("data", [5, "ratings.csv", None, [1, 2]])
def test_anything_but_data_is_rejected(data):
    assert message(InputError, Recommender().fit, data).startswith("ratings=")


def test_a_fit_above_max_memory_is_refused_with_the_sizes(data):
    needed = Recommender().plan(data)
    said = message(TooLarge, Recommender(max_memory="1KB").fit, data)
    assert said.startswith("max_memory='1KB': the fit may need ")
    assert "Raise max_memory" in said
    assert message(TooLarge, Recommender(max_memory=needed - 1).fit, data)
    assert Recommender(max_memory=needed).fit(data).recommend(USERS[0])


def test_a_fit_takes_no_more_than_its_plan():
    sample = reelated.read("sample")
    made = Recommender().fit(sample)  # what is compiled or imported on the way is not counted
    tracemalloc.start()
    made.fit(sample)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    plan = made.plan(sample)
    assert peak < plan < 30 * peak


def test_progress_goes_from_0_to_1(data):
    for made in (Recommender(), textbook()):
        seen = []
        made.fit(data, progress=seen.append)
        assert seen == sorted(seen)
        assert 0 <= seen[0] <= seen[-1] == 1


def test_the_repr_of_a_fitted_recommender_shows_its_data(rec):
    assert repr(rec) == f"Recommender fitted to village: 19 items, {int((~np.isnan(R)).sum())} ratings"
    assert list(rec.user_ids) == USERS
    assert list(rec.item_ids) == ITEMS


def test_a_reason_has_the_rating_as_given():
    frame = {"user": [1, 1, 1, 2, 2, 3, 3], "item": [1, 2, 3, 1, 2, 2, 3], "rating": [4.3, 0.1, 2.7, 4.3, 4.1, 0.3, 5]}
    rec = reelated.Recommender().fit(reelated.read(frame, scale=(0, 5, 0.1)))
    given = {item: rating for user, item, rating in zip(*frame.values(), strict=True) if user == 1}
    assert {reason.item_id: reason.rating for reason in rec.explain(1, 1).contributions} == {2: 0.1, 3: 2.7}
    assert rec.explain(1, 1).rating == rec.predict(1, 1).rating == given[1]
    reasons = [reason for row in rec.recommend(2) for reason in row.reasons]
    assert {reason.rating for reason in reasons} == {4.3, 4.1}
