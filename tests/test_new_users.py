"""Predicted ratings of new users: the model, the recommender and the protocol that measures their calibration."""

import json

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from typer.testing import CliRunner

import reelated
from reelated.cli.commands import app
from reelated.errors import InputError
from reelated.evaluation.new_users import _hold_out, evaluate_new_users
from reelated.models import BPMF, EASE, ItemKNN
from reelated.recommender import Recommender


@pytest.fixture(scope="module")
def data():
    """Ratings of users who rate lower the more they rate, so that the number of ratings is informative."""
    rng, rows = np.random.default_rng(4), []
    for user in range(120):
        n = int(rng.choice([6, 12, 30]))
        level = {6: 4.5, 12: 3.5, 30: 2.5}[n]
        items = rng.choice(40, n, replace=False)
        stars = np.clip(np.round(level + 0.02 * (items - 20) + 0.7 * rng.standard_normal(n)), 1, 5)
        rows += [(user, int(item), float(rating)) for item, rating in zip(items, stars, strict=True)]
    return reelated.read(pl.DataFrame(rows, schema=["user_id", "item_id", "rating"], orient="row"), scale=(1, 5, 1))


@pytest.fixture(scope="module")
def small():
    return Recommender(EASE(), BPMF(n_factors=3, n_samples=16, n_warmup=8, n_implicit_factors=2))


def test_the_number_of_ratings_does_not_change_the_prior_of_a_new_user(data, small):
    rec = small.fit(data)
    mean = rec.kept_ratings().matrix.data.mean()
    first = rec.predict(None, 20, ratings={}).predicted_rating
    assert abs(first - mean) < 0.25
    known = rec.models_.rater.predict_pairs(sp.csr_array((1, 40)), [0], [20])[0]
    assert known > first + 0.4  # as a user with few ratings in all


def test_a_new_user_without_ratings_gets_the_mean_of_those_who_rated_the_item(data, small):
    rec = small.fit(data)
    matrix = rec.kept_ratings().matrix
    means = np.asarray(matrix.sum(axis=0)).ravel() / np.bincount(matrix.indices)
    predicted = [rec.predict(None, item, ratings={}).predicted_rating for item in range(40)]
    assert np.abs(predicted - means).max() < 0.35


def test_explanations_of_new_users_add_up_and_intervals_widen_without_ratings(data, small):
    rec = small.fit(data)
    ratings = {1: 5, 7: 2, 30: 4}
    why = rec.explain(None, 12, ratings=ratings, by="rating")
    total = why.base + sum(reason.contribution for reason in why.contributions) + why.clip
    assert total == pytest.approx(rec.predict(None, 12, ratings=ratings).predicted_rating, abs=1e-5)
    (row,) = [row for row in rec.recommend(ratings=ratings, n=40) if row.item_id == 12]
    assert row.predicted_rating == pytest.approx(total, abs=1e-5)
    none, some = (rec.predict(None, 12, ratings=given) for given in ({}, ratings))
    assert none.high - none.low > some.high - some.low


def test_a_user_of_the_data_is_predicted_with_the_number_of_ratings(data, small):
    rec = small.fit(data)
    rows = rec.kept_ratings().matrix
    assert rec.predict(3, 20).predicted_rating == pytest.approx(rec.models_.rater.predict_pairs(rows, [3], [20])[0])


def test_users_give_the_first_items_that_are_asked_for_and_the_others_are_predicted():
    rows = sp.csr_array(np.array([[5, 4, 3, 2.0], [0, 0, 1, 0], [0, 2, 0, 4], [1, 0, 0, 0]]))
    held = _hold_out(rows, np.array([3, 1]), 1)  # the first has four ratings, the third two
    assert held.given.toarray().tolist() == [[0, 0, 0, 2], [0, 0, 0, 4]]
    assert list(zip(held.users, held.items, held.ratings, strict=True)) == [(0, 0, 5), (0, 1, 4), (0, 2, 3), (1, 1, 2)]
    held = _hold_out(rows, np.array([3, 1]), 0)
    assert held.given.shape == (4, 4)
    assert held.given.nnz == 0
    assert len(held.ratings) == rows.nnz


def test_predicted_ratings_of_new_users_are_calibrated(data, small):
    rows = evaluate_new_users(small, data, (0, 3))
    assert [(row.n_given, row.users) for row in rows] == [(0, 120), (3, 120)]
    for row in rows:
        assert abs(row.bias) < 0.15
        assert row.bias_low < row.bias < row.bias_high
        assert 0.7 < row.coverage < 0.9
    assert rows[1].rmse < rows[0].rmse


def test_a_rater_without_a_posterior_has_no_coverage_and_no_rater_is_an_error(data):
    (row,) = evaluate_new_users(Recommender(EASE(), ItemKNN("residual-cosine")), data, (3,))
    assert row.coverage is None
    assert row.rmse > 0
    with pytest.raises(InputError, match="predicts no ratings"):
        evaluate_new_users(Recommender(EASE(), None), data, (0,))


def test_the_command_prints_a_row_for_each_number_of_ratings(data, tmp_path):
    path = tmp_path / "ratings.csv"
    data.ratings.to_polars().select("user_id", "item_id", "rating").write_csv(path)
    asked = ["evaluate", str(path), "--protocol", "new-users", "--ranker", "item-knn"]
    result = CliRunner().invoke(app, [*asked, "--json"])
    (printed,) = json.loads(result.stdout)
    assert [row["n_given"] for row in printed["rows"]] == [0, 1, 3, 5, 10, 20]
    assert "0 " in CliRunner().invoke(app, asked, env={"COLUMNS": "110"}).stdout
    refused = CliRunner().invoke(app, [*asked, "--split", "last"])
    assert isinstance(refused.exception, InputError)
