"""Pictures of items: from one allowed origin, over the typographic poster, which stays where a picture fails."""

import io
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from playwright.sync_api import expect

from conftest import HERE
from reelated.errors import InputError
from reelated.store import Store
from reelated.web import ServiceOptions, create_app

VISIBLE = "image => image.naturalWidth > 0 && image.checkVisibility()"


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and records the requested paths."""

    def log_message(self, *_):
        self.server.asked.append((self.path, self.headers.get("Referer")))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A server of one picture, `/good.png`."""
    folder = tmp_path_factory.mktemp("images")
    buffer = io.BytesIO()
    Image.new("RGB", (200, 300), "teal").save(buffer, "png")
    (folder / "good.png").write_bytes(buffer.getvalue())
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def origin_of(images):
    return f"http://127.0.0.1:{images.server_port}"


@pytest.fixture(scope="module")
def first_tiles(place, app, images):
    """The first three items to rate: a picture, one that fails, and one from an origin that is not allowed."""
    with TestClient(app, HERE) as web:
        first = web.get("/").text.split('data-key="tile ')[1:4]
    ids = [int(part.partition('"')[0]) for part in first]
    store = Store(place[0])
    for id_, address in zip(ids, ("good.png", "missing.png"), strict=False):
        store.put_item(id_, image=f"{origin_of(images)}/{address}")
    store.put_item(ids[2], image=f"http://localhost:{images.server_port}/good.png")
    store.close()
    return ids


@pytest.mark.parametrize("scripts", [True, False])
def test_a_browser_shows_allowed_pictures_and_posters_elsewhere(
    place, images, first_tiles, chromium, services, scripts
):
    server, refused = services.start(*place, "--image-origin", origin_of(images)), []
    context = chromium.new_context(base_url=f"http://{server.address}", java_script_enabled=scripts)
    page = context.new_page()
    page.on("console", lambda line: refused.append(line.text) if "Content Security" in line.text else None)
    page.goto("/", wait_until="networkidle")
    good, missing, other = (page.locator(f'.tile[data-key="tile {id_}"]') for id_ in first_tiles)
    picture = good.locator("img")
    assert picture.evaluate(VISIBLE)
    assert picture.bounding_box()["width"] >= good.locator(".poster").bounding_box()["width"] - 2
    assert (picture.get_attribute("loading"), picture.get_attribute("alt")) == ("lazy", "")
    expect(good.locator(".caption")).to_be_visible()
    for tile in (missing, other):
        assert not [one for one in tile.locator("img").all() if one.evaluate(VISIBLE)]
        expect(tile.locator("h2")).to_be_visible()
    expect(missing.locator("img")).to_have_count(0 if scripts else 1)
    expect(other.locator("img")).to_have_count(0)
    good.locator(".poster").click()  # the picture lies over the link
    page.wait_for_url(f"**/items/{first_tiles[0]}")
    page.wait_for_load_state("networkidle")
    assert page.locator(".head img").evaluate(VISIBLE)
    assert origin_of(images) in page.locator(".footer").inner_text()
    page.goto(f"/items/{first_tiles[1]}", wait_until="networkidle")
    assert not [one for one in page.locator(".head img").all() if one.evaluate(VISIBLE)]
    context.close()
    server.stop()
    assert refused == []
    assert {path for path, _ in images.asked} == {"/good.png", "/missing.png"}
    assert {referer for _, referer in images.asked} == {None}


def test_without_an_allowed_origin_no_picture_is_shown(app, first_tiles):
    with TestClient(app, HERE) as web:
        for path in ("/", f"/items/{first_tiles[0]}"):
            response = web.get(path)
            assert "<img" not in response.text
            assert "img-src 'self';" in response.headers["Content-Security-Policy"]


def test_the_policy_allows_one_origin(place, first_tiles):
    options = ServiceOptions(*place, image_origin="https://IMG.example:8443", refit_after=10**9)
    with TestClient(create_app(options), HERE) as web:
        web.put(f"/api/items/{first_tiles[0]}", json={"image": "https://img.example:8443/1.jpg"})
        web.put(f"/api/items/{first_tiles[1]}", json={"image": "https://img.example:84430/1.jpg"})
        assert web.get(f"/api/items/{first_tiles[0]}").json()["image"] == "https://img.example:8443/1.jpg"
        page = web.get("/")
        assert "img-src 'self' https://IMG.example:8443;" in page.headers["Content-Security-Policy"]
        assert page.text.count("<img") == 1
        assert web.put("/api/items/1", json={"image": 'https://img.example/" onerror=x'}).status_code == 422
        assert "IMG.example" in web.get("/how").text


@pytest.mark.parametrize(
    "origin",
    ["*", "https://*", "https:", "https://img.example/", "https://img.example/a", "http://img.example", "img.example",
     "https://img.example; script-src *", "https://a.example https://b.example", "https://img.example:port", " "],
)  # fmt: skip
def test_anything_but_one_origin_is_refused(origin):
    with pytest.raises(InputError, match=r"image_origin=.*: expected an origin without a path, such as https://"):
        ServiceOptions(image_origin=origin)
