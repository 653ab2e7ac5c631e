"""The pages in a real browser: with mouse and keyboard, without scripts, and on a phone."""

import io
import re

import half_stars
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw
from playwright.sync_api import expect

import reelated
from conftest import EVIL
from reelated.refit import Versions, refit
from reelated.store import Store

PAGES = (
    "/", "/?query=alein", "/?page=2", "/list", "/list?by=rating&n=20", "/list?genres=Drama&years=1990-1999", "/ratings",
    "/items/50", "/items/50?audience", "/items/66666", "/users", "/users/300", "/how", "/taste",
    "/search?query=zzzzzzzz", "/nowhere",
)  # fmt: skip
LIKE_OTHERS = {"/?page=2", "/list?by=rating&n=20", "/list?genres=Drama&years=1990-1999", "/items/50"}
SMALL = """all => all.filter(one => one.checkVisibility() && Math.min(one.getBoundingClientRect().width,
    one.getBoundingClientRect().height) < 24).map(one => one.outerHTML)"""
"""A script that returns the elements smaller than 24 pixels."""
BOXES = "all => all.map(one => one.getBoundingClientRect().toJSON())"
"""A script that returns the boxes of elements."""
STAR = (50, 7), (63, 35), (93, 39), (71, 60), (76, 90), (50, 76), (24, 90), (29, 60), (7, 39), (37, 35)
"""The corners of a star, in hundredths of its square."""
EDGE = 24
"""The pixels around a row that its picture shows."""
DESK, PHONE, WALL = ({"width": w, "height": h} for w, h in ((1280, 900), (360, 740), (3840, 2160)))


@pytest.fixture(scope="module")
def half_star_address(tmp_path_factory, services, chromium):
    """The service on the sample with half stars."""
    folder = tmp_path_factory.mktemp("half-stars")
    store = Store(f"sqlite:///{folder}/store.db").upgrade()
    store.import_data(reelated.read(half_stars.write(folder / "data")), "half stars")
    refit(store, Versions(folder / "models"))
    store.close()
    server = services.start(f"sqlite:///{folder}/store.db", folder / "models")
    yield f"http://{server.address}"
    server.stop()


def rate(page, stars, tile=0):
    """Rate the item of a tile; return the item once another one has replaced it."""
    there = page.locator(".tile").nth(tile)
    item = there.get_attribute("data-key")
    there.locator(".star").nth(stars - 1).click()
    page.mouse.move(0, 0)  # a rated tile stays while the pointer is on it
    expect(page.locator(f'.tile[data-key="{item}"]')).to_have_count(0)
    return item.split()[1]


def five(page):
    """Rate five items."""
    return [rate(page, stars) for stars in (5, 4, 1, 5, 2)]


def with_five(page):
    """Rate five items as `five` does, by requests."""
    token = page.locator("input[name=token]").first.get_attribute("value")
    items = page.locator(".tile").evaluate_all("tiles => tiles.map(tile => tile.dataset.key.split(' ')[1])")
    for item, stars in zip(items, (5, 4, 1, 5, 2), strict=False):
        form = {"token": token, "item_id": item, "rating": str(stars), "back": "/how"}
        assert page.request.post("/rate", form=form).ok
    page.reload()


def listed(page):
    """Return the items of the visible list."""
    return page.locator("#rows > li").evaluate_all("rows => rows.map(row => row.dataset.key)")


def still(page, row):
    """Return the boxes of a row's stars and a picture of the row, both after all animations have ended."""
    for _ in range(20):
        page.wait_for_function("document.getAnimations().length === 0")
        boxes, frame = row.locator(".star").evaluate_all(BOXES), row.bounding_box()
        left, top = max(int(frame["x"]) - EDGE, 0), max(int(frame["y"]) - EDGE, 0)
        right, bottom = int(frame["x"] + frame["width"]) + EDGE, int(frame["y"] + frame["height"]) + EDGE
        picture = page.screenshot(clip={"x": left, "y": top, "width": right - left, "height": bottom - top})
        if boxes == row.locator(".star").evaluate_all(BOXES):
            boxes = [box | {"x": box["x"] - left, "y": box["y"] - top} for box in boxes]
            return boxes, np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    raise AssertionError("the page never comes to rest")


