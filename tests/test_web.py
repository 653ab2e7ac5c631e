"""The HTTP API: same results as the library, ratings that take effect at once, and invalid input of every kind."""

import json
import logging
import os
import threading
import time
from collections import namedtuple
from contextlib import contextmanager
from unittest import mock

import polars as pl
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.python.asgi import get_client
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import reelated
from reelated.errors import InputError
from reelated.refit import Versions, models_folder, refit
from reelated.store import Store, StoreUnavailable
from reelated.web import ServiceOptions, create_app
from reelated.web.model_watcher import ModelWatcher, start_refit
from reelated.web.service import Service

KEY = "a key of more than sixteen characters"
HERE = "http://127.0.0.1:8000"


@pytest.fixture(autouse=True)
def _heard(monkeypatch):
    """Propagate log records to caplog, even after a command has configured logging for a service."""
    monkeypatch.setattr(logging.getLogger("reelated"), "propagate", True)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request, tmp_path_factory, stored_sample):
    """The URL of a store with the sample, and the folder of its models, for each database."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres").url()
    store, versions = stored_sample(tmp_path_factory.mktemp("service"), url)
    store.close()
    return store.url.render_as_string(hide_password=False), str(versions.folder)


@contextmanager
def without_refits(url):
    """The service without a key, and without refits: an erasure, too, makes one due."""
    options, refit_if_due = ServiceOptions(*url, poll=0.05), ModelWatcher._refit_if_due
    with mock.patch.object(ModelWatcher, "_refit_if_due", lambda self: self.options is options or refit_if_due(self)):
        yield create_app(options)


@pytest.fixture(scope="module")
def app(url):
    """The service that most tests share."""
    with without_refits(url) as app:
        yield app


@pytest.fixture(scope="module")
def web(app):
    """A client on this machine."""
    with TestClient(app, HERE, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def rec(fitted):
    """The same model as the served one, with its ratings."""
    return fitted


def plain(answers):
    """Return a list as JSON."""
    return json.loads(json.dumps(answers.to_dicts()))


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", {}),
        ("?n=3&by=rating", {"n": 3, "by": "rating"}),
        ("?genres=Drama,comedy&years=1990-1999&exclude=272,%20317", {
            "genres": ["Drama", "Comedy"], "years": (1990, 1999), "exclude": [272, 317],
        }),
        ("?years=1994&n=2", {"years": 1994, "n": 2}),
    ],
)  # fmt: skip
def test_a_users_list_equals_that_of_the_library(web, rec, query, asked):
    result = web.get(f"/api/users/42/recommendations{query}").json()
    assert result == {"recommendations": plain(rec.recommend(user_id=42, **asked)), "short": None}


def first_users(sample, n=150):
    """Return the ratings of the first users of the sample."""
    return sample.ratings.to_polars().filter(pl.col("user_id") <= n)


def test_the_latest_ratings_weigh_most_if_the_store_has_an_order_and_no_times(tmp_path, sample):
    table = first_users(sample)
    order = table["timestamp"].rank("ordinal").cast(int)
    data = reelated.Dataset.from_frames(table.drop("timestamp").with_columns(order=order), sample.items)
    store, versions = Store(f"sqlite:///{tmp_path}/store.db").upgrade(), Versions(tmp_path / "models")
    store.import_data(data, "order")
    refit(store, versions)
    service = Service(store, versions)
    assert service.load_current()
    rec = reelated.Recommender().fit(data)
    assert list(service.recommend(42)) == list(rec.recommend(user_id=42))
    store.rate(42, 60, 5)
    rec = rec.with_ratings(store.dataset()[0])
    assert list(service.recommend(42)) == list(rec.recommend(user_id=42))
    store.close()


def test_a_short_list_has_its_reason(web, rec):
    result = web.get("/api/users/42/recommendations?years=1925&n=100").json()
    expected = rec.recommend(user_id=42, years=1925, n=100)
    assert result["short"] == expected.short._asdict()
    assert result["recommendations"] == plain(expected)


def test_a_new_users_list_equals_that_of_the_library(web, rec):
    body = {"ratings": [{"item_id": 50, "rating": 5}, {"item_id": 60, "rating": 1.5}], "n": 4, "genres": ["drama"]}
    result = web.post("/api/recommendations", json=body | {"years": [1950, 2000], "exclude": [84]}).json()
    expected = rec.recommend(ratings={50: 5, 60: 1.5}, n=4, genres="Drama", years=(1950, 2000), exclude=[84])
    assert result["recommendations"] == plain(expected)
    assert len(web.post("/api/recommendations", json={"ratings": []}).json()["recommendations"]) == 10


def test_similar_items_equal_those_of_the_library(web, rec):
    assert web.get("/api/items/50/similar?n=4").json()["recommendations"] == plain(rec.similar(50, n=4))


def test_an_audience_equals_that_of_the_library_and_has_no_reasons(web, rec):
    result = web.get("/api/items/60/audience?n=7").json()["recommendations"]
    assert result == plain(rec.audience(60, n=7))
    assert not {"reasons", "other"} & set(result[0])
    by_rating = web.get("/api/items/60/audience?n=3&by=rating").json()["recommendations"]
    assert by_rating == plain(rec.audience(60, n=3, by="rating"))


def test_new_raters_and_erased_users_are_not_in_an_audience(web, app):
    first, second, third = (row["user_id"] for row in web.get("/api/items/61/audience?n=3").json()["recommendations"])
    web.put(f"/api/users/{first}/ratings/61", json={"rating": 3})
    app.state.service.store.forget(second)
    result = web.get("/api/items/61/audience?n=2").json()["recommendations"]
    assert [row["rank"] for row in result] == [1, 2]
    assert result[0]["user_id"] == third
    assert not {first, second} & {row["user_id"] for row in result}


def test_a_user_who_returns_after_erasure_is_a_new_user(web):
    first = web.get("/api/items/62/audience?n=1").json()["recommendations"][0]["user_id"]
    assert web.delete(f"/api/users/{first}").status_code == 204
    assert web.get(f"/api/users/{first}/recommendations").status_code == 404
    web.put(f"/api/users/{first}/ratings/50", json={"rating": 3})
    rows = web.get("/api/items/62/audience?n=1000").json()["recommendations"]
    result = [row for row in rows if row["user_id"] == first]
    assert [row["n_neighbors_used"] for row in result] in ([], [1])
    web.delete(f"/api/users/{first}")
    refused = web.delete(f"/api/users/{first}")
    assert refused.status_code == 404
    assert refused.json()["detail"] == f"user_id={first}: no ratings by this user. Nothing was removed."


def test_a_prediction_and_its_reasons_equal_those_of_the_library(web, rec):
    result = web.get("/api/users/42/predictions/60").json()
    expected, why = rec.predict(42, 60), rec.explain(42, 60, by="rating")
    assert result["predicted_rating"] == expected.predicted_rating
    assert (result["n_neighbors_used"], result["rating"], result["user_id"]) == (
        expected.n_neighbors_used,
        expected.rating,
        42,
    )
    parts = (
        result["base"] + sum(reason["contribution"] for reason in result["reasons"]) + result["other"] + result["clip"]
    )
    assert parts == pytest.approx(why.value, abs=1e-5)
    assert parts == pytest.approx(result["predicted_rating"], abs=1e-5)
    assert len(result["reasons"]) == 3


def test_a_rating_takes_effect_in_the_next_list(web):
    before = web.get("/api/users/43/recommendations").json()["recommendations"]
    rated = before[0]["item_id"]
    assert web.put(f"/api/users/43/ratings/{rated}", json={"rating": 1}).json() == {
        "user_id": 43, "item_id": rated, "rating": 1,
    }  # fmt: skip
    after = web.get("/api/users/43/recommendations").json()["recommendations"]
    assert rated not in [row["item_id"] for row in after]
    assert web.get("/api/users/43/ratings?n=1").json()["ratings"][0]["item_id"] == rated
    assert web.delete(f"/api/users/43/ratings/{rated}").status_code == 204
    assert web.get("/api/users/43/recommendations").json()["recommendations"] == before


def test_a_user_has_a_list_from_the_first_rating_on(web, rec):
    assert web.get("/api/users/7001/recommendations").status_code == 404
    web.put("/api/users/7001/ratings/50", json={"rating": 5})
    result = web.get("/api/users/7001/recommendations").json()["recommendations"]
    assert result == plain(rec.recommend(ratings={50: 5}))
    web.delete("/api/users/7001/ratings/50")
    assert {row["source"] for row in web.get("/api/users/7001/recommendations").json()["recommendations"]} == {
        "popular"
    }


def test_users_added_after_the_fit_are_new_and_those_of_the_fit_are_not(tmp_path, sample):
    store, versions = Store(f"sqlite:///{tmp_path}/store.db").upgrade(), Versions(tmp_path / "models")
    store.import_data(reelated.Dataset.from_frames(first_users(sample), sample.items), "some")
    store.rate(8001, 50, 5)
    refit(store, versions)
    store.rate(8002, 50, 5)
    service = Service(store, versions)
    assert service.load_current()
    rec = service.served.recommender
    new, known = (service.predict(user_id, 60)[0] for user_id in (8002, 8001))
    assert new.predicted_rating == rec.predict(None, 60, ratings={50: 5}).predicted_rating
    assert known.predicted_rating == rec.with_ratings(store.dataset()[0]).predict(8001, 60).predicted_rating
    assert abs(new.predicted_rating - known.predicted_rating) > 0.1
    assert service.recommend(8002, n=1)[0].predicted_rating != service.recommend(8001, n=1)[0].predicted_rating
    store.close()


def test_a_batch_of_ratings_is_stored_completely_or_not_at_all(web):
    good = [{"user_id": 7002, "item_id": item, "rating": 4} for item in (50, 60, 50)]
    assert web.post("/api/ratings", json={"ratings": good}).json() == {"kept": 2}
    bad = [{"user_id": 7003, "item_id": 50, "rating": 4}, {"user_id": 7003, "item_id": 99999, "rating": 4}]
    refused = web.post("/api/ratings", json={"ratings": bad})
    assert refused.status_code == 404
    assert "item_id=99999: no such item" in refused.json()["detail"]
    assert web.get("/api/users/7003/ratings").status_code == 404


def test_ratings_come_in_pages(web):
    ratings = [{"user_id": 7004, "item_id": item, "rating": 3} for item in range(1, 8)]
    web.post("/api/ratings", json={"ratings": ratings})
    pages = [web.get(f"/api/users/7004/ratings?n=3&page={page}").json() for page in (1, 2, 3, 4)]
    assert [page["more"] for page in pages] == [True, True, False, False]
    assert [row["item_id"] for page in pages for row in page["ratings"]] == list(range(1, 8))


def test_a_new_item_can_be_found_and_rated_but_is_not_in_the_model(web):
    body = {"title": "<b>Très Nouveau</b>", "year": 2026, "genres": ["Drama"]}
    assert web.put("/api/items/8001", json=body).json() == {"item_id": 8001, "n_ratings": 0, "image": None} | body
    assert web.get("/api/items?query=tres nouv").json()["items"][0]["item_id"] == 8001
    assert web.put("/api/users/7005/ratings/8001", json={"rating": 5}).status_code == 200
    assert web.get("/api/items/8001").json()["n_ratings"] == 1
    assert len(web.get("/api/users/7005/recommendations").json()["recommendations"]) == 10
    for address in ("/api/items/8001/similar", "/api/items/8001/audience", "/api/users/7005/predictions/8001"):
        refused = web.get(address)
        assert refused.status_code == 404
        assert refused.json()["detail"] == "item_id=8001: the model does not know this item until the next refit."


def test_unknown_items_and_genres_do_not_fail_a_request(web):
    """Callers send ids of sold-out or new items without knowing what the model contains."""
    web.put("/api/items/8002", json={"title": "Newer", "year": 2026, "genres": ["Mumblecore"]})
    plain = web.get("/api/users/42/recommendations").json()
    assert web.get("/api/users/42/recommendations?exclude=8002,99999").json() == plain
    result = web.get("/api/users/42/recommendations?genres=Mumblecore").json()
    assert result == {"recommendations": [], "short": {"wanted": 10, "got": 0, "reason": "unknown_genre"}}
    known = [{"item_id": 50, "rating": 5}, {"item_id": 100, "rating": 2}]
    new = [{"item_id": item_id, "rating": 4} for item_id in (8002, 99999, 10**40)]
    result = web.post("/api/recommendations", json={"ratings": new + known, "exclude": [8002]}).json()
    assert result == web.post("/api/recommendations", json={"ratings": known}).json() | {
        "unknown": [8002, 99999, 10**40]
    }
    result = web.post("/api/recommendations", json={"ratings": new, "n": 7}).json()
    assert [row["source"] for row in result["recommendations"]] == ["popular"] * 7
    wrong = web.post("/api/recommendations", json={"ratings": [{"item_id": "50", "rating": 5}]})
    assert wrong.status_code == 422
    assert wrong.json()["detail"].startswith("ratings: item_id='50': the item ids")


def test_an_update_changes_only_the_given_fields(web):
    whole = {"item_id": 8003, "title": "Whole", "year": 1999, "genres": ["Drama", "War"], "n_ratings": 0, "image": None}
    new = web.put("/api/items/8003", json={"title": "Whole", "year": 1999, "genres": ["Drama", "War"]})
    assert new.json() == whole
    for change in ({"title": "Other"}, {"year": 2000}, {"genres": ["War"]}, {"year": None}, {"genres": []}, {}):
        whole |= change
        assert web.put("/api/items/8003", json=change).json() == whole
        assert web.get("/api/items/8003").json() == whole


def shown_of(web, *addresses):
    """Return the items that lists show."""
    return {row["item_id"] for address in addresses for row in web.get(address).json()["recommendations"]}


def test_a_hidden_item_is_absent_in_every_process_until_it_is_shown_again(web, url, rec):
    lists = "/api/users/42/recommendations?n=1000", "/api/users/42/recommendations?by=rating&n=5"
    first = web.get(lists[1]).json()["recommendations"][0]["item_id"]
    like = rec.similar(first, n=1)[0].item_id
    everywhere = (*lists, f"/api/items/{like}/similar?n=1000")
    title = web.get(f"/api/items/{first}").json()["title"]
    with TestClient(create_app(ServiceOptions(*url, refit_after=10**9, poll=60)), HERE) as other:
        assert other.put(f"/api/items/{first}/hidden").status_code == 204
        for worker in (web, other):
            assert first not in shown_of(worker, *everywhere)
            assert len(worker.get(lists[1]).json()["recommendations"]) == 5
            popular = worker.post("/api/recommendations", json={"ratings": [], "n": 1000}).json()
            assert first not in {row["item_id"] for row in popular["recommendations"]}
            found = worker.get(f"/api/items?query={title}").json()["items"]
            assert first not in {item["item_id"] for item in found}
            for address in ("", "/similar", "/audience"):
                refused = worker.get(f"/api/items/{first}{address}")
                assert (refused.status_code, refused.json()) == (
                    404,
                    {
                        "detail": f"item_id={first}: this item is hidden.",
                        "parameter": "item_id",
                        "expected": "this item is hidden.",
                    },
                )
            assert worker.get(f"/api/users/42/predictions/{first}").status_code == 404
        assert web.delete(f"/api/items/{first}/hidden").status_code == 204
        for worker in (web, other):
            assert first in shown_of(worker, lists[1])
            assert worker.get(f"/api/items/{first}/audience").status_code == 200
    assert web.put("/api/items/99999/hidden").status_code == 404


def test_a_rating_of_a_hidden_item_still_counts(web, rec):
    web.put("/api/users/7011/ratings/50", json={"rating": 5})
    before = web.get("/api/users/7011/recommendations").json()
    web.put("/api/items/50/hidden")
    assert web.get("/api/users/7011/recommendations").json() == before
    assert web.get("/api/users/7011/ratings").json()["ratings"][0]["item_id"] == 50
    assert web.put("/api/users/7011/ratings/50", json={"rating": 4}).status_code == 200
    web.delete("/api/items/50/hidden")


def test_hidden_items_stay_hidden_during_an_outage_of_the_store(tmp_path, stored_sample, monkeypatch):
    store, versions = stored_sample(tmp_path)
    service = Service(store, versions)
    service.load_current()
    first = service.recommend_to_new_user({})[0].item_id
    store.set_hidden(first, True)
    assert service.recommend_to_new_user({})[0].item_id != first
    asked = []

    def gone():
        asked.append(1)
        raise StoreUnavailable("gone")

    monkeypatch.setattr(store, "hidden_keys", gone)
    for _ in range(3):
        assert service.recommend_to_new_user({})[0].item_id != first
    assert len(asked) == 1  # later requests do not wait for the store
    store.close()


def test_the_list_of_a_user_reads_the_hidden_items_with_the_ratings(tmp_path, stored_sample, monkeypatch):
    store, versions = stored_sample(tmp_path)
    service = Service(store, versions)
    service.load_current()
    first = service.recommend(300)[0].item_id

    def gone():
        raise StoreUnavailable("gone")

    monkeypatch.setattr(store, "hidden_keys", gone)
    store.set_hidden(first, True)
    assert first not in [row.item_id for row in service.recommend(300, n=50)]
    everything = len(service.served.items)
    assert first not in [row.item_id for row in service.recommend_to_new_user({}, n=everything)]  # as last known
    store.set_hidden(first, False)
    assert service.recommend(300)[0].item_id == first
    store.close()


def test_a_hidden_item_stays_hidden_after_a_refit_and_takes_no_rank(tmp_path, stored_sample):
    store, versions = stored_sample(tmp_path)
    service = Service(store, versions)
    service.load_current()
    ratings = {50: 5, 60: 2}
    first, second = (row.item_id for row in service.recommend_to_new_user(ratings, n=2))
    store.set_hidden(first, True)
    refit(store, versions)
    assert service.load_current()
    assert service.recommend_to_new_user(ratings)[0].item_id == second
    rec = service.served.recommender
    assert rec.explain(None, second, ratings=ratings).rank == 1
    assert first not in rec.item_ids.take(service.served.items_to_rate).to_list()
    assert first not in service.map_data().columns["item_id"]
    assert "title_index" in vars(service.served.recommender.catalogue_)  # built before the first search
    store.set_hidden(first, False)
    assert first in service.map_data().columns["item_id"]
    assert service.served.recommender.explain(None, second, ratings=ratings).rank == 2
    store.close()


def test_similar_items_take_the_filters_of_a_list(web):
    plain = web.get("/api/items/50/similar?n=50").json()["recommendations"]
    first = plain[0]["item_id"]
    assert first not in [
        row["item_id"] for row in web.get(f"/api/items/50/similar?exclude={first}").json()["recommendations"]
    ]
    drama = web.get("/api/items/50/similar?genres=drama&years=1980-1999&n=5").json()["recommendations"]
    assert drama
    assert all("Drama" in row["genres"] and 1980 <= row["year"] <= 1999 for row in drama)
    assert web.get("/api/items/50/similar?by=score").status_code == 422


def test_ratings_may_have_a_time(web):
    assert web.put("/api/users/90042/ratings/50", json={"rating": 4, "timestamp": 874_965_758}).status_code == 200
    rows = [
        {"user_id": 90043, "item_id": 50, "rating": 5, "timestamp": 0},
        {"user_id": 90044, "item_id": 50, "rating": 5},
    ]
    assert web.post("/api/ratings", json={"ratings": rows}).json() == {"kept": 2}
    times = []
    for user in (90042, 90043, 90044):
        (rated,) = web.get(f"/api/users/{user}/ratings").json()["ratings"]
        times.append(rated["timestamp"])
    assert times[:2] == [874_965_758, 0]
    assert abs(times[2] - time.time()) < 60
    for wrong in (-1, 10**12, 1.5, "yesterday"):
        refused = web.put("/api/users/90042/ratings/50", json={"rating": 4, "timestamp": wrong})
        assert (refused.status_code, refused.json()["parameter"]) == (422, "timestamp")


def test_items_are_found_by_title_and_genre(web):
    found = web.get("/api/items?query=alien").json()["items"]
    assert [item["title"] for item in found] == ["Alien", "Aliens", "Alien³"]  # the more rated of the rest first
    assert found[0] == web.get(f"/api/items/{found[0]['item_id']}").json()
    assert web.get("/api/items?query=godfahter&n=1").json()["items"][0]["title"] == "The Godfather"
    assert web.get("/api/items?query=alien&n=1&page=2").json()["items"] == found[1:2]
    genres = {genre for item in web.get("/api/items?genres=western&n=5").json()["items"] for genre in item["genres"]}
    assert "Western" in genres


@pytest.mark.parametrize(
    ("method", "address", "body", "status", "result"),
    [
        ("GET", "/api/users/123456/recommendations", None, 404, "For a new user: POST /api/recommendations"),
        ("GET", "/api/users/ann/recommendations", None, 404, "user ids of this data are whole numbers"),
        ("GET", "/api/users/99999999999999999999/ratings", None, 404, "whole numbers"),
        ("GET", "/api/users/9223372036854775808/ratings", None, 404, "whole numbers"),
        ("GET", "/api/users/%00/ratings", None, 404, "whole numbers"),
        ("GET", "/api/users/%ff%fe/ratings", None, 404, "whole numbers"),
        ("GET", "/api/users/..%2f..%2fetc%2fpasswd/ratings", None, 404, "nothing at this address"),
        ("GET", "/../../etc/passwd", None, 404, "nothing at this address"),
        ("GET", "/api/users/42/recommendations?n=0", None, 422, "n='0'"),
        ("GET", "/api/users/42/recommendations?n=1001", None, 422, "n='1001'"),
        ("GET", "/api/users/42/recommendations?genre=Drama", None, 422, "genre='Drama': extra inputs"),
        ("GET", "/api/users/42/recommendations?by=stars", None, 422, "by='stars'"),
        ("GET", "/api/users/42/recommendations?years=1999-1990", None, 422, "earlier year first"),
        ("GET", "/api/users/42/recommendations?years=soon", None, 422, "such as 1990-1999"),
        ("GET", "/api/users/42/predictions/99999", None, 404, "item_id=99999: no such item"),
        ("GET", "/api/items/99999/similar", None, 404, "item_id=99999"),
        ("GET", "/api/items/99999/audience", None, 404, "item_id=99999: no such item"),
        ("GET", "/api/items?query=%00", None, 422, "none of them NUL"),
        ("GET", "/api/items?genres=%00", None, 200, ""),
        ("GET", "/api/items?page=0", None, 422, "page='0'"),
        ("PUT", "/api/users/42/ratings/99999", {"rating": 4}, 404, "PUT /api/items/{item_id}"),
        ("PUT", "/api/users/42/ratings/50", {"rating": 5.5}, 422, "expected a finite number from 1 to 5"),
        ("PUT", "/api/users/42/ratings/50", {"rating": 4.3}, 422, "from 1 to 5 in steps of 1, the scale of this store"),
        ("PUT", "/api/users/42/ratings/50", {"rating": "4"}, 422, "rating='4': input should be a valid number"),
        ("PUT", "/api/users/42/ratings/50", {"rating": True}, 422, "rating=True"),
        ("PUT", "/api/users/42/ratings/50", {"stars": 4}, 422, "rating: field required"),
        ("PUT", "/api/users/42/ratings/50", {"rating": 4, "user": 5}, 422, "user=5: extra inputs"),
        ("PUT", "/api/users/42/ratings/50", [], 422, "body=[]"),
        ("PUT", "/api/users/42/ratings/50", None, 422, "body: field required"),
        ("DELETE", "/api/users/42/ratings/99999", None, 404, "user_id=42: no rating of item_id=99999"),
        ("POST", "/api/recommendations", {"ratings": [{"item_id": "50", "rating": 4}]}, 422, "not str"),
        ("POST", "/api/recommendations", {"ratings": {"50": 4}}, 422, "ratings="),
        ("POST", "/api/ratings", {"ratings": [{"user_id": "ann", "item_id": 50, "rating": 4}]}, 422, "whole numbers"),
        ("PUT", "/api/items/8005", {"year": 1999}, 422, "title: item_id=8005 is a new item and needs one"),
        ("PUT", "/api/items/8002", {"title": None}, 422, "title=None"),
        ("PUT", "/api/items/8002", {"title": " "}, 422, "title=' '"),
        ("PUT", "/api/items/8002", {"title": "a\0b"}, 422, "none of them NUL"),
        ("PUT", "/api/items/8002", {"title": "T", "year": 10**9}, 422, "year=1000000000"),
        ("PUT", "/api/items/8002", {"title": "T", "genres": ["x" * 101]}, 422, "genres="),
        ("GET", "/nothing", None, 404, "nothing at this address"),
        ("PATCH", "/api/items/50", None, 405, "Method Not Allowed"),
    ],
)  # fmt: skip
def test_an_invalid_request_gets_an_explanation_in_one_sentence(web, method, address, body, status, result):
    got = web.request(method, address, json=body)
    assert got.status_code == status
    assert result in json.dumps(got.json(), ensure_ascii=False)


@pytest.mark.parametrize(
    ("body", "status", "result"),
    [
        (b'{"rating": NaN}', 422, "rating=nan"),
        (b'{"rating": Infinity}', 422, "rating=inf"),
        (b'{"rating": 1e400}', 422, "rating=inf"),
        (b'{"rating": ' + b"9" * 5000 + b"}", 400, "parsing the body"),
        (b'{"rating": ', 422, "The body is not valid JSON"),
        (b'{"rating": "\\ud800"}', 422, "rating="),
        (b"\xff\xfe", 422, "The body is not valid JSON"),
        (b"\0", 422, "The body is not valid JSON"),
        (b"[" * 1000, 422, "nested more than 20 levels"),
        (b'{"a":' * 1000, 422, "nested more than 20 levels"),
        (b"[" * 100_000, 422, "more than 45,000 fields"),
        (b'{"a":' * 100_000, 422, "more than 45,000 fields"),
        (b'"' + b"x" * 10_000_000 + b'"', 413, "larger than 1,000,000 bytes"),
    ],
)
def test_an_invalid_body_is_refused(web, body, status, result):
    got = web.put("/api/users/42/ratings/50", content=body, headers={"Content-Type": "application/json"})
    assert got.status_code == status
    assert result in got.json()["detail"]


def test_a_body_that_is_too_large_is_refused_before_it_is_read_completely(web):
    sent = []

    def endless():
        for _ in range(100):
            sent.append(1)
            yield b"x" * 100_000

    headers = {"Content-Type": "application/json"}
    assert web.post("/api/ratings", content=endless(), headers=headers).status_code == 413


def test_too_many_ratings_in_one_request_are_refused(web):
    rows = b'{"user_id":1,"item_id":50,"rating":3},' * 10_001
    body = b'{"ratings":[' + rows[:-1] + b"]}"
    assert len(body) < 1_000_000
    got = web.post("/api/ratings", content=body, headers={"Content-Type": "application/json"})
    assert got.status_code == 422
    got = web.post("/api/ratings", content=body * 100, headers={"Content-Type": "application/json"})
    assert got.status_code == 413


def test_a_body_with_another_content_type_is_refused(web):
    got = web.put("/api/users/42/ratings/50", content=b'{"rating": 4}', headers={"Content-Type": "text/plain"})
    assert got.status_code == 422
    assert (
        got.json()["detail"] == "The body is not JSON. Send an object with the header Content-Type: application/json."
    )


@pytest.mark.parametrize(
    "address",
    ["/api/items/50", "/api/users/42/recommendations", "/openapi.json", "/health/live", "/metrics", "/", "/items/50",
     "/docs", "/nothing", "/api/items/99999"],
)  # fmt: skip
def test_head_answers_as_get_does_without_a_body(web, address):
    got, head = web.get(address), web.head(address)
    assert head.status_code == got.status_code
    assert head.content == b""
    assert head.headers["Content-Type"] == got.headers["Content-Type"]
    assert int(head.headers["Content-Length"]) > 0
    assert web.head("/api/ratings").status_code == 405


def test_without_a_key_only_this_machine_is_served(web):
    for headers in (
        {"Host": "evil.example"}, {"Host": ""},
        {"Forwarded": "for=1.2.3.4"}, {"X-Forwarded-For": "1.2.3.4"}, {"X-Real-IP": "1.2.3.4"},
    ):  # fmt: skip
        got = web.get("/api/users/42/recommendations", headers=headers)
        assert (got.status_code, "this machine only" in got.json()["detail"]) == (403, True), headers
    for headers in ({"Host": "localhost"}, {"Host": "[::1]:8000"}):
        assert web.get("/api/users/42/recommendations", headers=headers).status_code == 200


def test_without_a_key_only_the_own_pages_are_served(web):
    address, host = "/api/users/42/recommendations", "localhost:8000"
    for origin in ("https://evil.example", "null", "http://[::", "http://localhost:3000", "http://localhost", ""):
        got = web.get(address, headers={"Host": host, "Origin": origin})
        assert (got.status_code, "its own pages only" in got.json()["detail"]) == (403, True), origin
    assert web.get(address, headers={"Host": host, "Origin": f"http://{host}"}).status_code == 200


def test_on_other_addresses_user_data_needs_the_key(url):
    options = ServiceOptions(*url, api_key=KEY, host="0.0.0.0", poll=60)
    with TestClient(create_app(options), "http://items.example") as web:
        keyed = ["/api/users/42/recommendations", "/api/users/42/ratings", "/api/users/42/predictions/50",
                 "/api/items/50/audience", "/metrics"]  # fmt: skip
        for address in keyed:
            for headers in (
                {},
                {"Authorization": "Bearer wrong"},
                {"Authorization": "Basic x"},
                {"Authorization": "é"},
            ):
                got = web.get(address, headers={name: value.encode() for name, value in headers.items()})
                assert got.status_code == 401, address
                assert got.headers["WWW-Authenticate"] == "Bearer"
            assert web.get(address, headers={"Authorization": f"Bearer {KEY}"}).status_code == 200
        for method, address in (("PUT", "/api/users/42/ratings/50"), ("DELETE", "/api/users/42/ratings/50"),
                                ("POST", "/api/ratings"), ("PUT", "/api/items/50"), ("DELETE", "/api/users/42"),
                                ("PUT", "/api/items/50/hidden"), ("DELETE", "/api/items/50/hidden"),
                                ("POST", "/api/refit")):  # fmt: skip
            assert web.request(method, address, json={"rating": 4, "title": "T"}).status_code == 401
        for address in ("/api/items/50", "/api/items/50/similar", "/api/model", "/health/live", "/health/ready"):
            assert web.get(address).status_code == 200
        assert web.post("/api/recommendations", json={"ratings": []}).status_code == 200


@pytest.mark.parametrize("how", [{"host": "0.0.0.0"}, {"host": "192.168.1.7"}, {"proxy": True}])
def test_a_public_address_or_a_proxy_needs_a_key(how):
    with pytest.raises(InputError, match="Set REELATED_API_KEY"):
        ServiceOptions(**how)
    with pytest.raises(InputError, match="REELATED_API_KEY is too short"):
        ServiceOptions(**how, api_key="short")
    assert KEY not in repr(ServiceOptions(**how, api_key=KEY))


@pytest.mark.parametrize("key", [" " * 16, "a" * 16, "abcabcabcabcabcabc", "ein geheimer Schlüssel"])
def test_a_key_that_is_easy_to_guess_or_cannot_be_sent_is_refused(key):
    with pytest.raises(InputError, match="easy to guess"):
        ServiceOptions(api_key=key)


def test_no_redirect_names_the_host_of_a_request(web):
    assert web.get("/users/", follow_redirects=False).status_code == 404
    assert web.get("/api/items/", follow_redirects=False).status_code == 404


def test_a_full_disk_is_not_ready(web, app, monkeypatch):
    assert web.get("/health/ready").status_code == 200
    if app.state.service.store.dialect == "sqlite":
        monkeypatch.setattr("shutil.disk_usage", lambda _: namedtuple("Usage", "free")(1000))
        assert web.get("/health/ready").status_code == 503
        assert web.get("/health/live").status_code == 200


def test_options_are_read_from_environment_variables():
    options = ServiceOptions("sqlite:///x.db", "models", KEY, "0.0.0.0", True, 5, 0.5, 1.0, True, "https://a.example")
    assert ServiceOptions.from_environment(options.to_environment()) == options
    assert ServiceOptions.from_environment({}) == ServiceOptions()
    with pytest.raises(InputError, match="REELATED_REFIT_AFTER='soon': expected a number"):
        ServiceOptions.from_environment({"REELATED_REFIT_AFTER": "soon"})


def test_every_response_has_a_request_id_and_security_headers(web):
    got = web.get("/api/items/50", headers={"X-Request-ID": "mine-1"})
    assert got.headers["X-Request-ID"] == "mine-1"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert got.headers["Content-Security-Policy"].startswith("default-src 'none'")
    other = web.get("/nothing", headers={"X-Request-ID": "a b\n"}).headers["X-Request-ID"]
    assert len(other) == 32


def test_the_log_has_every_request_and_no_user_id(web, caplog):
    with caplog.at_level("INFO", "reelated.web"):
        web.get("/api/users/42/recommendations?n=3", headers={"X-Request-ID": "mine-2", "Authorization": "Bearer no"})
    (line,) = [record for record in caplog.records if record.getMessage() == "request"]
    assert (line.request_id, line.route, line.status) == ("mine-2", "/api/users/{user_id}/recommendations", 200)
    assert not [value for value in vars(line).values() if "/users/42" in str(value) or "Bearer" in str(value)]


def test_the_model_endpoint_describes_the_served_model(web, sample, fitted):
    result = web.get("/api/model").json()
    assert (result["version"], result["ratings"], result["name"]) == (1, len(sample.ratings), sample.name)
    assert result["accuracy"]["rmse"] < 1.2
    assert result["last_refit"]["outcome"] == "switched"
    models = fitted.models_
    assert (result["ranker"]["model"], result["rater"]["model"]) == tuple(type(model).__name__ for model in models)
    assert models.rater.get_params().items() <= result["rater"].items()


def test_prometheus_metrics_are_exposed(web):
    web.get("/api/items/50")
    text = web.get("/metrics").text
    assert 'reelated_request_seconds_count{method="GET",route="/api/items/{item_id}",status="200"}' in text
    assert "reelated_model_version 1.0" in text
    assert 'reelated_refits{outcome="switched"} 1.0' in text


def test_a_service_without_a_model_is_not_ready(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/store.db").upgrade()
    options = ServiceOptions(str(store.url), str(tmp_path / "models"), poll=60)
    with TestClient(create_app(options), HERE) as web:
        assert web.get("/health/live").status_code == 200
        got = web.get("/health/ready")
        assert (got.status_code, got.headers["Retry-After"]) == (503, "5")
        assert "no model yet" in web.post("/api/recommendations", json={"ratings": []}).json()["detail"]
        assert "Import some: reelated import" in web.get("/", headers={"Accept": "text/html"}).text
        assert web.put("/api/items/m", json={"title": "M"}).status_code == 200
        assert web.put("/api/users/u/ratings/m", json={"rating": 3}).status_code == 200
        assert "no model yet" in web.get("/api/users/u/recommendations").json()["detail"]
    store.close()


def test_during_an_outage_of_the_database_new_users_get_lists_and_other_requests_get_503(web, app, rec, monkeypatch):
    def gone(*_args, **_how):
        raise StoreUnavailable("password=secret: connection refused")

    with monkeypatch.context() as patched:
        for name in ("_reading", "_writing"):
            patched.setattr(app.state.service.store, name, gone)
        for name in ("_rate", "_profile"):
            patched.setattr(app.state.service.store, name, gone)
        asked = [("GET", "/api/users/42/recommendations"), ("GET", "/api/items"), ("PUT", "/api/users/42/ratings/50"),
                 ("GET", "/health/ready"), ("GET", "/api/items/50/audience")]  # fmt: skip
        for method, address in asked:
            got = web.request(method, address, json={"rating": 4} if method == "PUT" else None)
            assert (got.status_code, got.headers.get("Retry-After")) == (503, "5"), address
            assert got.json()["detail"] == "The store is not available. Try again in a moment."
        body = {"ratings": [{"item_id": 50, "rating": 5}]}
        assert web.post("/api/recommendations", json=body).json()["recommendations"] == plain(
            rec.recommend(ratings={50: 5})
        )
        assert web.get("/api/items/50/similar").status_code == 200
    assert web.get("/api/users/42/recommendations").status_code == 200


def test_an_unexpected_error_reveals_nothing(web, app, monkeypatch, caplog):
    monkeypatch.setattr(app.state.service, "similar", lambda *_: 1 / 0)
    got = web.get("/api/items/50/similar")
    assert got.status_code == 500
    assert "Zero" not in got.text
    assert got.headers["X-Request-ID"] in {getattr(record, "request_id", None) for record in caplog.records}


def test_concurrent_requests_get_the_same_lists(web, rec):
    expected = {user: plain(rec.recommend(user_id=user)) for user in range(100, 108)}
    got, errors = {}, []

    def ask(user):
        try:
            for _ in range(5):
                got[user] = web.get(f"/api/users/{user}/recommendations").json()["recommendations"]
                assert got[user] == expected[user]
        except BaseException as error:  # pragma: no cover
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(user,)) for user in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert got == expected


def until(condition):
    """Wait until a condition holds, without a timeout: a machine may be slow."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.05)


