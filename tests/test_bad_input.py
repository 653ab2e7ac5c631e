"""Unusual data and visitors, in a real browser."""

import re
from contextlib import suppress

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import expect

import reelated
from conftest import EVIL
from reelated.refit import Versions, refit
from reelated.store import Store
from reelated.store.visitors import MAX_RATINGS

PHONE = {"width": 320, "height": 640}
LONG, UNBROKEN = "A Very Long Title Indeed " * 20, "Hippopotomonstrosesquippedaliophobia" * 13
ODD_TITLES = {
    1: LONG.strip()[:500],
    2: UNBROKEN[:468],
    3: "العربية: قصة طويلة (حب) في المدينة",
    4: "‮Overriding‬ ⁦and isolating⁩",
    5: "千と千尋の神隠しとても長い題名の映画" * 5,
    6: EVIL,
    7: "{{ 7 * 7 }} ${7*7} %s <%= 7 %>",
    8: "e\u0301" * 40 + " 👩‍👩‍👧‍👦 ﷽",
}
GENRES = [UNBROKEN[:90], *(f"Genre {number} <b>&amp;" for number in range(1, 1000))]
PAGES = ("/", "/?page=2", "/list", "/ratings", "/taste", "/users", "/users/3", "/how", "/map", "/import")


@pytest.fixture(scope="module")
def serve(tmp_path_factory, services, chromium):
    """Return a function that starts a service on some items, which 60 users have rated at random."""
    servers = []

    def start(items, name="odd", n_rated=12):
        rng, n_items = np.random.default_rng(3), len(items)
        pairs = [
            (user, item) for user in range(1, 61) for item in rng.choice(n_items, min(n_rated, n_items), replace=False)
        ]
        ratings = {
            "user_id": [user for user, _ in pairs],
            "item_id": [items["item_id"][int(item)] for _, item in pairs],
        }
        ratings["rating"] = rng.integers(1, 6, len(pairs)).tolist()
        folder = tmp_path_factory.mktemp(name)
        store = Store(f"sqlite:///{folder}/store.db").upgrade()
        items = items if len(items.columns) > 1 else None
        store.import_data(reelated.Dataset.from_frames(pl.DataFrame(ratings), items, scale=(1, 5, 1)), name)
        refit(store, Versions(folder / "models"))
        store.close()
        servers.append(services.start(f"sqlite:///{folder}/store.db", folder / "models"))
        return f"http://{servers[-1].address}"

    yield start
    for server in servers:
        server.stop()


def assert_fits(page, path):
    """Assert that a page shows its content and is no wider than the screen."""
    assert page.goto(path).ok, path
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert page.locator("main script, main img, main b b").count() == 0, path


def rate_all(page, stars):
    """Rate the first tiles."""
    for rating in stars:
        key = page.locator(".tile:not(.rated)").first.get_attribute("data-key")
        tile = page.locator(f'.tile[data-key="{key}"]')
        tile.locator(".star").nth(rating - 1).click()
        page.mouse.move(0, 0)
        expect(tile).to_have_count(0)


@pytest.fixture(scope="module")
def odd(serve):
    """A service with odd titles and 1,000 genres, also with HTML."""
    rows = [(key, title, 1990 + key, GENRES[(key - 1) * 125 : key * 125]) for key, title in ODD_TITLES.items()]
    rows += [(key, f"Movie {key}", None, [GENRES[key]]) for key in range(10, 40)]
    return serve(pl.DataFrame(rows, schema=["item_id", "title", "year", "genres"], orient="row"))


@pytest.mark.parametrize("size", [{"width": 1280, "height": 900}, PHONE], ids=["desk", "phone"])
def test_odd_titles_and_a_thousand_genres_fit_every_page(visit, odd, size):
    page = visit("/", base_url=odd, viewport=size)
    rate_all(page, (5, 1, 4))
    for path in (
        *PAGES,
        *(f"/items/{key}" for key in ODD_TITLES),
        "/list?genres=Genre 3 <b>%26amp;",
        "/search?query=odd",
    ):
        assert_fits(page, path)
    for key, title in ODD_TITLES.items():
        page.goto(f"/items/{key}")
        shown = re.sub("[\u202a-\u202e\u2066-\u2069]", "", title)
        assert page.locator("h1").inner_text().strip() == shown.strip()
    page.goto("/list")
    assert page.get_by_label("Genre").locator("option").count() > 900


def test_titles_that_reorder_text_do_not_reorder_what_follows(visit, odd):
    page = visit("/items/4", base_url=odd)
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", page.content())


def test_a_long_title_or_list_of_genres_is_cut_where_it_would_hide_the_rest(visit, odd):
    page = visit("/search?query=very long title indeed", base_url=odd)
    title = page.locator("#results .title").first
    expect(title).to_contain_text("A Very Long Title Indeed")
    assert len(title.inner_text()) == 120
    page.goto("/items/1")
    assert page.locator(".genres span").count() == 12
    expect(page.locator(".genres")).to_contain_text("and 113 more")


def test_a_title_written_from_right_to_left_stays_before_its_year_and_rating(visit, odd):
    page = visit("/search?query=قصة طويلة", base_url=odd)
    title, year = (page.locator(f"#results .{name}").first.bounding_box() for name in ("title", "year"))
    assert title["x"] + title["width"] <= year["x"]
    with page.expect_response("**/rate"):  # the stars show at once
        page.locator("#results .star").nth(4).click()
    page.goto("/list")
    reason = page.locator(".why", has_text="العربية").first
    title, rating = (reason.locator(name).first.bounding_box() for name in ("bdi", "b"))
    assert title["x"] < rating["x"]


