"""The map of the service: cacheable data, a page without scripts, and an interactive map."""

import gzip
import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi.testclient import TestClient
from playwright.sync_api import expect

from conftest import EVIL, HERE
from reelated.map import ItemMap
from reelated.map.labels import groups_of
from reelated.ratings import Ids
from reelated.refit import Versions
from reelated.web.map_data import SIDE, MapData

STAR_WARS, ODD = 134, 66_666
COLOURS = """() => {
    const canvas = document.querySelector('canvas'), pen = canvas.getContext('2d');
    const bytes = pen.getImageData(0, 0, canvas.width, canvas.height).data, seen = {};
    for (let at = 0; at < bytes.length; at += 4) if (bytes[at + 3] > 250) {
        const name = '#' + [0, 1, 2].map(one => bytes[at + one].toString(16).padStart(2, '0')).join('');
        seen[name] = (seen[name] ?? 0) + 1;
    }
    return seen;
}"""
"""A script that counts the pixels of each colour on the canvas."""


def test_the_map_data_has_every_item_the_most_rated_first(visitor, app, place):
    result = visitor.get("/api/map").json()
    rec, items = app.state.service.served.recommender, ItemMap.load(Versions(place[1]).map_file)
    order = rec.catalogue_.by_popularity
    assert result["item_id"] == rec.item_ids.take(order).to_list()
    assert result["title"] == [rec.catalogue_.titles[at] for at in order]
    assert result["year"] == [rec.catalogue_.years[at] for at in order]
    assert result["n_ratings"] == rec.catalogue_.counts[order].tolist()
    xy = np.array([result["x"], result["y"]]).T
    assert xy.min() == 0
    assert xy.max() == SIDE
    apart = [np.linalg.norm(of[0] - of[1:], axis=1) for of in (xy, items.places[order])]
    assert np.allclose(apart[0], apart[1] * (apart[0].sum() / apart[1].sum()), atol=2)
    for by in ("genres", "decades"):
        groups = groups_of(rec.catalogue_, by)
        assert (result[by]["names"], result[by]["of"]) == (list(groups.names), groups.of[order].tolist())
        assert len(result[by]["colors"]) == len(groups.names) + 1
        assert all(result[by]["of"][at] == group for group, at in enumerate(result[by]["homes"]) if at is not None)