@pytest.fixture
def few(tmp_path, stored_eight, monkeypatch):
    """A store with eight ratings, and a model of it in the default folder; refits have normal priority."""
    for name in {"setpriority", "sched_setscheduler"} & set(dir(os)):  # an idle process waits for all other tests
        monkeypatch.setattr(os, name, lambda *_: None)
    store, versions = stored_eight(tmp_path)
    yield store, Versions(versions.folder.rename(models_folder(store)))
    store.close()


def test_a_refit_starts_after_enough_changes_and_no_request_fails(few):
    store, versions = few
    options = ServiceOptions(str(store.url), refit_after=3, refit_every=10**6, poll=0.05)
    with TestClient(create_app(options), HERE) as web:
        web.put("/api/items/8001", json={"title": "Of Today"})
        for user in (1, 2, 3):
            assert web.get("/api/model").json()["version"] == 1
            web.put(f"/api/users/{user}/ratings/8001", json={"rating": 5})
        until(lambda: web.get("/api/model").json()["version"] == 2)
        assert web.get("/api/items/8001/similar").status_code == 200
        assert web.get("/api/model").json()["last_refit"]["outcome"] == "switched"
        versions.switch(1, store.about().forgotten)
        until(lambda: web.get("/api/model").json()["version"] == 1)
        assert web.get("/api/users/2/recommendations").status_code == 200


