"""Purchases and likes, where all ratings are equal: lists and reasons, but no predicted rating in any interface."""

import csv
import io
import json
import re

import numpy as np
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

import reelated
from reelated.cli.commands import app as terminal
from reelated.errors import InputError
from reelated.evaluation import compare, evaluate, tune, within_users
from reelated.evaluation.report import render
from reelated.models import BPMF, EASE, ItemKNN, Popularity
from reelated.ratings import Scale
from reelated.recommender import textbook
from reelated.recommender.fitting import EVENT_DROPOUT, default_ranker
from reelated.refit import Versions, refit
from reelated.store import Store
from reelated.web import ServiceOptions, create_app
from reelated.web.pages.breakdown import break_down
from reelated.web.pages.rating_input import RatingInput

HERE = "http://127.0.0.1:8000"


def purchases(n_users=80, n_items=24):
    """Return purchases of two groups of customers, who also bought some products of the other group."""
    rng = np.random.default_rng(3)
    chance = np.where(np.arange(n_users)[:, None] % 2 == np.arange(n_items) % 2, 0.5, 0.1)
    users, items = np.nonzero(rng.random((n_users, n_items)) < chance)
    return {"customer": users.tolist(), "product_id": items.tolist()}


BOUGHT = purchases()


def bought(scale=None, stars=1.0):
    """Read the purchases as a table without ratings, or with equal ratings."""
    if stars is None:
        return reelated.read(BOUGHT, columns={"user_id": "customer", "rating": None}, scale=scale, name="shop")
    table = BOUGHT | {"stars": [stars] * len(BOUGHT["customer"])}
    return reelated.read(table, columns={"user_id": "customer"}, scale=scale, name="shop")


@pytest.fixture(scope="module")
def rec():
    return reelated.Recommender().fit(bought(stars=None))


def message(call, *args, **how):
    with pytest.raises(InputError) as error:
        call(*args, **how)
    return str(error.value)


# --------------------------------------------------------------------------------------------------------- in Python
@pytest.mark.parametrize(
    ("data", "feedback"),
    [
        ({"stars": None}, "implicit"),
        ({"stars": 1.0}, "implicit"),
        ({"stars": 5.0}, "implicit"),
        ({"scale": (0, 1, 1)}, "implicit"),
        ({"scale": (1, 5, 1), "stars": 5.0}, "explicit"),  # a new site: later ratings may differ
        ({"scale": (-1, 1, 2)}, "explicit"),
    ],
)
def test_equal_ratings_have_no_rater_and_are_implicit_if_the_scale_has_no_other_value(data, feedback):
    made = reelated.Recommender(EASE()).fit(bought(**data))
    assert (made.models_.rater, made.feedback_) == (None, feedback)
    rows = made.recommend(0)
    assert {row.predicted_rating for row in rows} == {None}
    assert rows.because == ("because you have" if feedback == "implicit" else "because you rated")
    assert all((reason.rating is None) == (feedback == "implicit") for row in rows for reason in row.reasons)
    labels = [part.label for part in break_down(made.explain(0, rows[0].item_id)).parts]
    assert any(("other choice" if feedback == "implicit" else "other rating") in label for label in labels)


@pytest.mark.parametrize("max_memory", [None, 1])
def test_the_default_ranker_normalises_by_degree_and_drops_more_without_ratings(sample, max_memory):
    of_a_scale = bought(scale=(1, 5, 1), stars=5.0)
    for data, dropout in ((bought(), 0.7), (of_a_scale, 0.6), (sample, 0.6)):
        ranker = default_ranker(data.ratings, max_memory)
        assert (ranker.user_normalization, ranker.item_normalization) == (0.25, 0.1)
        assert type(ranker) is ItemKNN if max_memory else ranker.get_params() == EASE(dropout=dropout).get_params()


def test_differing_ratings_have_a_rater_and_are_explicit(sample):
    made = reelated.Recommender(rater=ItemKNN()).fit(sample)
    assert (made.models_.rater is None, made.feedback_) == (False, "explicit")


