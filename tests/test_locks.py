"""A store that is locked, frozen or replaced: requests that need it get 503 soon, all others are answered."""

import sqlite3
import threading
import time
from contextlib import closing

import pytest
from fastapi.testclient import TestClient

from reelated.store import Store, StoreUnavailable
from reelated.web import ServiceOptions, create_app
from reelated.web.api import Api
from reelated.web.metrics import Metrics
from reelated.web.store_work import HiddenItems, StoreWork
from service.locks import locked

HERE = "http://127.0.0.1:8000"
NEW_USER = {"ratings": [{"item_id": 50, "rating": 5}]}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def place(request, tmp_path_factory, stored_sample):
    """The URL of a store with the sample, and the folder of its model."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres").url()
    store, versions = stored_sample(tmp_path_factory.mktemp("locks"), url)
    store.close()
    return store.url.render_as_string(hide_password=False), str(versions.folder)


@pytest.fixture(scope="module")
def app(place):
    return create_app(ServiceOptions(*place, refit_after=10**9, refit_every=10**6, poll=60))


@pytest.fixture(scope="module")
def web(app):
    with TestClient(app, HERE, raise_server_exceptions=False) as client:
        yield client


def test_a_locked_store_stops_only_what_needs_it(web, place):
    answers = []

    def put(user):
        start = time.monotonic()
        answers.append((web.put(f"/api/users/{user}/ratings/50", json={"rating": 4}), time.monotonic() - start))

    expected = web.post("/api/recommendations", json=NEW_USER).json()
    with locked(place[0]):
        threads = [threading.Thread(target=put, args=(user,)) for user in range(45)]
        for thread in threads:
            thread.start()
        start = time.monotonic()
        assert web.get("/health/live").status_code == 200
        assert web.post("/api/recommendations", json=NEW_USER).json() == expected
        assert web.get("/api/items/50/similar").status_code == 200
        assert web.get("/api/model").status_code == 200
        assert time.monotonic() - start < 5
        for thread in threads:
            thread.join()
    assert {answer.status_code for answer, _ in answers} == {503}
    assert max(seconds for _, seconds in answers) < 10
    assert web.put("/api/users/1/ratings/50", json={"rating": 4}).status_code == 200


def test_only_work_with_the_store_waits_for_one_of_its_threads(app):
    api = Api(app.state.service, Metrics(), StoreWork(), None)
    limited = {(route.path, *route.methods) for route in api.router.routes if hasattr(route.endpoint, "__wrapped__")}
    assert {(route.path, *route.methods) for route in api.router.routes} - limited == {
        ("/api/recommendations", "POST"), ("/api/items/{item_id}/similar", "GET"), ("/api/map", "GET"),
        ("/api/model", "GET"), ("/health/live", "GET"), ("/metrics", "GET"),
    }  # fmt: skip
    with pytest.raises(StopIteration):  # a coroutine that never waits
        api.live().send(None)


def test_lists_of_new_users_do_no_store_work(web, app, monkeypatch):
    """The handlers of these lists run in a thread of the server; no such thread may touch the store."""
    store, used = app.state.service.store, []

    def watched(work):
        def call(*args, **params):
            used.append(threading.current_thread().name)
            return work(*args, **params)

        return call

    for name in ("_reading", "_writing", "_hidden", "_profile", "_rate"):
        monkeypatch.setattr(store, name, watched(getattr(store, name)))
    assert web.post("/api/recommendations", json=NEW_USER).status_code == 200
    assert web.get("/api/items/50/similar").status_code == 200
    assert web.get("/api/items/99999/similar").status_code == 404
    assert web.get("/health/live").status_code == 200
    assert set(used) <= {"hidden-items"}


def test_hidden_items_wait_for_a_slow_store_once():
    asked, release = [], threading.Event()

    def read():
        asked.append(1)
        if len(asked) == 2:
            release.wait()
        return frozenset(asked)

    hidden = HiddenItems(read)
    assert hidden.latest() == {1}
    start = time.monotonic()
    assert [hidden.latest() for _ in range(50)] == [{1}] * 50
    assert time.monotonic() - start < 5  # 50 waits would take 12 seconds
    assert len(asked) == 2
    release.set()
    while len(asked) < 3:
        hidden.latest()


def test_a_writer_waits_for_a_lock_no_longer_than_the_timeout(place):
    store = Store(place[0], lock_timeout=0.3)
    start = time.monotonic()
    with locked(place[0]):
        for write in (lambda: store.rate(1, 50, 4), lambda: store.rate_many([(1, 50, 4)]), lambda: store.count(1)):
            with pytest.raises(StoreUnavailable):
                write()
    assert time.monotonic() - start < 5
    store.rate(1, 50, 4)
    store.close()


def test_an_erasure_beside_a_reader_keeps_no_writer_waiting_and_is_completed_later(tmp_path):
    file = tmp_path / "store.db"
    store = Store(f"sqlite:///{file}").upgrade()
    store.put_item("m", "M")
    store.rate("someone-who-leaves", "m", 3)
    with closing(sqlite3.connect(file)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM users").fetchall()
        start = time.monotonic()
        store.forget("someone-who-leaves")
        store.rate("someone-who-stays", "m", 3)
        assert time.monotonic() - start < 5
        assert not store.journal_is_clean
        assert b"someone-who-leaves" in file.read_bytes() + file.with_name("store.db-wal").read_bytes()
    assert store.overwrite_journal()
    assert b"someone-who-leaves" not in file.read_bytes() + file.with_name("store.db-wal").read_bytes()
    store.close()


def test_erasing_an_unknown_visitor_takes_no_lock(place):
    store = Store(place[0], lock_timeout=0.3)
    with closing(store), locked(place[0]) if store.dialect == "sqlite" else closing(store):
        assert store.forget_visitor("nobody") == 0


@pytest.mark.parametrize("replaced", [False, True])
def test_a_store_that_is_removed_or_replaced_takes_no_ratings(tmp_path, replaced):
    file = tmp_path / "store.db"
    store = Store(f"sqlite:///{file}").upgrade()
    store.put_item("m", "M")
    store.rate("ann", "m", 3)
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_name(f"old-{path.name}"))
    if replaced:
        other = Store(f"sqlite:///{file}").upgrade()
        other.close()
    for ask in (lambda: store.rate("ann", "m", 4), lambda: store.rate_many([("ann", "m", 4)]), store.about,
                lambda: store.profile("ann"), store.hidden_keys):  # fmt: skip
        with pytest.raises(StoreUnavailable, match="removed or replaced"):
            ask()
    store.close()