def test_a_refit_can_be_requested(few):
    store, versions = few
    options = ServiceOptions(str(store.url), refit_after=10**9, refit_every=10**6, poll=0.05)
    with TestClient(create_app(options), HERE) as web:
        with versions.lock():  # another process refits
            asked = web.post("/api/refit")
            assert (asked.status_code, asked.json()) == (202, {"running": True})
            threading.Event().wait(0.3)
            assert web.get("/api/model").json()["version"] == 1
        until(lambda: web.get("/api/model").json()["version"] == 2)
        until(lambda: not versions.is_refitting())
        assert web.post("/api/refit").json() == {"running": False}
        until(lambda: web.get("/api/model").json()["version"] == 3)
        assert web.delete("/api/users/3").status_code == 204
        until(lambda: web.get("/api/model").json()["users"] == 3)
        assert [version.users for version in versions.all()] == [3]


def test_a_small_store_is_refitted_whenever_its_ratings_have_doubled(tmp_path):
    store, versions = Store(f"sqlite:///{tmp_path}/store.db").upgrade(), Versions(tmp_path / "models")
    for item in "abcdefghijkl":
        store.put_item(item, item)
    follower = ModelWatcher(Service(store, versions), ServiceOptions(str(store.url), refit_after=4, refit_every=10**6))
    refits = []
    for at, item in enumerate("abcdefghijkl", 1):
        store.rate("ann", item, 4)
        store.count(1)
        if follower._is_due(store.about()):
            refit(store, versions)
            refits.append(at)
    assert refits == [1, 2, 4, 8, 12]  # from 4 ratings on, --refit-after decides
    store.close()