def test_lists_have_scores_and_reasons_and_no_predicted_rating(rec):
    alone = reelated.Recommender(ranker=EASE(dropout=EVENT_DROPOUT), rater=None).fit(bought())
    for user in (0, 1, 30):
        rows = rec.recommend(user)
        assert [row.item_id for row in rows] == [row.item_id for row in alone.recommend(user)]
        assert rows[0].because
    assert "predicted rating" not in repr(rec.recommend(0)).splitlines()[1]
    assert repr(rec.recommend(0)).splitlines()[1].endswith("because you have")
    assert repr(rec.recommend(0)[:2]).splitlines()[1].endswith("because you have")
    assert ", rated " not in repr(rec.explain(0, rec.recommend(0)[0].item_id))


def test_audiences_and_batch_lists_have_no_predicted_rating(rec):
    for row in rec.audience(3):
        assert (row.predicted_rating, row.above_user_mean) == (None, None)
        assert row.adjusted_score is not None
    table = next(rec.recommend_batch())
    assert table["predicted_rating"].null_count() == len(table)
    assert table["n_neighbors_used"].sum() > 0
    assert rec.audience_batch([3, 4])["predicted_rating"].null_count() == len(rec.audience_batch([3, 4]))


def test_a_request_for_a_predicted_rating_is_rejected_in_one_sentence(rec):
    told = "this model predicts no ratings: its data are events or equal ratings, or it was fitted without a rater. "
    told += "List by score."
    assert message(rec.recommend, 0, by="rating") == f"by='rating': {told}"
    assert message(rec.audience, 3, by="rating") == f"by='rating': {told}"
    assert message(rec.explain, 0, 3, by="rating") == f"by='rating': {told}"
    assert message(rec.predict, 0, 3) == f"predict: {told}"
    assert message(reelated.Recommender(by="rating").fit, bought()) == f"by='rating': {told}"


def test_a_given_rater_is_not_fitted_and_a_note_reports_it():
    made = reelated.Recommender(EASE(), BPMF(n_samples=7)).fit(bought())
    assert made.models_.rater is None
    assert made.notes_[-1] == "Events and equal ratings are not predicted: rater=BPMF(n_samples=7) is not fitted."
    assert not any("equal" in note for note in reelated.Recommender().fit(bought()).notes_)


def test_the_plan_does_not_include_the_rater(rec):
    data, seen = bought(), []
    both = EASE().plan(data.ratings.matrix) + BPMF().plan(data.ratings.matrix)
    assert reelated.Recommender().plan(data) == EASE().plan(data.ratings.matrix) < both
    reelated.Recommender().fit(data, progress=seen.append)
    assert seen[-1] == 1.0


def test_a_model_without_a_rater_can_be_saved_and_loaded(rec, tmp_path):
    again = reelated.Recommender.load(rec.save(tmp_path / "shop"))
    assert (again.models_.rater, again.feedback_) == (None, "implicit")
    assert again.recommend(0) == rec.recommend(0)
    assert again.recommend(0).because == "because you have"
    assert not any("rater" in file.name for file in (tmp_path / "shop").iterdir())
    manifest = json.loads((tmp_path / "shop" / "model.json").read_text())
    manifest["models"] = {}
    (tmp_path / "shop" / "model.json").write_text(json.dumps(manifest))
    assert "damaged" in message(reelated.Recommender.load, tmp_path / "shop")


def test_with_ratings_serves_other_users(rec):
    others = {"customer": [7, 7, 8], "product_id": [1, 3, 2]}
    served = rec.with_ratings(reelated.read(others, columns={"user_id": "customer", "rating": None}))
    assert served.recommend(7)[0].predicted_rating is None
    assert [row.item_id for row in served.recommend(7)] == [row.item_id for row in rec.recommend(ratings={1: 1, 3: 1})]


