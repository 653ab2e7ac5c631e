"""Limits of what one request may cost: ratings times rows, the shape of bodies, headers and addresses."""

import json
import os
import socket
import time

import pytest
from fastapi.testclient import TestClient

import reelated
from reelated.errors import InputError
from reelated.refit import Versions, refit
from reelated.store import Store
from reelated.web import ServiceOptions, create_app
from reelated.web.pages.renderer import Renderer
from reelated.web.security import check_shape
from service.process import Server

KEY = "a key of more than sixteen characters"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A store with 1,200 items that all have two ratings, and its model."""
    folder = tmp_path_factory.mktemp("limits")
    store = Store(f"sqlite:///{folder}/store.db").upgrade()
    rows = {"user": [1, 2] * 1200, "item": [at // 2 for at in range(2400)], "stars": [1.0, 5.0, 3.0] * 800}
    store.import_data(reelated.read(rows, scale=(1, 5, 1)), "many items")
    refit(store, Versions(folder / "models"))
    store.close()
    return str(store.url), str(folder / "models")


@pytest.fixture(scope="module")
def app(place):
    return create_app(ServiceOptions(*place, api_key=KEY, poll=60))


@pytest.fixture(scope="module")
def web(app):
    with TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        yield client


def test_ratings_times_rows_of_a_new_user_are_limited(web):
    ratings = [{"item_id": item, "rating": 4} for item in range(1000)]
    assert web.post("/api/recommendations", json={"ratings": ratings, "n": 100}).status_code == 200
    refused = web.post("/api/recommendations", json={"ratings": ratings, "n": 101})
    assert refused.status_code == 422
    assert refused.json()["detail"] == "n=101: expected 100 or less with 1,000 ratings."
    for field, rows in (("ratings", ratings * 6), ("exclude", list(range(5001)))):
        assert web.post("/api/recommendations", json={"ratings": [], field: rows}).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({str(at): 1 for at in range(30_000)}),
        '{"ratings": [' + ",".join(["[]"] * 30_000) + "]}",
        '{"ratings": ' + "[" * 100 + "]" * 100 + "}",
        "[" * 500_000,
        '{"ratings": ["' + '","' * 200_000,
        "[" * 21 + '"' + '\\"' * 39_000,
    ],
)
def test_a_body_of_many_entries_is_refused_before_it_is_parsed(web, body, monkeypatch):
    monkeypatch.setattr("starlette.requests.Request.json", lambda _: 1 / 0)
    for path, headers in (("/api/recommendations", {}), ("/api/ratings", {"Authorization": f"Bearer {KEY}"})):
        refused = web.post(path, content=body, headers={"Content-Type": "application/json", **headers})
        if path == "/api/recommendations" or len(body) > 400_000:
            assert refused.status_code == 422
            assert "nested more than" in refused.text or "fields and list elements" in refused.text


def test_separators_within_strings_are_no_entries():
    check_shape(json.dumps({"title": '[{,"\\' * 20_000}).encode(), 20_000)
    with pytest.raises(InputError, match="more than 100 fields"):
        check_shape(json.dumps(list(range(101))).encode(), 100)


def test_a_body_is_not_parsed_without_the_key(web):
    headers = {"Content-Type": "application/json"}
    for method, path in (("POST", "/api/ratings"), ("PUT", "/api/items/1"), ("PUT", "/api/users/1/ratings/1")):
        assert web.request(method, path, content="{", headers=headers).status_code == 401
        keyed = headers | {"Authorization": f"Bearer {KEY}"}
        assert web.request(method, path, content="{", headers=keyed).status_code == 422


def test_only_the_latest_ratings_and_dismissed_items_of_a_visitor_count(app, web):
    store = app.state.service.store
    for item in range(1, 1011):
        store.visitor_rate("ann", item, 4)
    assert len(store.visitor_ratings("ann")) == 1000
    for item in range(200):
        store.dismiss("ann", item)
    with pytest.raises(InputError, match="200 items are dismissed already"):
        store.dismiss("ann", 1100)
    store.dismiss("ann", 1, back=True)
    store.dismiss("ann", 1100)


def test_a_visitor_with_many_ratings_gets_fewer_rows(app, web):
    site, page = app.state.site, web.get("/")
    (cookie,) = (web.cookies.get("reelated_visitor"),)
    visitor = site.sessions._signer("reelated_visitor").loads(cookie)
    for item in range(1, 801):
        site.store.visitor_rate(visitor, item, 5 if item % 2 else 1)
    page = web.get("/list?n=100").text
    assert page.count('name="back"') < 60
    assert "Show more" not in page


def sent(address, *parts):
    """Send parts of a request until the service closes the connection; return its answer and the bytes it took."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        taken = 0
        try:
            for part in parts:
                connection.sendall(part)
                taken += len(part)
                time.sleep(0.002)
            answer = connection.recv(1000)
        except (ConnectionError, TimeoutError):
            answer = b""
    return answer, taken


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the signals of the process")
def test_headers_and_addresses_without_an_end_are_cut_off(place):
    server = Server(*place)
    more = [b"x" * 65_536] * 200
    start = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
    chunked = b"POST /api/recommendations HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    try:
        for head in (start + b"X: ", b"GET /", chunked + b"X: "):
            _, taken = sent(server.address, head, *more)
            assert taken < 100 * 65_536
        many = [b"X: y\r\n" * 10_000] * 200
        assert sent(server.address, start, *many)[1] < 100 * 60_000
        assert sent(server.address, start + b"X: " + b"x" * 30_000 + b"\r\n\r\n")[0].startswith(b"HTTP/1.1 200")
        body = b'{"ratings": [], "exclude": ["' + b"x" * 500_000 + b'"]}'
        post = b"POST /api/recommendations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        assert sent(server.address, post + b"Content-Length: %d\r\n\r\n" % len(body), body)[0][9:12] in (b"422", b"200")
    finally:
        assert server.stop() == 0


def test_an_origin_that_is_no_address_is_refused(app, web):
    page = web.get("/")
    refused = web.post("/rate", data={"item_id": "1", "rating": "4"}, headers={"Origin": "http://["})
    assert (page.status_code, refused.status_code) == (200, 403)


def test_titles_neither_reorder_a_page_nor_are_invisible(app):
    renderer = Renderer()
    assert renderer.templates.from_string("{{ title }}").render(title="a\u202eb<") == "ab&lt;"
    for title in ("\u202e", "\u200b \u2066"):
        with pytest.raises(InputError, match="at least one visible character"):
            app.state.service.store.put_item(1, title)