def test_visitors_start_no_refit_while_the_model_is_young(tmp_path, stored_sample, monkeypatch):
    store, versions = stored_sample(tmp_path)
    service = Service(store, versions)
    watcher = ModelWatcher(service, ServiceOptions(str(store.url), refit_after=3, refit_every=10**6))
    for _ in range(5):
        store.visitor_rate("eve", 50, 5)
        service.count(1, by_visitors=True)
        store.forget_visitor("eve", learned=True)
        service.flush()
    assert not watcher._is_due(store.about())
    monkeypatch.setattr("reelated.web.service.VISITORS_WAIT", 0)
    service.flush()
    assert watcher._is_due(store.about())
    assert not store.has_visitor_changes()
    store.close()


def test_erasing_a_user_without_ratings_makes_a_refit_due(tmp_path, stored_sample):
    store, versions = stored_sample(tmp_path)
    follower = ModelWatcher(Service(store, versions), ServiceOptions(str(store.url), refit_every=10**6))
    follower._last_try = store.about().changes, store.about().forgotten
    for row in store.ratings_of(300):
        store.unrate(300, row.item_id)
    store.forget(300)
    assert follower._is_due(store.about())
    store.close()


def test_a_refit_is_due_after_enough_changes_or_a_restored_backup(tmp_path, eight):
    store, versions = Store(f"sqlite:///{tmp_path}/store.db").upgrade(), Versions(tmp_path / "models")
    options = ServiceOptions(str(store.url), refit_after=3, refit_every=10**6)
    is_due = lambda: ModelWatcher(Service(store, versions), options)._is_due(store.about())  # noqa: E731
    assert not is_due()
    store.import_data(eight, "eight")
    assert is_due()
    refit(store, versions)
    assert not is_due()
    before = store.about()
    store.count(3)
    assert is_due()
    refit(store, versions)
    versions.switch(1, store.about().forgotten)
    assert not is_due()  # a rolled-back model is not refitted at once
    assert ModelWatcher(Service(store, versions), options)._is_due(before)
    store.forget(3)
    assert is_due()
    store.close()


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="Linux alone knows idle processes")
def test_a_refit_runs_at_idle_priority(tmp_path):
    process = start_refit(REELATED_STORE=f"sqlite:///{tmp_path}/store.db", REELATED_MODELS=str(tmp_path / "models"))
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
    assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
    process.kill()
    process.wait()


