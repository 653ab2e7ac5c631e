"""Events: clicks, plays and purchases are read, summed, recommended from and measured without any rating."""

import json
import re

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

import reelated
from reelated.cli.commands import app as terminal
from reelated.data import validate
from reelated.errors import DataWarning, InputError
from reelated.evaluation import by_time, evaluate, leave_last_out, within_users
from reelated.evaluation.report import render
from reelated.models import ItemKNN
from reelated.ratings.events import confidence, look_like_counts, verb_of
from reelated.refit import Versions, refit
from reelated.store import Event, Store, read_export
from reelated.web import ServiceOptions, create_app

SHOP = (
    "visitorid,itemid,event,timestamp\n1,10,view,100\n1,10,view,160\n1,11,cart,9000\n2,10,view,300\n2,12,purchase,400\n"
)


def put(folder, text, name="events.csv"):
    path = folder / name
    path.write_text(text)
    return path


def read(source, **options):
    """Read without showing the notes as warnings."""
    with pytest.warns(DataWarning):
        return reelated.read(source, **options)


def rows(data):
    return [row[:3] for row in data.ratings.to_polars().rows()]


def plays(n_users=90, n_items=24):
    """Return plays of two groups of listeners, with times."""
    rng = np.random.default_rng(5)
    chance = np.where(np.arange(n_users)[:, None] % 2 == np.arange(n_items) % 2, 0.5, 0.08)
    users, items = np.nonzero(rng.random((n_users, n_items)) < chance)
    counts = np.ceil(rng.lognormal(2, 1.2, len(users)))
    times = rng.integers(10**9, 10**9 + 10**7, len(users))
    return {"user": users.tolist(), "artist": items.tolist(), "plays": counts.tolist(), "time": times.tolist()}


@pytest.fixture(scope="module")
def heard():
    return reelated.read(plays(), name="radio")


@pytest.fixture(scope="module")
def rec(heard):
    return reelated.Recommender().fit(heard)


# ----------------------------------------------------------------------------------------------------------- reading
def test_repeated_events_are_summed_and_the_latest_time_is_kept(tmp_path):
    data = read(put(tmp_path, SHOP))
    assert data.ratings.to_polars().rows() == [
        (1, 10, 2.0, 160), (1, 11, 1.0, 9000), (2, 10, 1.0, 300), (2, 12, 1.0, 400)
    ]  # fmt: skip
    assert (data.ratings.feedback, data.ratings.scale) == ("implicit", (0.0, 1.0, 1.0))
    assert "summed 1 repeated event of a user with the same item" in data.notes
    assert "5 interactions" not in repr(data)
    assert repr(data) == "events: 4 interactions by 2 users of 3 items"


def test_types_of_events_have_weights_and_unknown_types_are_counted(tmp_path):
    data = read(put(tmp_path, SHOP), events={"view": 1, "Purchase": 5})
    assert rows(data) == [(1, 10, 2.0), (2, 10, 1.0), (2, 12, 5.0)]
    assert "left out 1 event of types without a weight ('cart' 1 time)" in data.notes
    assert 11 in data.ratings.item_ids  # nobody has it, and it stays in the catalogue


def test_a_type_below_0_is_never_a_positive_and_a_type_of_weight_0_is_ignored(tmp_path):
    text = SHOP + "1,10,dislike,500\n2,11,impression,500\n"
    assert rows(read(put(tmp_path, text))) == [(1, 10, -1.0), (1, 11, 1.0), (2, 10, 1.0), (2, 12, 1.0)]
    given = {"view": 1, "cart": 0, "purchase": 2, "dislike": -3, "impression": 0}
    assert rows(read(put(tmp_path, text), events=given)) == [(1, 10, -3.0), (2, 10, 1.0), (2, 12, 2.0)]


def test_counts_below_0_such_as_returns_are_added():
    data = read({"customer": [1, 1, 2, 2], "product": [7, 7, 7, 8], "quantity": [5, -2, 3, -1]})
    assert rows(data) == [(1, 7, 3.0), (2, 7, 3.0), (2, 8, -1.0)]


@pytest.mark.parametrize(
    ("names", "verb"),
    [
        (("user", "artist", "plays"), "listened to"),
        (("user", "game", "hours"), "played"),
        (("user", "movie", "plays"), "watched"),
        (("customers_id", "product", "quantity"), "bought"),
        (("session", "article", "clicks"), "viewed"),
        (("user", "item", "count"), ""),
    ],
)
def test_columns_of_counts_are_known_and_tell_the_verb(names, verb):
    user, item, weight = names
    data = reelated.read({user: [1, 2, 2], item: [3, 3, 4], weight: [5, 1, 9]}, columns={"user_id": user})
    assert (data.ratings.feedback, data.verb) == ("implicit", verb)
    assert rows(data) == [(1, 3, 5.0), (2, 3, 1.0), (2, 4, 9.0)]


