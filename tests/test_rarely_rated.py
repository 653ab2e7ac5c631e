"""Items with few or no ratings, and users without ratings: results with their source."""

import numpy as np
import polars as pl
import pytest

from reelated.errors import UnknownId
from reelated.models import EASE, ItemKNN
from reelated.ratings import Dataset
from reelated.recommender import Recommender, textbook

NOIR, COMEDY = range(10, 20), range(30, 40)
NEW_NOIR, NEW_COMEDY, NOTHING_KNOWN = 20, 40, 50
RARE = 19
"""A film noir that one user alone has rated, who likes comedies."""
FANS = {"Film-Noir": range(100, 120), "Comedy": range(200, 220)}


def ratings():
    """Return ratings by users who rate items of both kinds, more of their own kind and these higher."""
    rng, rows = np.random.default_rng(0), []
    for kind, fans in FANS.items():
        for user in fans:
            for items, theirs in ((NOIR, kind == "Film-Noir"), (COMEDY, kind == "Comedy")):
                chosen = rng.choice([item for item in items if item != RARE], 6 if theirs else 2, replace=False)
                stars = rng.integers(4, 6, len(chosen)) if theirs else rng.integers(1, 3, len(chosen))
                rows += [(user, int(item), int(star)) for item, star in zip(chosen, stars, strict=True)]
    return pl.DataFrame([*rows, (200, RARE, 3)], schema=["user_id", "item_id", "rating"], orient="row")


def items():
    known = [(item, 1950, ["Film-Noir"]) for item in [*NOIR, NEW_NOIR]]
    known += [(item, 1990, ["Comedy"]) for item in [*COMEDY, NEW_COMEDY]]
    return pl.DataFrame([*known, (NOTHING_KNOWN, None, [])], schema=["item_id", "year", "genres"], orient="row")


@pytest.fixture(scope="module")
def data():
    return Dataset.from_frames(ratings(), items())


@pytest.fixture(scope="module")
def rec(data):
    return Recommender(EASE(l2=2.0)).fit(data)


def test_an_unrated_item_is_recommended_to_users_who_like_similar_items(rec):
    for item, fans, others in ((NEW_NOIR, "Film-Noir", "Comedy"), (NEW_COMEDY, "Comedy", "Film-Noir")):
        assert {row.user_id for row in rec.audience(item)} <= {*FANS[fans], 200}  # 200 rated the rare one
        liked, disliked = (rec.predict(FANS[who][3], item) for who in (fans, others))
        assert liked.predicted_rating > disliked.predicted_rating
        assert liked.source == disliked.source == "side_info"
        assert liked.low < liked.predicted_rating <= liked.high
        kind = NOIR if item == NEW_NOIR else COMEDY
        alike = rec.similar(item, n=5)
        assert {row.item_id for row in alike} <= set(kind)
        assert {row.common_raters for row in alike} == {0}
        assert alike.heading.endswith("by similarity, from its genres and year alone")
        assert rec.audience(item).heading.endswith("by adjusted score, from its genres and year alone")


def test_a_listed_unrated_item_is_marked_and_its_reasons_add_up(rec):
    user = FANS["Film-Noir"][3]
    rows = {row.item_id: row for row in rec.recommend(user, n=99)}
    assert rows[NEW_NOIR].rank < rows[NEW_COMEDY].rank
    assert rows[NEW_NOIR].rank > min(row.rank for item, row in rows.items() if item in NOIR)
    assert {item for item, row in rows.items() if row.source == "side_info"} == {NEW_NOIR, NEW_COMEDY}
    row = rows[NEW_NOIR]
    assert row.because
    assert sum(reason.contribution for reason in row.reasons) + row.other == pytest.approx(row.score, abs=1e-5)
    for by in ("score", "rating"):
        why = rec.explain(user, NEW_NOIR, by=by)
        parts = sum(reason.contribution for reason in why.contributions)
        assert why.base + parts + why.clip == pytest.approx(why.value, abs=1e-5)
    everybody = pl.concat(rec.recommend_batch(99)).filter(pl.col("user_id") == user)
    assert everybody["source"].to_list() == [row.source for row in rec.recommend(user, n=99)]


def test_an_item_with_one_rating_uses_similar_items(rec, data):
    bare = Recommender(EASE(l2=2.0)).fit(Dataset.from_frames(ratings()))
    fans = [sum(row.user_id in FANS["Film-Noir"] for row in one.audience(RARE, n=10)) for one in (bare, rec)]
    assert fans[0] < fans[1] == 10


def test_a_rating_of_an_unrated_item_is_evidence(rec):
    for item, kind in ((NEW_NOIR, NOIR), (NEW_COMEDY, COMEDY)):
        assert {row.item_id for row in rec.recommend(ratings={item: 5}, n=3)} <= set(kind)


def test_an_unrated_item_without_attributes_is_rejected(rec):
    with pytest.raises(UnknownId, match="item_id=50: the item had no ratings when the model was fitted"):
        rec.predict(FANS["Comedy"][0], NOTHING_KNOWN)
    assert NOTHING_KNOWN not in rec.item_ids


def test_models_without_side_information_know_rated_items_only(data):
    for plain in (textbook(), Recommender(ItemKNN(), ItemKNN("residual-cosine"))):
        assert set(plain.fit(data).item_ids) == set(ratings()["item_id"])


def test_unrated_items_are_left_out_of_a_mostly_unrated_catalogue(data):
    others = pl.DataFrame({"item_id": range(1000, 1040), "year": 1999, "genres": [["Comedy"]] * 40})
    most = Dataset.from_frames(ratings(), pl.concat([items(), others], how="vertical_relaxed"))
    assert set(Recommender(EASE(l2=2.0)).fit(most).item_ids) == set(ratings()["item_id"])


def test_a_saved_model_with_unrated_items_gives_the_same_results(rec, tmp_path):
    again = Recommender.load(rec.save(tmp_path / "a.model"))
    for user in (100, 200):
        assert again.recommend(user, n=99) == rec.recommend(user, n=99)
        assert again.predict(user, NEW_NOIR) == rec.predict(user, NEW_NOIR)
    assert again.audience(NEW_NOIR) == rec.audience(NEW_NOIR)


def test_predictions_for_a_user_without_ratings_are_averages(rec):
    told = rec.predict(None, item_id=NOIR[0], ratings={})
    assert (told.source, told.n_neighbors_used) == ("bias_only", 0)
    assert rec.predict(None, item_id=NEW_NOIR, ratings={}).source == "side_info"
    rows = rec.recommend(ratings={}, n=99)
    assert [row.source for row in rows[:5]] == ["popular"] * 5
    assert [row.item_id for row in rows if row.source == "side_info"] == [NEW_NOIR, NEW_COMEDY]
