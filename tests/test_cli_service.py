"""The commands of the service: import, export, scale, forget, refit, models and serve."""

import json
import logging
import re
import socket
import sqlite3
import threading
from contextlib import closing
from dataclasses import astuple

import pytest
from fastapi.testclient import TestClient

import reelated
from reelated.cli.service_commands import announce, prepare
from reelated.refit import Versions
from reelated.store import Store
from reelated.web import ServiceOptions, create_app
from reelated.web.server import formatter
from test_cli import run


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/store.db"


def test_exported_tables_equal_the_imported_data(url, tmp_path, sample):
    assert (
        "49,653 ratings by 600 users of 490 movies are in the store" in run("import", "sample", "--store", url).stdout
    )
    assert "were imported already" in run("import", "sample", "--store", url).stdout
    assert "49,653 ratings, 490 movies, 600 users" in run("export", tmp_path / "out", "--store", url).stdout
    back = reelated.read(tmp_path / "out", scale=(1, 5, 1))
    assert back.ratings.to_polars().equals(sample.ratings.to_polars())
    assert back.items.select("item_id", "title", "year", "genres").equals(
        sample.items.select("item_id", "title", "year", "genres")
    )
    assert "expected a new or empty folder" in run("export", tmp_path / "out", "--store", url, code=1)


@pytest.mark.parametrize("command", [("export", "out"), ("forget", "300"), ("models",), ("refit",), ("store", "scale")])
def test_a_command_that_needs_ratings_creates_no_store(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = run(*command, "--store", f"sqlite:///{tmp_path}/stroe.db", code=1)
    assert message == f"--store '{tmp_path}/stroe.db': there is no such file. Name an existing store."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [(), ("--items-only",)])
def test_an_import_that_cannot_be_read_creates_no_store(options, tmp_path):
    (tmp_path / "bad.csv").write_text("nothing\n1\n")
    run("import", tmp_path / "bad.csv", "--store", f"sqlite:///{tmp_path}/new.db", *options, code=1)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


def test_an_invalid_store_is_refused_before_the_source_is_read(tmp_path):
    assert run("import", tmp_path / "missing.csv", "--store", "oracle://x", code=1).startswith("--store 'oracle://x'")


def test_an_import_into_the_default_store_says_where_it_is(tmp_path, monkeypatch):
    monkeypatch.delenv("REELATED_STORE")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert run("import", "sample").stdout.endswith(f"The store is sqlite:///{tmp_path}/reelated/store.db.\n")


def test_an_import_of_one_rating_is_reported_in_the_singular(url, tmp_path):
    (tmp_path / "one.csv").write_text("user_id,item_id,rating\n1,10,5\n")
    run("import", tmp_path / "one.csv", "--store", url)
    report = run("import", tmp_path / "one.csv", "--store", url, "--noun", "book").stdout
    assert report.startswith("one: 1 rating by 1 user of 1 book was imported already.")


def test_an_export_of_ratings_alone_is_imported_into_another_store(url, tmp_path):
    (tmp_path / "r.csv").write_text("user_id,item_id,rating\n1,10,5\n1,20,4\n2,10,3\n2,30,1\n3,20,2\n")
    run("import", tmp_path / "r.csv", "--store", url)
    Store(url).set_hidden(30, True)
    run("export", tmp_path / "out", "--store", url)
    other = f"sqlite:///{tmp_path}/other.db"
    assert (
        "5 ratings by 3 users of 3 items are in the store" in run("import", tmp_path / "out", "--store", other).stdout
    )
    assert Store(other).is_hidden(30)
    assert "5 ratings" in run("check", tmp_path / "out").stdout