def test_a_verb_needs_types_that_agree():
    assert verb_of("item", None, ["view", "click"]) == "viewed"
    assert verb_of("item", None, ["view", "purchase"]) == ""


def test_ratings_that_look_like_counts_are_weights_unless_feedback_says_otherwise():
    rng = np.random.default_rng(0)
    table = {
        "user": [*range(150)] * 2,
        "item": [1] * 150 + [2] * 150,
        "rating": np.ceil(rng.lognormal(2, 2, 300)).tolist(),
    }
    assert read(table).ratings.feedback == "implicit"
    assert reelated.read(table, feedback="explicit").ratings.feedback == "explicit"
    stars = {"user": [1, 2, 2], "item": [1, 1, 2], "stars": [5, 3, 4]}
    assert reelated.read(stars).ratings.feedback == "explicit"
    assert reelated.read(stars, feedback="implicit").ratings.feedback == "implicit"


@pytest.mark.parametrize("values", [[*range(1, 6)] * 20 + [999] * 5, list(range(101)), [-10.0, 10.0], [1.0] * 50])
def test_scales_and_sentinels_do_not_look_like_counts(values):
    assert not look_like_counts(pl.Series("rating", values, dtype=pl.Float32, strict=False))


def test_a_third_column_of_times_without_a_header_is_no_rating(tmp_path):
    data = read(put(tmp_path, "1,10,1433221332\n2,10,1433221399\n"))
    assert data.ratings.to_polars().rows() == [(1, 10, 1.0, 1433221332), (2, 10, 1.0, 1433221399)]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"events": {"view": "much"}}, "events"),
        ({"events": {}}, "expected types and weights"),
        ({"events": {"view": float("nan")}}, "finite"),
        ({"events": {"buy": 1}}, "no event has a weight above 0"),
        ({"feedback": "stars"}, "feedback"),
        ({"feedback": "explicit", "events": {"view": 1}}, "events have no ratings"),
    ],
)
@pytest.mark.filterwarnings("ignore::reelated.errors.DataWarning")
def test_options_that_cannot_be_used_are_refused(tmp_path, options, told):
    with pytest.raises(InputError, match=told):
        reelated.read(put(tmp_path, SHOP), **options)


@pytest.mark.parametrize("value", ["inf", "nan", "many"])
def test_a_weight_that_is_not_finite_is_reported_with_its_line(tmp_path, value):
    path = put(tmp_path, f"user,item,plays\n1,2,3\n1,3,{value}\n2,2,1\n")
    with pytest.raises(InputError, match=r"line 3|row 2"):
        reelated.read(path)
    assert rows(read(path, invalid="drop")) == [(1, 2, 3.0), (2, 2, 1.0)]