def test_a_damaged_model_is_not_switched_to(url, app, web):
    service = app.state.service
    before = service.served
    folder = service.versions.folder
    (folder / "000009.model").mkdir()
    result = json.loads((folder / "000001.json").read_text()) | {"number": 9}
    (folder / "000009.json").write_text(json.dumps(result))
    kept = (folder / "current.json").read_text()
    (folder / "current.json").write_text('{"number": 9, "latest": 9}')
    with pytest.raises(InputError, match="not a saved model"):
        service.load_current()
    assert service.served is before
    (folder / "current.json").write_text(kept)
    assert web.get("/api/users/42/recommendations").status_code == 200


def test_every_route_is_documented_with_its_responses(app):
    result = app.openapi()
    assert result["info"]["title"] == "Reelated"
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"].endswith("."), (method, path)
            assert {"404", "422", "503"} <= set(operation["responses"]), (method, path)
    keyed = {path for path, methods in result["paths"].items() for one in methods.values() if "security" in one}
    others = {"/api/ratings", "/api/events", "/metrics", "/api/items/{item_id}", "/api/items/{item_id}/hidden"}
    others.add("/api/refit")
    assert all("user" in path or path in others or "audience" in path for path in keyed)
    assert all("\n" not in schema.get("description", "") for schema in result["components"]["schemas"].values())


def test_responses_conform_to_the_openapi_document(url):
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    here = {"Host": "127.0.0.1"}
    # restarting the shared service would close its store; without a client, each call would restart it
    with without_refits(url) as own:
        schema = schemathesis.openapi.from_asgi("/openapi.json", own, headers=here)
        with get_client(own) as client:
            for found in schema.get_all_operations():
                operation = found.ok()

                @settings(max_examples=15, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
                @given(case=operation.as_strategy())
                def ask(case):
                    case.call_and_validate(session=client, headers=here, checks=checks)

                ask()