def test_the_map_data_is_cached_by_etag(visitor, app, place):
    first = visitor.get("/api/map")
    assert first.headers["cache-control"] == "no-cache"
    assert visitor.get("/api/map", headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    plain = visitor.get("/api/map", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == first.content
    file = Versions(place[1]).map_file
    before, original = ItemMap.load(file), file.read_bytes()
    ItemMap(before.item_ids, before.places * [1, 2]).save(file)
    later = visitor.get("/api/map", headers={"If-None-Match": first.headers["etag"]})
    file.write_bytes(original)
    assert later.status_code == 200
    assert later.headers["etag"] != first.headers["etag"]


def test_a_map_of_ten_thousand_items_is_small(app, place):
    rec = app.state.service.served.recommender
    plain, packed = MapData(rec, ItemMap.load(Versions(place[1]).map_file)).json
    assert gzip.decompress(packed) == plain
    assert len(packed) < 30 * len(rec.item_ids)  # 300 KB for ten thousand


def test_the_map_of_an_earlier_model_is_used_until_the_next_one_is_drawn(visitor, place):
    file = Versions(place[1]).map_file
    before, original = ItemMap.load(file), file.read_bytes()
    ItemMap(Ids(before.item_ids.values[:300], "item"), before.places[:300]).save(file)
    result = visitor.get("/api/map").json()
    file.write_bytes(original)
    assert set(result["item_id"]) == set(before.item_ids.values[:300])
    assert max(result["x"] + result["y"]) == SIDE


@pytest.mark.parametrize("there", [True, False])
def test_without_a_map_the_error_says_when_there_will_be_one(visitor, place, monkeypatch, there):
    file = Versions(place[1]).map_file
    original = file.read_bytes()
    file.unlink()
    monkeypatch.setattr("reelated.web.service.find_spec", lambda _: there or None)
    answers = [visitor.get(address) for address in ("/api/map", "/map", "/map.svg")]
    file.write_bytes(original)
    assert [answer.status_code for answer in answers] == [503] * 3
    where = "" if there else " if the extra is installed: pip install '.[map]'"
    assert answers[0].json()["detail"] == f"There is no map yet. It is drawn after a refit{where}."
    assert "Not ready yet" in answers[1].text


def test_the_svg_links_to_every_item_and_has_no_scripts(visitor, app):
    answer = visitor.get("/map.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    links = [link.get("href") for link in ET.fromstring(answer.text).iter("{http://www.w3.org/2000/svg}a")]
    assert set(links) == {f"/items/{item_id}" for item_id in app.state.service.served.recommender.item_ids}
    assert visitor.get("/map.svg", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_the_page_lists_the_most_similar_items(visitor):
    page = visitor.get(f"/map?item={STAR_WARS}").text
    expected = [row["item_id"] for row in visitor.get(f"/api/items/{STAR_WARS}/similar").json()["recommendations"]]
    assert [int(item_id) for item_id in re.findall(r'data-item="(\d+)"', page)] == expected
    assert '<img src="/map.svg"' in page
    assert visitor.get("/map?item=99999").status_code == 404
    found = visitor.get("/map?query=star wasr").text
    assert f'data-item="{STAR_WARS}"' in found
    assert "No title matches" in visitor.get("/map?query=zzzzqqqq").text


def test_a_new_item_has_no_neighbours_yet(visitor, app):
    app.state.service.store.put_item(77_777, "Of today", 2026, [])
    assert "It has too few ratings" in visitor.get("/map?item=77777").text


def test_the_map_marks_the_visitors_own_ratings(visitor, app):
    token = re.search(r'name="token" value="(\w+)"', visitor.get("/map?item=50").text)[1]
    visitor.post("/rate", data={"token": token, "item_id": 50, "rating": 4})

    def marks(client):
        found = re.search(r"data-ratings='(.*?)' data-highlighted='(.*?)'", client.get("/map").text)
        return json.loads(found[1]), json.loads(found[2])

    stars, highlighted = marks(visitor)
    assert stars == {"50": 4.0}
    body = {"ratings": [{"item_id": 50, "rating": 4}], "n": 30}
    expected = visitor.post("/api/recommendations", json=body).json()["recommendations"]
    assert highlighted == [str(row["item_id"]) for row in expected]
    assert marks(TestClient(app, HERE)) == ({}, [])


def test_titles_are_escaped(visitor):
    for address in (f"/map?item={ODD}", "/map?query=script", f"/map?query={EVIL}"):
        page = visitor.get(address).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    assert visitor.get("/api/map").headers["content-type"] == "application/json"


@pytest.fixture
def visit(visit):
    """Return a function that opens the map as a new visitor, and waits until it is drawn."""

    def open_(path="/map", ready=True, **how):
        page = visit(path, **how)
        if ready:
            expect(page.locator("canvas[data-ready]")).to_be_visible()
            settled(page)
        return page

    return open_


def settled(page):
    """Wait for two frames; return the canvas as a data URL."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.evaluate("document.querySelector('canvas').toDataURL()")


def accent(page):
    return page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--accent').trim()")


def test_search_moves_to_an_item_and_lists_similar_ones(visit):
    page = visit()
    whole = settled(page)
    page.fill("#query", "star wasr")
    page.locator("#results a", has_text="Star Wars").first.click()
    expect(page.locator("#selected h2")).to_contain_text("Star Wars")
    expect(page.locator("#selected li")).to_have_count(10)
    expect(page.locator(".stage [role=status]")).to_contain_text("Star Wars (1977) is selected")
    expect(page.locator("#results a")).to_have_count(0)
    assert page.url.endswith(f"/map?item={STAR_WARS}")
    near = settled(page)
    assert near != whole
    page.reload()
    expect(page.locator("canvas[data-ready]")).to_be_visible()
    expect(page.locator("#selected h2")).to_contain_text("Star Wars")
    page.locator("#selected li a").first.click()
    expect(page.locator("#selected h2")).not_to_contain_text("Star Wars")
    assert not page.url.endswith(f"={STAR_WARS}")


def test_a_new_rating_is_marked_at_once_and_the_recommendations_glow(visit):
    page = visit(f"/map?item={STAR_WARS}")
    page.get_by_title("Show all").click()
    settled(page)
    assert accent(page) not in page.evaluate(COLOURS)
    with page.expect_response("**/rate"):  # the stars show at once
        page.locator("#selected .star").nth(4).click()
    expect(page.locator("#selected .star.on")).to_have_count(5)
    expect(page.locator("#map[data-ratings*=':']")).to_have_count(1)
    expect(page.locator("#map canvas")).to_be_visible()
    assert json.loads(page.locator("#map").get_attribute("data-ratings")) == {str(STAR_WARS): 5}
    page.locator("canvas").press("+")  # away from the titles of other items
    settled(page)
    assert page.evaluate(COLOURS).get(accent(page), 0) > 20
    assert page.url.endswith(f"/map?item={STAR_WARS}")


def test_wheel_pointer_and_keys_move_the_map_and_0_shows_all(visit):
    page = visit()
    whole, canvas = settled(page), page.locator("canvas")
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for act in (
        lambda: page.mouse.wheel(0, -600),
        lambda: (page.mouse.down(), page.mouse.move(x + 80, y + 40, steps=4), page.mouse.up()),
        lambda: page.keyboard.press("+"),
        lambda: page.keyboard.press("ArrowLeft"),
    ):
        page.mouse.move(x, y)
        before = settled(page)
        act()
        canvas.focus()
        assert settled(page) != before
    page.mouse.move(1, 1)
    page.keyboard.press("0")
    canvas.evaluate("canvas => canvas.blur()")  # the centre is marked while the canvas has the focus
    assert settled(page) == whole
    canvas.press("Enter")
    expect(page.locator("#selected h2 a")).to_be_visible()


SPY = """() => {
    const pen = CanvasRenderingContext2D.prototype, write = pen.fillText, circle = Path2D.prototype.arc;
    pen.fillText = function (text, x, y) {
        window.texts.set(text, [x, y, this.textAlign]);
        write.call(this, text, x, y);
    };
    Path2D.prototype.arc = function (x, y, radius, ...more) {
        window.dots.push([x, y]);
        window.radius = radius;
        circle.call(this, x, y, radius, ...more);
    };
    window.texts = new Map(); window.dots = [];
}"""
"""A script that records the titles and dots that are drawn, and the radius of the last dot."""


def drawn(page, act):
    """Return the titles with their places, and the centres of the dots, that are drawn after an action."""
    act()
    settled(page)
    page.evaluate("window.texts = new Map(), window.dots = []")  # what was drawn on the way there is gone
    page.locator("canvas").dispatch_event("blur")  # draws again
    settled(page)
    return page.evaluate(
        "[Object.fromEntries(window.texts), Object.values(Object.fromEntries(window.dots.map(one => [one, one])))]"
    )


def test_a_click_on_a_title_selects_its_item(visit):
    page = visit()
    page.evaluate(SPY)
    titles, dots = drawn(page, lambda: page.locator("canvas").press("0"))
    free = {}
    for title, (x, y, side) in titles.items():
        if side == "center":  # the name of a genre
            continue
        places = [(x + step * (1 if side == "left" else -1), y) for step in range(5, 25)]
        distances = [min(np.hypot(place[0] - dot[0], place[1] - dot[1]) for dot in dots) for place in places]
        free[title] = max(zip(distances, places, strict=True))
    title = max(free, key=free.get)  # the click must hit the title alone
    x, y = free[title][1]
    box = page.locator("canvas").bounding_box()
    page.mouse.click(box["x"] + x, box["y"] + y)
    expect(page.locator("#selected h2")).to_contain_text(title)


def test_a_title_stays_on_its_side_of_the_dot_under_the_pointer(visit):
    page = visit()
    page.evaluate(SPY)
    titles, dots = drawn(page, lambda: page.locator("canvas").press("0"))
    box = page.locator("canvas").bounding_box()
    to_the_left = {title: (x - 12, y) for title, (x, y, side) in titles.items() if side == "right" and x > 450}
    free = {title: min(np.hypot(x - dot[0], y - dot[1]) for dot in dots) for title, (x, y) in to_the_left.items()}
    title = max(free, key=free.get)  # the pointer must be on the title alone
    page.mouse.move(box["x"] + to_the_left[title][0], box["y"] + to_the_left[title][1])
    hovered, _ = drawn(page, lambda: None)
    ((_, _, side),) = [place for text, place in hovered.items() if text.startswith(f"{title} (")]
    assert side == "right", title


def test_two_titles_on_a_line_have_a_gap(visit):
    page = visit()
    page.evaluate(SPY)
    canvas = page.locator("canvas")
    for key in ("0", "+", "+", "ArrowLeft", "ArrowUp"):
        spans = []
        for text, (x, y, side) in drawn(page, lambda key=key: canvas.press(key))[0].items():
            width = canvas.evaluate("(canvas, text) => canvas.getContext('2d').measureText(text).width", text)
            left = x - width * {"left": 0, "center": 0.5, "right": 1}[side]
            if side != "center":  # not the name of a genre, which has another font
                spans.append((y, left, left + width, text))
        for y, left, right, text in spans:
            beside = [other for other in spans if other[3] != text and abs(other[0] - y) < 8 and other[1] >= left]
            assert all(other[1] > right + 3 for other in beside), (text, beside)


def test_quick_clicks_add_up(visit):
    page = visit(reduced_motion="no-preference")
    button = "document.querySelector('.zoom button').click();"
    pictures = []
    for clicks in ((button, button), (button + button,)):
        page.get_by_title("Show all").click()
        page.mouse.move(1, 1)
        for click in clicks:
            page.wait_for_timeout(1000)
            page.evaluate(click)
        page.wait_for_timeout(1000)
        pictures.append(settled(page))
    assert pictures[0] == pictures[1]


def test_one_finger_scrolls_the_page_and_only_two_move_the_map(visit):
    page = visit(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    assert page.evaluate("getComputedStyle(document.querySelector('canvas')).touchAction") == "pan-x pan-y"
    before = settled(page)
    page.evaluate("""() => {
        const canvas = document.querySelector('canvas');
        const send = (kind, y) => canvas.dispatchEvent(new PointerEvent(kind, { pointerId: 1, pointerType: 'touch',
            clientX: 200, clientY: y, bubbles: true }));
        send('pointerdown', 500); send('pointermove', 300); send('pointerup', 300);
    }""")
    assert settled(page) == before


def test_the_centre_is_marked_while_keys_move_the_map(visit):
    page = visit()
    before = settled(page)
    page.keyboard.press("Tab")
    page.locator("canvas").focus()
    focused = settled(page)
    page.locator("canvas").evaluate("canvas => canvas.blur()")
    assert settled(page) == before != focused


def test_the_map_starts_over_the_visitors_ratings(visit):
    page = visit(f"/map?item={STAR_WARS}")
    with page.expect_response("**/rate"):
        page.locator("#selected .star").nth(4).click()
    page.goto("/map")
    expect(page.locator("canvas[data-ready]")).to_be_visible()
    page.evaluate(SPY)
    titles, _ = drawn(page, lambda: page.locator("canvas").press("ArrowLeft"))
    box = page.locator("canvas").bounding_box()
    x, y, _ = titles["Star Wars"]
    assert abs(x - box["width"] / 2) < box["width"] / 4
    assert abs(y - box["height"] / 2) < box["height"] / 4


def test_rarely_rated_items_of_a_large_map_appear_as_one_zooms_in(visit):
    page = visit("/how", ready=False)
    n = 9_000
    rng = np.random.default_rng(0)
    groups = {
        "names": ["Drama"],
        "colors": [["#aa0000", "#ff0000"], ["#888888", "#999999"]],
        "of": [0] * n,
        "homes": [0],
    }
    data = {"item_id": list(range(n)), "title": [f"Movie {at}" for at in range(n)], "year": [None] * n}
    data |= {"n_ratings": list(range(2 * n, n, -1)), "genres": groups, "decades": groups}
    data |= {axis: rng.integers(0, 10_000, n).tolist() for axis in "xy"}
    page.route("**/api/map", lambda route: route.fulfill(json=data))
    page.goto("/map")
    expect(page.locator("canvas[data-ready]")).to_be_visible()
    page.evaluate(SPY)
    _, whole = drawn(page, lambda: page.locator("canvas").press("0"))
    assert 1000 < len(whole) < 0.8 * n
    radius = page.evaluate("radius")
    canvas = page.locator("canvas").bounding_box()
    page.mouse.move(canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2)
    titles, near = drawn(page, lambda: page.mouse.wheel(0, -1200))
    assert len(near) < len(whole)
    assert page.evaluate("radius") > 4 * radius  # the dots grow with the space between them
    assert max(int(title.split()[1]) for title in titles if title.startswith("Movie ")) > 3000


def test_two_fingers_zoom(visit):
    page = visit()
    whole = settled(page)
    page.evaluate(
        """() => {
        const canvas = document.querySelector('canvas'), box = canvas.getBoundingClientRect();
        canvas.setPointerCapture = () => {};
        const send = (kind, id, x) => canvas.dispatchEvent(new PointerEvent(kind, { pointerId: id, pointerType: 'touch',
            clientX: box.left + x, clientY: box.top + 200, bubbles: true }));
        send('pointerdown', 1, 300); send('pointerdown', 2, 400);
        send('pointermove', 1, 200); send('pointermove', 2, 500);
        send('pointerup', 1, 200); send('pointerup', 2, 500);
    }"""
    )
    assert settled(page) != whole
    assert page.url.endswith("/map")  # and chose nothing


def test_a_tap_on_a_dot_selects_it(visit):
    page = visit(f"/map?item={STAR_WARS}")
    canvas = page.locator("canvas").bounding_box()
    page.evaluate("history.replaceState(null, '', '/map')")
    page.mouse.click(canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2)
    page.wait_for_url(f"**/map?item={STAR_WARS}")


def test_colours_show_genres_or_decades_and_one_group_can_be_shown_alone(visit):
    page = visit()
    genres = settled(page)
    page.get_by_label("Colours").select_option("decades")
    expect(page.get_by_role("button", name="1990s")).to_be_visible()
    decades = settled(page)
    assert decades != genres
    page.get_by_role("button", name="1990s").click()
    expect(page.get_by_role("button", name="1990s")).to_have_attribute("aria-pressed", "true")
    assert settled(page) != decades
    page.get_by_role("button", name="1990s").click()
    page.mouse.move(1, 1)
    assert settled(page) == decades


def test_the_map_follows_the_colour_scheme_of_the_system(visit):
    light, dark = (visit(color_scheme=scheme) for scheme in ("light", "dark"))
    seen = [max(page.evaluate(COLOURS).items(), key=lambda item: item[1])[0] for page in (light, dark)]
    assert seen[0] != seen[1]
    light.emulate_media(color_scheme="dark")
    assert settled(light) == settled(dark)


def test_the_viewport_is_animated_unless_reduced_motion_is_preferred(visit):
    whole = visit(f"/map?item={STAR_WARS}")
    whole.get_by_title("Show all").click()
    whole.mouse.move(1, 1)
    for motion, flies in (("no-preference", True), ("reduce", False)):
        page = visit("/map?query=star wars", reduced_motion=motion)
        page.evaluate("performance.now = () => 1e12")  # so that a flight never leaves
        page.locator("#results a").first.click()
        expect(page.locator("#selected li")).to_have_count(10)
        page.mouse.move(1, 1)
        assert (settled(page) == settled(whole)) == flies


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/map", f"/map?item={ODD}", "/map?query=alein"])
def test_axe_finds_no_accessibility_violation_on_the_map(visit, path, scheme):
    page = visit(path, color_scheme=scheme)
    assert [found["id"] for found in Axe().run(page).response["violations"]] == []


def test_on_a_phone_the_page_fits_and_buttons_are_large_enough(visit):
    page = visit(f"/map?item={STAR_WARS}", viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    small = """all => all.filter(one => one.checkVisibility()).map(one => one.getBoundingClientRect())
        .filter(box => Math.min(box.width, box.height) < 24).length"""
    assert page.locator(".stage button, .stage select").evaluate_all(small) == 0


def test_without_scripts_the_picture_is_shown(visit):
    page = visit(f"/map?item={STAR_WARS}", ready=False, java_script_enabled=False)
    expect(page.locator("#map img")).to_be_visible()
    expect(page.locator("#selected li")).to_have_count(10)


def test_the_page_shows_an_error_if_the_map_fails_to_load(visit, chromium):
    page = visit(ready=False)
    page.route("**/api/map", lambda route: route.fulfill(status=503, json={"detail": "There is no map <b>yet</b>."}))
    page.reload()
    expect(page.locator("#map .empty")).to_have_text("There is no map <b>yet</b>.")
    page.route("**/api/map", lambda route: route.abort())
    page.reload()
    expect(page.locator("#map .empty")).to_contain_text("does not respond")