def test_forget_says_that_a_reader_keeps_the_journal(url, tmp_path):
    (tmp_path / "r.csv").write_text("user_id,item_id,rating\n1,10,5\n1,20,4\n2,10,3\n")
    run("import", tmp_path / "r.csv", "--store", url)
    with closing(sqlite3.connect(tmp_path / "store.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM users").fetchall()
        assert "Another program is reading the store" in run("forget", "1", "--store", url).stdout
    assert "Another program" not in run("forget", "2", "--store", url).stdout


def test_importing_ratings_alone_keeps_the_items(url, tmp_path):
    day = tmp_path / "day.csv"
    day.write_text("user_id,item_id,rating\n1,134,5\n")
    run("import", "sample", "--store", url)
    before = Store(url).item(134)
    run("import", day, "--store", url)
    assert astuple(Store(url).item(134))[:4] == astuple(before)[:4]
    assert before.year is not None
    assert before.genres


def test_a_changed_table_of_items_is_imported_with_the_same_ratings(url, tmp_path):
    day, titles = tmp_path / "day.csv", tmp_path / "movies.csv"
    day.write_text("user_id,item_id,rating\n1,134,5\n")
    for title in ("Star Warts", "Star Wars"):
        titles.write_text(f"item_id,title\n134,{title}\n")
        output = run("import", day, "--items", titles, "--store", url).stdout
    assert "was imported already. Titles and attributes are up to date" in output
    assert Store(url).item(134).title == "Star Wars"


def test_the_scale_of_a_store_is_shown_and_set(url, tmp_path):
    day = tmp_path / "day.csv"
    day.write_text("user_id,item_id,rating\n1,134,2\n1,135,4\n2,134,3\n")
    run("import", day, "--store", url)
    assert (
        run("store", "scale", "--store", url).stdout == "The scale of the store is 2 to 4 in steps of 1 (observed).\n"
    )
    output = "The scale of the store is -10 to 10 in steps of 0.5 (given).\n"
    assert run("store", "scale", "-10,10,0.5", "--store", url).stdout == output
    assert run("store", "scale", "--store", url).stdout == output
    assert "go from 2 to 4" in run("store", "scale", "3,4,1", "--store", url, code=1)
    assert "expected low,high,step" in run("store", "scale", "five", "--store", url, code=1)


def test_a_store_of_likes_is_served(url, tmp_path):
    bought, ones = tmp_path / "bought.csv", tmp_path / "ones.csv"
    bought.write_text("customer,item\nann,tent\nann,stove\nben,tent\nben,rope\ncleo,stove\n")
    ones.write_text("customer,item,rating\ndora,tent,1\n")
    run("import", bought, "--columns", "rating=", "--store", url)
    run("import", ones, "--store", url)
    store = Store(url)
    prepare(store, tmp_path / "models", None)
    with TestClient(create_app(ServiceOptions(url, str(tmp_path / "models"))), "http://127.0.0.1:8000") as web:
        output = web.get("/api/users/dora/recommendations").json()["recommendations"]
        assert {row["item_id"] for row in output} == {"stove", "rope"}
        assert web.put("/api/users/dora/ratings/rope", json={"rating": 2}).status_code == 200  # a weight
        refused = web.put("/api/users/dora/ratings/rope", json={"rating": "high"})
        assert (refused.status_code, "rating" in refused.text) == (422, True)
        for page in ("/", "/list", "/items/tent", "/ratings"):
            assert web.get(page, headers={"accept": "text/html"}).status_code == 200
    store.close()


def test_unusable_rows_are_written_to_a_file(url, tmp_path):
    source, rejects = tmp_path / "ratings.csv", tmp_path / "rejects.csv"
    source.write_text("user,item,stars\n1,7,5\n1,8,none\n2,7,4\n")
    assert "line 3" in run("import", source, "--store", url, code=1)
    run("import", source, "--store", url, "--invalid", "drop", "--rejects", rejects)
    assert "none" in rejects.read_text()
    assert Store(url).size()["ratings"] == 2


def test_forget_with_refit_removes_the_old_models(url, tmp_path, stored_sample):
    store, versions = stored_sample(tmp_path)
    store.close()
    assert "no model yet" in run("models", "--store", url).stdout
    models = versions.folder
    output = run("forget", 300, "--store", url, "--models", models, "--refit").stdout
    assert "User 300 and 34 ratings are removed" in output
    assert "Every model fitted to them is removed" in output
    (version,) = json.loads(run("models", "--store", url, "--models", models, "--json").stdout)
    assert (version["version"], version["served"], version["ratings"]) == (2, True, 49_653 - 34)
    assert "served" in run("models", "--store", url, "--models", models, "--use", 2).stdout
    assert "no such version" in run("models", "--store", url, "--models", models, "--use", 1, code=1)
    assert "--user 300: no ratings" in run("forget", 300, "--store", url, "--models", models, code=1)


def test_forget_of_several_users_and_a_later_refit(url, tmp_path, stored_sample):
    store, versions = stored_sample(tmp_path)
    models = versions.folder
    assert "--user 99999: no ratings" in run("forget", 1, 99_999, "--store", url, "--models", models, code=1)
    gone = sum(len(store.profile(user).ratings) for user in (1, 2, 3))
    output = run("forget", 1, 2, 3, "--store", url, "--models", models).stdout
    assert f"3 users and {gone} ratings are removed" in output
    assert "reelated refit" in output
    assert store.size()["users"] == 597
    assert [version.number for version in Versions(models).all()] == [1]
    output = run("refit", "--store", url, "--models", models).stdout
    assert output == f"Version 2: {49_653 - gone:,} ratings of 490 items.\n"
    assert [version.number for version in Versions(models).all()] == [2]
    with Versions(models).lock():
        assert "Another process is refitting" in run("refit", "--store", url, "--models", models, code=1)
    store.close()


def test_a_refit_without_ratings_is_an_error(url):
    Store(url).upgrade().close()
    assert "The store holds no ratings yet" in run("refit", "--store", url, code=1)


@pytest.mark.parametrize("learns", [True, False])
def test_refit_includes_visitors_if_asked_to(url, tmp_path, sample, learns):
    store = Store(url).upgrade()
    store.import_data(sample, "sample")
    store.visitor_rate("somebody", 50, 5)
    run("refit", "--store", url, "--models", tmp_path / "models", *["--learn-from-visitors"] * learns)
    assert Versions(tmp_path / "models").current().users == 600 + learns
    run("forget", 300, "--refit", "--store", url, "--models", tmp_path / "models")  # as the model was before
    assert Versions(tmp_path / "models").current().users == 599 + learns
    store.close()


def test_a_port_in_use_is_reported_before_the_fit(url, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ("--store", url, "--models", tmp_path / "models", "--data", "sample", "--port", port)
        assert f"--port {port}: Address already in use" in run("serve", *words, code=1)
    assert Store(url).is_empty()
    assert Versions(tmp_path / "models").current() is None


def test_forget_works_without_a_model(url):
    run("import", "sample", "--store", url)
    assert "34 ratings are removed" in run("forget", 300, "--store", url).stdout


def test_an_unavailable_store_is_reported_in_one_message(tmp_path):
    assert "does not answer" in run("models", "--store", f"postgresql://me:secret@/x?host={tmp_path}", code=1)
    assert "expected sqlite:///path" in run("export", tmp_path / "out", "--store", "mysql://me@host/x", code=1)


def test_the_log_is_for_people_on_a_terminal_and_for_programs_elsewhere(monkeypatch):
    fields = {"name": "reelated.web", "levelno": logging.INFO, "levelname": "INFO", "msg": "request"}
    record = logging.makeLogRecord(fields | {"method": "GET", "route": "/list", "status": 200, "ms": 12.3})
    for is_terminal, expected in (
        (True, r"\d\d:\d\d:\d\d GET /list 200 \(12 ms\)"),
        (False, r'\{.*"route":"/list".*\}'),
    ):
        monkeypatch.setattr("sys.stderr.isatty", lambda is_terminal=is_terminal: is_terminal, raising=False)
        assert re.fullmatch(expected, formatter().format(record))


def test_open_shows_the_pages_of_this_machine_in_a_browser(monkeypatch):
    opened, done = [], threading.Event()
    monkeypatch.setattr("webbrowser.open", lambda address: (opened.append(address), done.set()))
    announce("Reelated is running at http://0.0.0.0:8000", opens=False)
    announce("Reelated is running at http://0.0.0.0:8001", opens=True)
    assert done.wait(20)
    assert opened == ["http://127.0.0.1:8001"]