def test_a_recommender_of_explicit_ratings_without_a_rater_shows_the_ratings_in_reasons(sample, tmp_path):
    alone = reelated.Recommender(rater=None).fit(sample)
    both = reelated.Recommender(rater=ItemKNN()).fit(sample)
    for made in (alone, reelated.Recommender.load(alone.save(tmp_path / "model"))):
        rows = made.recommend(300)
        assert [(row.item_id, row.because) for row in rows] == [(r.item_id, r.because) for r in both.recommend(300)]
        assert rows.because == "because you rated"
        assert rows[0].reasons[0].rating is not None
        assert {row.predicted_rating for row in rows} == {None}


def test_the_textbook_recipe_still_sorts_by_predicted_rating():
    made = textbook().fit(bought())
    assert {row.predicted_rating for row in made.recommend(0)} == {1.0}
    assert made.predict(0, 3).predicted_rating == 1.0


# -------------------------------------------------------------------------------------------------------- evaluation
def test_equal_ratings_have_neither_rating_errors_nor_liked_metrics():
    split = within_users(bought())
    results = {"default": evaluate(reelated.Recommender(), split), "textbook": evaluate(textbook(), split)}
    results["popularity"] = evaluate(reelated.Recommender(Popularity()), split)
    for result in results.values():
        assert {row.relevance for row in result.rows()} == {"any", None}
        assert not {"rmse", "mae", "interval_coverage"} & {row.measure for row in result.rows()}
        assert result.liked is None
        assert result.errors().is_empty()
    assert results["default"].value("ndcg@10", "any") > 0.2
    page = render(results)
    for word in ("RMSE", "iked", "redicted rating", "0.0000"):
        assert word not in page
    told = compare(results["popularity"], results["default"])
    assert {one.relevance for one in told} == {"any", None}


def test_a_recommender_without_a_rater_has_no_rating_errors_and_can_be_compared(sample):
    split = within_users(sample)
    first = evaluate(reelated.Recommender(rater=None), split)
    second = evaluate(reelated.Recommender(rater=ItemKNN()), split)
    assert first.liked == second.liked == "rated 4 or more"
    assert ("rmse", None) not in first._names
    told = {(one.measure, one.relevance): one.difference for one in compare(first, second)}
    assert told["ndcg@10", "liked"] == 0
    assert ("rmse", None) not in told
    assert "RMSE" not in render({"first": first})


@pytest.mark.parametrize("goal", ["liked", "rating"])
def test_settings_are_tuned_for_any_only(goal):
    assert message(tune, bought(), goal).endswith("all ratings are equal, so the only goal is 'any'.")
    pytest.importorskip("optuna")
    assert tune(bought(), "any", trials=1).value > 0


# ------------------------------------------------------------------------------------------------------ the terminal
@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("shop") / "bought.csv"
    rows = zip(BOUGHT["customer"], BOUGHT["product_id"], strict=True)
    path.write_text("customer,product_id\n" + "".join(f"{user},{item}\n" for user, item in rows))
    return path


def run(command, file, *words, code=0):
    """Run a command on the purchases."""
    given = [command, str(file), "--columns", "user_id=customer,rating=", *words]
    result = CliRunner().invoke(terminal, given, env={"COLUMNS": "120"})
    assert bool(result.exit_code) == bool(code), (result.output, result.exception)
    return result


def test_the_terminal_says_because_you_have_and_shows_no_prediction(rec, file):
    heading = run("recommend", file, "--user", "0").stdout.splitlines()[1]
    assert heading.split() == ["id", "item", "score", "because", "you", "have"]
    told = run("recommend", file, "--user", "0", "--why").stdout
    assert "(you: " not in told
    told = run("explain", file, "--user", "0", "--item", "3").stdout
    assert "rated" not in told.replace("rated both", "").replace("items not rated", "")
    assert "predicted" not in run("audience", file, "--item", "3").stdout
    assert "predicted" not in run("audience", file, "--item", "3", "--item", "4").stdout
    rows = json.loads(run("recommend", file, "--user", "0", "--json").stdout)
    assert [row["predicted_rating"] for row in rows] == [None] * len(rows)
    assert "predicts no ratings" in str(run("predict", file, "--user", "0", "--item", "3", code=1).exception)
    assert "predicts no ratings" in str(run("recommend", file, "--user", "0", "--by", "rating", code=1).exception)