def test_many_events_of_one_user_are_one_row_for_each_item():
    many = 200_000
    data = read({"user": [1] * many + [2], "item": [*([3, 4] * (many // 2)), 3]})
    assert rows(data) == [(1, 3, many / 2), (1, 4, many / 2), (2, 3, 1.0)]
    assert reelated.Recommender().fit(data).recommend(2)[0].item_id == 4


# ------------------------------------------------------------------------------------------------------------- check
def test_validation_reports_kind_heavy_users_sessions_and_time_span(tmp_path):
    report = validate(put(tmp_path, SHOP))
    told = {issue.code: issue.message for issue in report.issues}
    assert (report.usable, report.kind, report.scale) == (True, "events", None)
    assert told["time_span"].startswith("Events from 1970-01-01 to 1970-01-01, in 3 sessions")
    assert told["repeated_event"] == "1 repeated event of a user with the same item."
    assert told["one_user_item"] == "2 items with one user."
    bot = validate({"user": [9] * 600 + list(range(60)), "item": list(range(600)) + [1] * 60})
    assert [issue.example for issue in bot.issues if issue.code == "heavy_user"] == ["user_id=9, 601 events"]
    counts = validate({"user": [1, 2], "item": [1, 1], "plays": [3, 8]})
    assert (counts.kind, validate({"user": [1, 2], "item": [1, 1], "stars": [3, 4]}).kind) == ("counts", "ratings")


def test_validation_counts_weights_of_0_and_below(tmp_path):
    report = validate({"user": [1, 1, 2], "item": [1, 2, 1], "plays": [0, -1, 4]})
    assert {issue.code: issue.count for issue in report.issues if issue.code in ("zero_weight", "not_interested")} == {
        "zero_weight": 1, "not_interested": 1
    }  # fmt: skip
    assert not validate({"user": [1, 2], "item": [1, 2], "plays": [0, 0]}).usable


def test_times_in_the_future_are_reported():
    future = 2**31 + 10**9
    report = validate({"user": [1, 2], "item": [1, 2], "timestamp": [10**9, future]})
    assert {"future_time", "odd_time"} & {issue.code for issue in report.issues}


# ------------------------------------------------------------------------------------------------------------ models
def test_confidence_is_1_for_the_typical_weight_and_grows_with_the_logarithm():
    weights = np.array([0.0, 1.0, 7.0, 1e9, -4.0], np.float32)
    expected = [2 * np.log1p(w) / (np.log1p(w) + np.log1p(7.0)) if w > 0 else 0.0 for w in weights.tolist()]
    assert confidence(weights, 7.0) == pytest.approx(expected)
    assert confidence(np.array([3.0], np.float32), 3.0)[0] == 1.0


def test_lists_have_reasons_with_the_verb_and_no_rating(rec):
    answers = rec.recommend(0)
    assert (rec.feedback_, rec.models_.rater, answers.because) == ("implicit", None, "because you listened to")
    for row in answers:
        assert row.predicted_rating is None
        assert {reason.rating for reason in row.reasons} <= {None}
        why = rec.explain(0, row.item_id, ranks=False)
        assert why.base + sum(part.contribution for part in why.contributions) + why.clip == pytest.approx(row.score)
    assert "rating" not in repr(answers)
    with pytest.raises(InputError, match="its data are events or equal ratings"):
        rec.recommend(0, by="rating")


def test_a_new_user_passes_items(rec):
    usual = rec.scale_.high
    assert rec.recommend(items=[1, 3]) == rec.recommend(ratings={1: usual, 3: usual})
    assert rec.explain(None, 5, items=[1, 3]) == rec.explain(None, 5, ratings={1: usual, 3: usual})
    with pytest.raises(InputError, match="Pass one of"):
        rec.recommend(0, items=[1])


def test_more_plays_count_more(rec):
    target = rec.recommend(items=[1, 2], n=1)[0]
    reason = target.reasons[0].item_id
    other = {1: 2, 2: 1}[reason]
    usual = rec.scale_.high
    scores = [rec.explain(None, target.item_id, ratings={reason: w, other: usual}, ranks=False).value for w in (1, 50)]
    assert scores[0] < scores[1]


def test_an_item_of_no_interest_is_not_recommended_and_adds_nothing(rec):
    without = rec.recommend(ratings={1: 5}, n=30)
    answers = rec.recommend(ratings={1: 5, 3: -1}, n=30)
    assert [row.item_id for row in answers] == [row.item_id for row in without if row.item_id != 3]
    assert [row.score for row in answers] == [row.score for row in without if row.item_id != 3]


@pytest.mark.parametrize("ranker", ["default", ItemKNN()])
def test_a_negative_event_in_the_data_is_no_training_data(ranker):
    table = plays()
    disliked = {name: [*values, extra] for (name, values), extra in zip(table.items(), (0, 1, -5, 10**9), strict=True)}
    assert (0, 1) not in zip(table["user"], table["artist"], strict=True)
    data = read(disliked)
    fitted, plain = (reelated.Recommender(ranker).fit(each) for each in (data, reelated.read(table)))
    weights = [each.models_.ranker.item_weights_.toarray() for each in (fitted, plain)]
    assert np.array_equal(*weights)
    assert 1 not in [row.item_id for row in fitted.recommend(0, n=30)]
    assert 1 in [row.item_id for row in plain.recommend(0, n=30)]
    assert fitted.catalogue_.counts[1] == plain.catalogue_.counts[1]


def test_a_model_of_events_can_be_saved_and_loaded(rec, tmp_path):
    again = reelated.Recommender.load(rec.save(tmp_path / "model"))
    assert (again.feedback_, again.verb_, again.scale_) == ("implicit", "listened to", rec.scale_)
    assert again.recommend(0) == rec.recommend(0)
    assert again.recommend(0).because == "because you listened to"


def test_other_users_are_served_by_a_fitted_model(rec, heard):
    assert rec.with_ratings(heard).recommend(7) == rec.recommend(7)


def test_events_need_a_ranker(heard):
    with pytest.raises(InputError, match="events have no ratings to predict"):
        reelated.textbook().fit(heard)


# -------------------------------------------------------------------------------------------------------- evaluation
@pytest.mark.parametrize("split", [within_users, leave_last_out, by_time])
def test_events_are_measured_by_lists_only(heard, split):
    result = evaluate(reelated.Recommender(), split(heard))
    names = {row.measure for row in result.rows()}
    assert {"ndcg@10", "map@10", "recall@10", "hit_rate@10", "coverage", "novelty", "top10_share"} <= names
    assert not names & {"rmse", "mae"}
    assert (result.liked, {row.relevance for row in result.rows()}) == (None, {"any", None})
    page = render({"default": result})
    for word in ("RMSE", "iked", "redicted rating"):
        assert word not in page


def test_recall_by_activity_and_popularity_agrees_with_plain_loops(heard):
    split = within_users(heard)
    result = evaluate(reelated.Recommender(), split)
    groups = result.groups()
    by_user, by_item = (groups.filter(of=of) for of in ("user", "item"))
    assert by_user["n"].sum() == split.test["user_id"].n_unique()
    assert by_item["n"].sum() == len(split.test)
    assert (by_user["recall"] * by_user["n"]).sum() / by_user["n"].sum() == pytest.approx(
        result.value("recall@10", "any")
    )
    served = reelated.Recommender(fill_with_popular=False).fit(split.train)
    lists = {user: [row.item_id for row in served.recommend(user)] for user in split.test["user_id"].unique()}
    hits = sum(item in lists[user] for user, item in split.test.select("user_id", "item_id").rows())
    assert (by_item["recall"] * by_item["n"]).sum() == pytest.approx(hits)


def test_a_negative_event_is_never_hidden():
    table = plays()
    data = read({name: [*v, x] for (name, v), x in zip(table.items(), (0, 1, -5, 2 * 10**9), strict=True)})
    split = leave_last_out(data)
    assert (split.test["rating"] > 0).all()
    assert split.train.ratings.matrix.data.min() == -5


# ------------------------------------------------------------------------------------------------------ the terminal
def run(*words, code=0):
    result = CliRunner().invoke(terminal, list(map(str, words)), env={"COLUMNS": "120"})
    assert bool(result.exit_code) == bool(code), (result.output, result.exception)
    return result


def test_the_terminal_takes_items_of_a_new_user_and_weights_of_types(tmp_path):
    path = put(tmp_path, SHOP)
    told = run("recommend", path, "--events", "view=1,purchase=5", "--item", 10, "--item", 11, "-n", 1)
    assert "left out 1 event of types without a weight" in told.stderr
    (row,) = json.loads(run("recommend", path, "--item", 10, "-n", 1, "--json").stdout)
    assert row["predicted_rating"] is None
    assert "because you have" in told.stdout
    assert "predicted" not in run("evaluate", path, "--split", "within-users", code=1).stdout
    assert "kind: events" in run("check", path).stdout
    for events in ("view", "=1", "view=true"):
        assert "expected type=weight" in str(run("check", path, "--events", events, code=1).exception)


def test_several_items_are_those_of_a_new_user_for_ratings_too(sample):
    one = json.loads(run("recommend", "sample", "--item", 50, "-n", 2, "--json").stdout)
    assert {"user_id"} <= one[0].keys()
    several = json.loads(run("recommend", "sample", "--item", 50, "--item", 172, "-n", 2, "--json").stdout)
    assert "item_id" in several[0]


def test_check_names_the_columns_that_are_not_used_where_none_holds_ratings(tmp_path):
    path = tmp_path / "opinions.csv"
    path.write_text("user,item,opinion,title\n1,2,good,Up\n1,3,bad,Heat\n2,2,good,Up\n")
    told = run("check", path).stdout
    assert "Not used: 'opinion'." in told
    assert "reading continues; --columns rating=COLUMN names ratings, and --map like=1 gives words" in told
    assert "Not used" not in run("check", path, "--columns", "rating=opinion", "--map", "good=5,bad=1").stdout


# --------------------------------------------------------------------------------------------------------- the store
@pytest.fixture
def shop(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/shop.db").upgrade()
    store.import_data(read(put(tmp_path, SHOP), events={"view": 1, "cart": 3, "purchase": 5, "hide": -1}), "first")
    yield store
    store.close()


def test_a_store_adds_events_and_keeps_items_of_no_interest(shop):
    assert shop.about().is_events
    kept = shop.add_events([Event(1, 10, "cart"), Event(3, 11, weight=4.0), Event(2, 10, "hide"), Event(2, 10, "view")])
    assert kept == 4
    assert rows(shop.dataset()[0]) == [(1, 10, 5.0), (1, 11, 3.0), (2, 10, -1.0), (2, 12, 5.0), (3, 11, 4.0)]
    for event, told in ((Event(1, 10, "swim"), "expected one of 'view'"), (Event(1, 10, weight=0.0), "other than 0")):
        with pytest.raises(InputError, match=told):
            shop.add_events([event])


def test_the_same_import_counts_once_and_another_is_added(shop, tmp_path):
    before = rows(shop.dataset()[0])
    data = read(tmp_path / "events.csv", events={"view": 1, "cart": 3, "purchase": 5, "hide": -1})
    shop.import_data(data, "first")
    assert rows(shop.dataset()[0]) == before
    shop.import_data(data, "second")
    assert rows(shop.dataset()[0]) == [(user, item, 2 * weight) for user, item, weight in before]


def test_an_exported_store_of_events_is_restored(shop, tmp_path):
    shop.add_events([Event(2, 10, "hide")])
    shop.export().write(tmp_path / "export")
    other = Store(f"sqlite:///{tmp_path}/other.db").upgrade()
    for fingerprint in ("a", "b"):  # an export replaces what is there
        other.import_export(read_export(tmp_path / "export"), fingerprint)
        assert rows(other.dataset()[0]) == rows(shop.dataset()[0])
        assert other.about().events == shop.about().events
    other.close()


def test_ratings_and_events_do_not_mix(shop, store, sample):
    with pytest.raises(InputError, match="it holds ratings, the store events"):
        shop.import_data(sample, "sample")
    store.import_data(sample, "sample")
    with pytest.raises(InputError, match="The store holds ratings, not events"):
        store.add_events([Event(1, 50)])


# ------------------------------------------------------------------------------------------- the service and its page
@pytest.fixture(scope="module")
def client(tmp_path_factory, heard):
    """A browser on a service of the plays."""
    folder = tmp_path_factory.mktemp("radio")
    store = Store(f"sqlite:///{folder}/store.db").upgrade()
    store.import_data(heard, "radio")
    assert refit(store, Versions(folder / "models")).outcome == "switched"
    store.close()
    options = ServiceOptions(f"sqlite:///{folder}/store.db", str(folder / "models"), refit_after=10**9, poll=60.0)
    with TestClient(create_app(options), "http://127.0.0.1:8000", headers={"Accept": "text/html"}) as made:
        yield made


def test_the_api_takes_events_and_lists_change_at_once(client):
    before = [row["item_id"] for row in client.get("/api/users/0/recommendations?n=30").json()["recommendations"]]
    events = [
        {"user_id": 0, "item_id": before[0], "weight": 7},
        {"user_id": 0, "item_id": before[0], "event": "play"},
        {"user_id": 0, "item_id": before[1], "event": "dislike"},
    ]
    assert client.post("/api/events", json={"events": events}).json() == {"kept": 3}
    answer = client.get("/api/users/0/recommendations?n=30").json()["recommendations"]
    assert not {row["item_id"] for row in answer} & set(before[:2])
    assert {row["predicted_rating"] for row in answer} == {None}
    kept = {row["item_id"]: row["rating"] for row in client.get("/api/users/0/ratings").json()["ratings"]}
    assert (kept[before[0]], kept[before[1]]) == (8, -1)
    wrong = client.post("/api/events", json={"events": [{"user_id": 0, "item_id": 1, "weight": 0}]})
    assert wrong.status_code == 422


def test_the_api_takes_the_items_of_a_new_user(client):
    answer = client.post("/api/recommendations", json={"items": [1, 3], "n": 3}).json()
    assert len(answer["recommendations"]) == 3
    assert {row["item_id"] for row in answer["recommendations"]}.isdisjoint({1, 3})
    for body in ({}, {"items": [1], "ratings": [{"item_id": 1, "rating": 2}]}):
        assert client.post("/api/recommendations", json=body).status_code == 422


def test_the_page_says_what_users_did(client):
    start = client.get("/").text
    assert start.count(">I listened to this</button>") >= 12
    token = re.search(r'name="token" value="(\w+)"', start)[1]
    for item_id in (1, 3):
        client.post("/rate", data={"token": token, "item_id": item_id, "rating": "1"})
    assert "Because you listened to" in client.get("/list").text