def stars_of(page, row):
    """Return a mask of drawn pixels for each star of a row, in a square as wide as its buttons."""
    row.evaluate("row => row.scrollIntoView({block: 'center'})")  # the bar of phones covers the lower edge
    boxes, picture = still(page, row)
    if ".5" in (row.locator(".star").first.get_attribute("value") or ""):
        odd, even = boxes[::2], boxes[1::2]
        assert all(
            left["x"] + left["width"] == pytest.approx(right["x"]) for left, right in zip(odd, even, strict=True)
        )
        boxes = [left | {"width": left["width"] + right["width"]} for left, right in zip(odd, even, strict=True)]
    zoom, drawn = page.evaluate("devicePixelRatio"), []
    for box in boxes:
        left, top = round(box["x"] * zoom), round((box["y"] + (box["height"] - box["width"]) / 2) * zoom)
        side = round(box["width"] * zoom)
        square = picture[top : top + side, left : left + side]
        drawn.append(abs(square - square[side // 12, side // 12]).sum(axis=2) > 90)
    return drawn


def star_in(square, size):
    """Return a star of a size, centred in a square."""
    side = len(square)
    image, edge = Image.new("1", (side, side)), (side - size) / 2
    ImageDraw.Draw(image).polygon([(edge + x / 100 * size, edge + y / 100 * size) for x, y in STAR], fill=1)
    return np.asarray(image)


def assert_drawn(drawn, size, rating):
    """Assert that the stars have the right shape and position, and are filled up to a rating."""
    for at, square in enumerate(drawn):
        star, half = star_in(square, size), len(square) // 2
        assert (square & ~star).sum() <= 1.5 * size, "a star reaches beyond its shape, blurred edges aside"
        for side, part in ((0, np.s_[:, :half]), (1, np.s_[:, half:])):
            wide, whole = (np.flatnonzero(one[part].any(axis=0)) for one in (square, star))
            assert abs(wide[[0, -1]] - whole[[0, -1]]).max() <= 3, (
                "each half is as wide as half a star, and joins the other"
            )
            filled = square[part][star[part]].mean()
            assert filled > 0.9 if rating >= at + (side + 1) / 2 else filled < 0.75, (at, side, filled)


def luminance(color):
    """Return the relative luminance of a colour such as #fff or #1d1b18."""
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    parts = np.array([int(digits[at : at + 2], 16) for at in (0, 2, 4)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)


def as_number(text):
    return float(text.replace("−", "-"))


def test_a_new_visitor_rates_items_and_sees_the_list_change_with_reasons_that_add_up(visit):
    page = visit()
    expect(page.get_by_role("heading", name="Popular movies")).to_be_visible()
    first = listed(page)
    rated = five(page)
    expect(page.get_by_role("heading", name="Your list")).to_be_visible()
    assert listed(page) != first
    assert not set(listed(page)) & set(rated)
    expect(page.locator(".moved").first).to_be_visible()
    expect(page.locator("#announcement")).to_contain_text("The list changed")
    page.get_by_role("link", name="See the full list").click()
    expect(page.locator("#rows > li")).to_have_count(10)
    expect(page.locator(".why").first).to_contain_text("Because you rated")
    page.locator("summary", has_text="How it adds up").first.click()
    figures = page.locator(".breakdown").first.locator(".figure").all_inner_texts()
    assert sum(map(as_number, figures[:-1])) == pytest.approx(as_number(figures[-1]), abs=1e-9)
    parts = page.locator(".bar").first.locator("rect")
    assert 95 < sum(parts.evaluate_all("all => all.map(one => one.width.baseVal.value)")) <= 100


def test_filters_apply_at_once_and_back_undoes_them(visit):
    page = visit()
    rate(page, 5)
    page.goto("/list")
    before = listed(page)
    page.get_by_label("Genre").select_option("Horror")
    expect(page).to_have_url(re.compile("genres=Horror"))
    for genres in page.locator("#rows .genres").all_inner_texts():
        assert "Horror" in genres
    page.get_by_label("Decade").select_option("1980-1989")
    expect(page).to_have_url(re.compile("years=1980-1989"))
    assert all(year.startswith("198") for year in page.locator("#rows .year").all_inner_texts())
    chosen = listed(page)
    page.reload()
    assert listed(page) == chosen
    expect(page.get_by_label("Genre")).to_have_value("Horror")
    page.go_back()
    page.go_back()
    expect(page.get_by_label("Genre")).to_have_value("")
    assert listed(page) == before


def test_less_like_this_can_be_undone(visit):
    page = visit()
    rate(page, 5)
    page.goto("/list")
    before = listed(page)
    page.get_by_role("button", name="Less like this").first.click()
    expect(page.locator(f'#rows [data-key="{before[0]}"]')).to_have_count(0)
    page.reload()
    assert before[0] not in listed(page)
    page.get_by_role("button", name="Undo: less like").click()
    expect(page.locator(f'#rows [data-key="{before[0]}"]')).to_have_count(1)
    assert listed(page) == before


def test_leaving_out_a_reason_shows_the_new_rank_and_can_be_undone(visit):
    page = visit()
    with_five(page)
    page.goto("/list")
    before = listed(page)
    page.locator("summary", has_text="How it adds up").first.click()
    page.get_by_role("link", name="Without this").first.click()
    expect(page.locator("#rank-change")).to_contain_text("Without your rating of")
    assert listed(page) != before
    page.reload()
    page.get_by_role("link", name="Undo", exact=True).click()
    expect(page.locator("#rank-change")).to_have_count(0)
    assert listed(page)[: len(before)] == before  # more rows follow where the end of the list is in sight


def test_a_rated_tile_keeps_its_place_until_the_pointer_leaves_it(visit):
    page = visit()
    before = page.locator(".tile").evaluate_all("tiles => tiles.map(tile => tile.dataset.key)")
    tile = page.locator(f'.tile[data-key="{before[0]}"]')
    tile.locator(".star").nth(3).click()
    expect(page.locator("#latest .star.on")).to_have_count(4)
    tile.locator(".star").nth(4).click()  # a second click corrects the rating of the same movie
    expect(page.locator("#latest .star.on")).to_have_count(5)
    expect(tile.locator(".star.on")).to_have_count(5)
    assert page.locator(".tile").evaluate_all("tiles => tiles.map(tile => tile.dataset.key)") == before
    page.mouse.move(0, 0)
    expect(tile).to_have_count(0)
    after = page.locator(".tile").evaluate_all("tiles => tiles.map(tile => tile.dataset.key)")
    assert after[1:] == before[1:]
    assert after[0] not in before
    page.goto("/ratings")
    expect(page.locator("main .match")).to_have_count(1)


def test_a_rating_shows_at_once_and_is_undone_when_it_fails(visit):
    page = visit()
    held = []
    page.route("**/rate", lambda route: held.append(route))
    stars = page.locator(".tile").first.locator(".star.on")
    page.locator(".tile").first.locator(".star").nth(2).click()
    expect(stars).to_have_count(3)  # the server has not answered
    while not held:
        page.wait_for_timeout(20)
    held[0].abort()
    expect(page.get_by_role("alert")).to_contain_text("does not respond")
    expect(stars).to_have_count(0)


@pytest.mark.parametrize("size", [DESK, {"width": 800, "height": 1000}, PHONE], ids=["desk", "tablet", "phone"])
@pytest.mark.parametrize("scrolled", [0, 120])
def test_the_first_rating_moves_no_tile(visit, size, scrolled):
    page = visit(viewport=size)
    page.evaluate(f"scrollTo(0, {scrolled})")
    before, after = page.evaluate("""async () => {
        const tile = document.querySelectorAll(".tile")[1];
        const top = tile.getBoundingClientRect().top;
        const main = tile.closest("main");
        const changed = new Promise((done) => new MutationObserver(done).observe(main, { childList: true }));
        tile.querySelectorAll(".star")[4].click();
        await changed;
        return [top, document.querySelector(`[data-key="${tile.dataset.key}"]`).getBoundingClientRect().top];
    }""")
    assert after == pytest.approx(before, abs=1)


def test_the_bar_of_a_phone_is_there_before_the_first_rating_and_then_shows_the_move(visit):
    page = visit(viewport=PHONE)
    bar = page.locator(".preview")
    expect(bar).to_contain_text("0 rated")
    rate(page, 5)
    expect(bar).to_contain_text("1 rated")
    assert bar.locator(".moved").inner_text() == page.locator("#rows > li").first.locator(".moved").inner_text()
    badge, title = bar.locator(".moved").bounding_box(), bar.locator("b").bounding_box()
    assert title["x"] + title["width"] <= badge["x"] < PHONE["width"] - 30


def test_a_phone_shows_the_top_of_the_list_in_a_bar(visit):
    page = visit(viewport=PHONE)
    rate(page, 5)
    bar = page.locator(".preview")
    box = bar.bounding_box()
    assert box["y"] + box["height"] == PHONE["height"]
    expect(bar).to_contain_text("1 rated")
    expect(bar).to_contain_text(page.locator("#rows > li h3 .title").first.inner_text())
    bar.get_by_role("link").click()
    expect(page.locator("#list-title")).to_be_in_viewport()


def test_the_tip_about_keys_is_shown_at_a_desk_only(visit):
    expect(visit().locator(".tip")).to_be_visible()
    for how in (
        {"viewport": PHONE},
        {"viewport": {"width": 800, "height": 1280}, "has_touch": True, "is_mobile": True},
    ):
        expect(visit(**how).locator(".tip")).to_be_hidden()


def test_an_item_of_the_list_is_rated_in_place(visit):
    page = visit()
    rate(page, 5)
    page.goto("/list")
    first = page.locator("#rows > li").first
    item = first.get_attribute("data-key")
    first.locator("summary", has_text="Seen it").click()
    first.get_by_role("button", name="2: disliked it").click()
    expect(page.locator(f'#rows [data-key="{item}"]')).to_have_count(0)
    page.goto("/ratings")
    expect(page.locator(f'[data-key="{item}"] .star.on')).to_have_count(2)


def test_more_rows_load_near_the_end_of_the_list(visit):
    page = visit("/list")
    expect(page.locator("#rows > li")).to_have_count(10)
    page.mouse.wheel(0, 100_000)
    expect(page.locator("#rows > li")).to_have_count(20)
    expect(page).to_have_url(re.compile("n=20"))


def test_search_allows_typos_and_rates_in_place(visit):
    page = visit()
    page.get_by_label("Find a movie").press_sequentially("godfahter")
    found = page.locator("#results .match").first
    expect(found).to_contain_text("The Godfather")
    expect(page.get_by_label("Find a movie")).to_be_focused()
    found.get_by_role("button", name="5: loved it").click()
    expect(page.locator("#latest")).to_contain_text("You gave The Godfather")


def test_an_item_page_shows_prediction_ratings_and_audience(visit):
    page = visit()
    with_five(page)
    page.locator("#rows a.title").first.click()
    expect(page.get_by_role("heading", name="For you")).to_be_visible()
    expect(page.locator(".verdict")).to_contain_text("We think you would rate it")
    people = [int(text.replace(",", "")) for text in page.locator(".histogram .figure").all_inner_texts()]
    result = page.locator("section[aria-labelledby=rated] .small").inner_text()
    assert result.startswith(f"{sum(people)} ratings")
    expect(page.get_by_text("people rated both").first).to_be_visible()
    page.get_by_role("link", name="Show the audience").click()
    expect(page.locator(".audience tbody tr")).to_have_count(10)
    with page.expect_response("**/rate"):  # the stars show at once
        page.locator(".yours .star").nth(3).click()
    expect(page.locator(".yours .star.on")).to_have_count(4)
    page.reload()
    expect(page.locator(".yours .star.on")).to_have_count(4)


def test_an_operator_sees_a_user_with_list_ratings_and_genres(visit):
    page = visit("/users")
    page.get_by_label("User id").fill("300")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("heading", name="User 300")).to_be_visible()
    for heading in ("Recommended movies", "Mean rating by genre", "Ratings, newest first"):
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
    page.goto("/users?user_id=nobody")
    expect(page.get_by_role("alert").filter(has_text="There is no user “nobody”.")).to_be_visible()
    expect(page.get_by_label("User id")).to_have_value("nobody")
    assert page.request.get("/users?user_id=nobody").status == 404


def test_erasing_removes_all_data_of_the_visitor(visit):
    page = visit()
    with_five(page)
    page.goto("/how")
    expect(page.locator("main")).to_contain_text("Your stars for 5 movies")
    page.get_by_text("Erase everything about me").click()
    page.get_by_role("button", name="Erase it all now").click()
    expect(page.locator("main")).to_contain_text("All data about you has been erased")
    page.goto("/ratings")
    expect(page.locator("main")).to_contain_text("You have not rated anything yet")


def test_two_visitors_never_see_each_others_ratings(visit):
    ann, ben = visit(), visit()
    item = rate(ann, 5)
    rate(ben, 1, tile=3)
    for page, there in ((ann, 1), (ben, 0)):
        page.goto("/ratings")
        expect(page.locator("main .match")).to_have_count(1)
        expect(page.locator(f'.match[data-key="{item}"]')).to_have_count(there)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_half_stars_are_drawn_correctly_and_filled_up_to_the_rating(visit, half_star_address, size, scheme):
    page = visit(base_url=half_star_address, viewport=size, color_scheme=scheme, device_scale_factor=2)
    for at, rating in enumerate((0.5, 4.5, 3, 2.5, 5)):
        tile = page.locator(".tile").nth(at)
        assert_drawn(stars_of(page, tile), 80, 0)
        tile.locator(".star").nth(round(2 * rating) - 1).hover()
        assert_drawn(stars_of(page, tile), 80, rating)
        item = tile.get_attribute("data-key")
        tile.locator(".star").nth(round(2 * rating) - 1).click()
        page.mouse.move(0, 0)
        expect(page.locator(f'.tile[data-key="{item}"]')).to_have_count(0)
        assert_drawn(stars_of(page, page.locator("#latest")), 80, rating)
    page.goto("/ratings")
    for row, rating in zip(page.locator("main .match").all(), (5, 2.5, 3, 4.5, 0.5), strict=True):
        assert_drawn(stars_of(page, row), 80, rating)
    page.goto("/?query=godfather")
    found = page.locator("#results .match").first
    assert_drawn(stars_of(page, found), 80, found.locator(".star.on").count() / 2)


def test_names_of_genres_and_decades_take_one_line_on_the_narrowest_phone(visit):
    page = visit(viewport={"width": 320, "height": 640})
    with_five(page)
    for path in ("/taste", "/users/300"):
        page.goto(path)
        lines = page.locator(".by-genre th[scope=row]").evaluate_all("""all => all.map(one => {
            const name = document.createRange();
            name.selectNode(one.firstChild);
            return name.getClientRects().length;
        })""")
        assert set(lines) == {1}, path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_the_ratings_of_a_histogram_take_one_line_on_the_narrowest_phone(visit, half_star_address):
    page = visit("/items/134", base_url=half_star_address, viewport={"width": 320, "height": 640})
    heights = page.locator(".histogram th[scope=row]").evaluate_all("all => all.map(one => one.offsetHeight)")
    assert len(heights) == 10
    assert max(heights) < 40


def test_the_whole_menu_is_visible_on_the_narrowest_phone_and_keeps_its_names(visit):
    page = visit(viewport={"width": 320, "height": 640})
    links = page.locator("nav a")
    assert links.evaluate_all("all => all.every(one => one.getBoundingClientRect().right <= innerWidth)")
    assert len({box["y"] for box in (link.bounding_box() for link in links.all())}) == 1
    for name in ("Rate", "Your list", "Your stars", "Your taste", "Map", "Users", "How it works"):
        expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()


def test_half_stars_fit_the_narrowest_phone_and_are_large_enough(visit, half_star_address):
    page = visit(base_url=half_star_address, viewport={"width": 320, "height": 640})
    for path in ("/", "/ratings", "/list", "/items/134"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        assert page.locator(".star:visible").evaluate_all(SMALL) == [], path
    page.goto("/")
    stars = (
        page.locator(".tile")
        .first.locator(".star")
        .evaluate_all("all => all.map(one => one.getBoundingClientRect().y)")
    )
    assert len(set(stars)) == 1


@pytest.mark.parametrize(("size", "in_tile"), [(DESK, 48), (PHONE, 43)], ids=["desk", "phone"])
def test_whole_stars_are_drawn_correctly(visit, size, in_tile):
    page = visit(viewport=size, device_scale_factor=2)
    tile = page.locator(".tile").first
    assert_drawn(stars_of(page, tile), in_tile, 0)
    tile.locator(".star").nth(2).hover()
    assert_drawn(stars_of(page, tile), in_tile, 3)
    rate(page, 4)
    page.mouse.move(0, 0)
    assert_drawn(stars_of(page, page.locator("#latest")), 48, 4)


def test_everything_works_with_the_keyboard_alone(visit):
    page = visit()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    for _ in range(8):  # the field, its button, the import, three examples, the first title, its stars
        page.keyboard.press("Tab")
    expect(page.locator(".tile").first.locator(".star").first).to_be_focused()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    item = page.locator(".tile").first.get_attribute("data-key")
    page.keyboard.press("Enter")
    expect(page.locator("#latest .star.on")).to_have_count(4)
    expect(page.locator(f'.tile[data-key="{item}"] .star').nth(3)).to_be_focused()  # the rating can be corrected
    page.keyboard.press("Tab")
    expect(page.locator(f'.tile[data-key="{item}"]')).to_have_count(0)
    page.keyboard.press("Tab")
    expect(page.locator(".tile").nth(1).locator(".star").first).to_be_focused()
    item = page.locator(".tile").nth(1).get_attribute("data-key")
    page.keyboard.press("5")
    expect(page.locator("#latest .star.on")).to_have_count(5)
    expect(page.locator(f'.tile[data-key="{item}"] .star').nth(4)).to_be_focused()
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert ring == "solid"
    page.keyboard.press("Tab")
    expect(page.locator(f'.tile[data-key="{item}"]')).to_have_count(0)
    page.goto("/list")
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Without this").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#rank-change")).to_be_visible()
    page.get_by_role("link", name="Undo", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#rank-change")).to_have_count(0)


def test_the_stars_before_the_focused_one_are_filled(visit):
    page = visit()
    page.locator(".tile a.title").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.mouse.move(0, 0)
    shapes = (
        page.locator(".tile")
        .first.locator(".star")
        .evaluate_all("all => all.map(star => getComputedStyle(star, '::before').clipPath)")
    )
    assert [shape.startswith("polygon(evenodd") for shape in shapes] == [False, False, False, True, True]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_not_text_has_a_contrast_of_3(visit, scheme):
    page = visit(color_scheme=scheme)
    colors = page.evaluate("""() => {
        const style = getComputedStyle(document.documentElement);
        return Object.fromEntries(["paper", "raised", "wash", "star", "edge", "accent"].map(
            name => [name, style.getPropertyValue("--" + name).trim()]));
    }""")
    light = {name: luminance(color) for name, color in colors.items()}
    for mark in ("star", "edge", "accent"):
        for ground in ("paper", "raised"):
            low, high = sorted((light[mark], light[ground]))
            assert (high + 0.05) / (low + 0.05) >= 3, (mark, ground)


def test_skipping_to_the_content_reloads_nothing_and_back_still_works(visit):
    page = visit("/list")
    before, asked = listed(page), []
    page.on("request", lambda request: asked.append(request.url) if request.resource_type == "fetch" else None)
    page.get_by_role("link", name="Skip to the content").press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.evaluate("new Promise(requestAnimationFrame)")
    assert asked == []
    page.get_by_label("Genre").select_option("Horror")
    expect(page).to_have_url(re.compile("genres=Horror"))
    assert listed(page) != before
    page.go_back()
    expect(page).to_have_url(re.compile("/list#main$"))
    expect(page.locator("#rows > li").first).to_have_attribute("data-key", before[0])
    assert listed(page) == before


def test_rating_filters_and_pages_work_without_scripts(visit):
    page = visit(java_script_enabled=False)
    for stars in (5, 4, 1):
        page.locator(".tile").first.locator(".star").nth(stars - 1).click()
    page.get_by_label("Find a movie").fill("godfahter")
    page.get_by_role("button", name="Search").click()
    page.locator("#results .match").first.get_by_role("button", name="5: loved it").click()
    page.get_by_role("link", name="Your stars").click()
    expect(page.locator(".match")).to_have_count(4)
    page.get_by_role("link", name="Your list").click()
    page.get_by_label("Genre").select_option("Drama")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page).to_have_url(re.compile("genres=Drama"))
    page.locator("summary", has_text="How it adds up").first.click()
    page.get_by_role("link", name="Without this").first.click()
    page.get_by_role("link", name="Undo", exact=True).click()
    page.get_by_role("link", name="Show more").click()
    expect(page.locator("#rows > li")).to_have_count(20)
    before = page.locator("#rows > li .title").all_inner_texts()
    page.get_by_role("button", name="Less like this").first.click()
    expect(page.locator("#rows > li .title")).not_to_have_text(before)
    page.locator("#rows .title").first.click()
    expect(page.get_by_role("heading", name="Ratings")).to_be_visible()
    page.get_by_role("link", name="How it works").click()
    page.get_by_text("Erase everything about me").click()
    page.get_by_role("button", name="Erase it all now").click()
    expect(page.locator("main")).to_contain_text("has been erased")


@pytest.mark.parametrize("size", [PHONE, WALL], ids=["phone", "wall"])
def test_every_page_fits_the_screen_and_controls_are_large_enough(visit, size):
    page = visit(viewport=size)
    with_five(page)
    for path in PAGES:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        tapped = page.locator("button:visible, select:visible, summary:visible, nav a:visible, a.title:visible")
        assert tapped.evaluate_all(SMALL) == [], path


@pytest.mark.parametrize(
    ("scheme", "size", "pages"),
    [
        ("light", DESK, [page for page in PAGES if page not in LIKE_OTHERS]),
        ("dark", PHONE, ["/", "/users/300", "/how"]),
    ],
    ids=["light", "dark"],
)
def test_axe_finds_no_accessibility_violation_on_any_page(visit, scheme, size, pages):
    page = visit(viewport=size, color_scheme=scheme)
    with_five(page)
    page.goto("/list")
    page.get_by_role("button", name="Less like this").first.click()
    first = listed(page)[0]
    without = page.locator(".breakdown a").first.get_attribute("href")
    for path in (*pages, without, f"/items/{first}"):
        page.goto(path)
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = Axe().run(page, options={"runOnly": tags, "resultTypes": ["violations"]})
        result = [(one["id"], one["nodes"][0]["html"]) for one in found.response["violations"]]
        assert result == [], path


def test_titles_are_escaped_on_every_page(visit):
    page = visit("/?query=script")
    expect(page.locator("#results .title").first).to_have_text(EVIL)
    page.locator("#results .star").nth(4).click()
    expect(page.locator("#latest .title")).to_have_text(EVIL)
    rate(page, 5)
    for path in ("/", "/list", "/ratings", "/items/66666", "/list?without=66666&of=50"):
        page.goto(path)
        assert page.locator("main script, main img, main i i").count() == 0


def test_the_first_view_is_small_and_nothing_is_loaded_from_other_sites(visit, address):
    page, seen = visit("about:blank"), []
    page.on("response", lambda answer: seen.append(answer))
    page.goto("/", wait_until="networkidle")
    assert len(seen) >= 4  # the page, its style and two scripts
    assert sum(len(answer.body()) for answer in seen) < 100_000
    five(page)
    for path in PAGES:
        page.goto(path)
    assert {answer.url.startswith(address) for answer in seen} == {True}


def test_the_list_is_animated_unless_reduced_motion_is_preferred(visit):
    count = "window.glides = 0; const was = Element.prototype.animate; Element.prototype.animate = function (...all) "
    count += "{ window.glides += 1; return was.apply(this, all); }"
    for motion, glides in (("no-preference", True), ("reduce", False)):
        page = visit("/how", reduced_motion=motion)
        page.add_init_script(count)
        page.goto("/")
        rate(page, 5)
        assert (page.evaluate("window.glides") > 0) == glides


def test_an_unreachable_service_shows_an_alert(visit):
    page = visit()
    page.route("**/rate", lambda route: route.abort())
    page.locator(".tile").first.locator(".star").first.click()
    expect(page.get_by_role("alert")).to_contain_text("does not respond")
    expect(page.locator("main")).not_to_have_attribute("aria-busy", "true")