@pytest.mark.parametrize("missing", [("year",), ("genres",), ("title",), ("year", "genres", "title")], ids="-".join)
def test_a_catalogue_without_years_genres_or_titles_works(visit, serve, missing):
    columns = {
        "item_id": [f"id-{number}" for number in range(40)],
        "title": [f"The Item {number}" for number in range(40)],
        "year": [1980 + number for number in range(40)],
        "genres": [["Drama"], ["Comedy", "War"]] * 20,
    }
    items = pl.DataFrame({name: values for name, values in columns.items() if name not in missing})
    page = visit("/", base_url=serve(items, "-".join(missing)), viewport=PHONE)
    assert page.locator(".tile").count() == 12
    rate_all(page, (5, 1, 4))
    expect(page.locator("#rows > li h3").first).to_contain_text("tem" if "title" not in missing else "id-")
    for path in ("/", "/list", "/ratings", "/taste", "/items/id-3", "/users", "/map", "/search?query=3", "/import"):
        assert_fits(page, path)
    page.goto("/search?query=id-7" if "title" in missing else "/search?query=item 7")
    expect(page.locator("#results .title").first).to_contain_text("7")


def test_a_visitor_with_2000_ratings_gets_every_page(visit, serve):
    items = pl.DataFrame({"item_id": range(1, 2101), "title": [f"Movie number {key}" for key in range(1, 2101)]})
    page = visit("/import", base_url=serve(items, n_rated=200))
    table = "title,rating\n" + "".join(f"Movie number {key},{1 + key % 5}\n" for key in range(1, 2001))
    page.locator("#file").set_input_files({"name": "own.csv", "mimeType": "text/csv", "buffer": table.encode()})
    page.get_by_role("button", name="Import").click()
    expect(page.locator("main")).to_contain_text(f"Imported {MAX_RATINGS:,} ratings")
    expect(page.locator("main")).to_contain_text("earlier ratings left out")
    for path in ("/", "/list", "/ratings", "/taste", "/items/2050", "/how", "/map"):
        assert_fits(page, path)
    page.goto("/")
    rate_all(page, (4,))
    page.goto("/ratings")
    expect(page.locator("main .match")).to_have_count(MAX_RATINGS)


def test_two_tabs_see_each_others_ratings_and_neither_loses_any(visit):
    first = visit()
    second = first.context.new_page()
    second.goto("/")
    rate_all(first, (5,))
    rate_all(second, (2, 3))  # the first of these is the tile that the other tab has rated
    first.reload()
    first.goto("/ratings")
    expect(first.locator("main .match")).to_have_count(2)
    expect(first.locator("main .match").last.locator(".star.on")).to_have_count(2)
    first.locator("main .match").first.get_by_title("Remove").click()
    expect(first.locator("main .match")).to_have_count(1)
    second.goto("/ratings")
    expect(second.locator("main .match")).to_have_count(1)


def test_back_and_forward_show_the_current_ratings(visit):
    page = visit()
    rate_all(page, (5,))
    page.get_by_role("link", name="Your list", exact=True).click()
    expect(page.locator("#rows > li")).to_have_count(10)
    page.get_by_role("link", name="Your stars", exact=True).click()
    page.get_by_title("Remove").click()
    expect(page.locator("main")).to_contain_text("You have not rated anything yet")
    page.go_back()
    expect(page.get_by_role("heading", name="Popular movies")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="What do you think of these?")).to_be_visible()
    expect(page.locator("main")).not_to_contain_text("You rated")
    page.go_forward()
    expect(page.get_by_role("heading", name="Popular movies")).to_be_visible()
    page.go_forward()
    expect(page.locator("main")).to_contain_text("You have not rated anything yet")


@pytest.mark.parametrize("scripts", [True, False])
def test_without_cookies_a_form_explains_and_the_rating_is_undone(visit, scripts):
    page = visit(java_script_enabled=scripts)
    page.route("**/rate", lambda route: route.continue_(headers={
        name: value for name, value in route.request.headers.items() if name != "cookie"
    }))  # fmt: skip
    page.context.clear_cookies()
    page.locator(".tile .star").nth(3).click()
    where = page.get_by_role("alert") if scripts else page.locator("main")
    expect(where).to_contain_text("Allow cookies for this site")
    assert page.locator(".star.on").count() == 0


def test_a_server_that_dies_between_tap_and_answer_undoes_the_star_and_recovers(chromium, place, services):
    server = services.start(*place)
    context = chromium.new_context(base_url=f"http://{server.address}", reduced_motion="reduce")
    page = context.new_page()
    page.goto("/")
    stars = page.locator(".tile").first.locator(".star.on")

    def die(route):
        server.kill()
        route.continue_()

    page.route("**/rate", die)
    page.locator(".tile .star").nth(3).click()
    expect(page.get_by_role("alert")).to_contain_text("The service does not respond")
    expect(stars).to_have_count(0)
    page.unroute("**/rate")
    again = services.start(*place, "--port", server.address.rpartition(":")[2])
    try:
        page.locator(".tile .star").nth(3).click()
        expect(page.locator("#latest .star.on")).to_have_count(4)
        expect(page.locator("#alert")).to_have_text("")
    finally:
        with suppress(AssertionError):
            context.close()
        again.stop()