def test_batch_writes_lists_without_a_predicted_rating(file, tmp_path):
    run("batch", file, "-o", str(tmp_path / "lists.csv"))
    table = list(csv.DictReader(io.StringIO((tmp_path / "lists.csv").read_text())))
    assert len(table) > 500
    assert {row["predicted_rating"] for row in table} == {""}


def test_the_terminal_measures_lists_only(file, tmp_path):
    told = run("evaluate", file, "--report", str(tmp_path / "report.html")).stdout
    for word in ("RMSE", "iked", "predicted", "interval 1"):
        assert word not in told
    assert "nDCG@10" in told
    assert "lists as a whole" in told
    (told,) = json.loads(run("evaluate", file, "--json").stdout)
    assert told["liked"] is None


def test_validation_reports_events_once(file):
    told = run("check", file).stdout
    assert "kind: events" in told
    assert told.count("Each row is one event, not a rating") == 1
    assert "Every rating is 1" not in told
    assert "alike" not in told


# ------------------------------------------------------------------------------------------- the service and its page
@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A browser on a service of the purchases."""
    folder = tmp_path_factory.mktemp("service")
    store = Store(f"sqlite:///{folder}/store.db").upgrade()
    store.import_data(bought(scale=(0, 1, 1)), "shop")
    versions = Versions(folder / "models")
    assert refit(store, versions).outcome == "switched"
    assert versions.current().accuracy is None
    store.close()
    options = ServiceOptions(f"sqlite:///{folder}/store.db", str(folder / "models"), refit_after=10**9, poll=60.0)
    with TestClient(create_app(options), HERE, headers={"Accept": "text/html"}) as made:
        yield made


def test_the_api_predicts_no_rating(client):
    told = client.get("/api/users/0/recommendations").json()["recommendations"]
    assert [row["predicted_rating"] for row in told] == [None] * 10
    assert told[0]["reasons"][0]["rating"] is None
    audience = client.get("/api/items/3/audience").json()["recommendations"]
    assert {row["predicted_rating"] for row in audience} == {None}
    assert client.get("/api/model").json()["rater"] is None
    for address in ("/api/users/0/predictions/3", "/api/users/0/recommendations?by=rating"):
        answer = client.get(address, headers={"Accept": "application/json"})
        assert answer.status_code == 422
        assert "predicts no ratings" in answer.json()["detail"]


def test_the_page_has_a_mark_instead_of_stars_and_lists_the_visitors_items(client):
    start = client.get("/").text
    assert start.count(">I have this</button>") >= 12
    token = re.search(r'name="token" value="(\w+)"', start)[1]
    for item_id in (1, 3, 5):
        client.post("/rate", data={"token": token, "item_id": item_id, "rating": "1"})
    pages = {address: client.get(address).text for address in (
        "/", "/list", "/ratings", "/how", "/search?query=item", "/items/3", "/items/7", "/users", "/users/0",
        "/items/7?audience",
    )}  # fmt: skip
    for address, page in pages.items():
        read = re.sub("<[^>]*>", "", page)
        for word in ("hated", "loved", "★", "redicted", "stars off", "rated", "our stars"):
            assert word not in read, (address, word)
        assert 'class="star"' not in page
    assert "Because you have <i>" in pages["/list"]
    assert "How it adds up" in pages["/items/7"]
    assert "because they have " in pages["/users/0"]
    assert pages["/ratings"].count("✓ I have this") == 3
    client.post("/rate", data={"token": token, "item_id": 3, "rating": ""})
    assert client.get("/ratings").text.count("✓ I have this") == 2


def test_a_scale_with_one_value_also_gives_a_mark():
    for scale, feedback in (((1, 1, 1), "explicit"), ((0, 1, 1), "implicit")):
        made = RatingInput.of(Scale(*map(float, scale)), feedback)
        assert made.single
        assert [step.value for step in made.buttons] == [1.0]
    assert not RatingInput.of(Scale(0.0, 1.0, 1.0)).single
