"""The whole visit in a browser: ten ratings, the list, a reason, a movie, the map, the taste, its link, and erasing."""

import os
import re
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

WAYS = {
    "mouse at a desk": {"viewport": {"width": 1280, "height": 900}},
    "touch on a phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True},
    "keyboard at a desk": {"viewport": {"width": 1280, "height": 900}},
    "touch on a small phone": {"viewport": {"width": 320, "height": 568}, "has_touch": True},
}
expect.set_options(timeout=20_000)  # a busy machine
STARS = (5, 4, 1, 5, 2, 3, 4, 5, 2, 4)


@pytest.fixture(params=["chromium", "firefox"])
def browser(request):
    """Chromium, or a Firefox that Playwright can drive."""
    if request.param == "chromium":
        yield request.getfixturevalue("chromium")
        return
    program = os.environ.get("REELATED_TEST_FIREFOX")
    if not program or shutil.which(program) is None:
        pytest.skip("needs Playwright's build of Firefox (playwright install firefox) in REELATED_TEST_FIREFOX")
    with sync_playwright() as playwright:
        started = playwright.firefox.launch(executable_path=program)
        yield started
        started.close()


class Hand:
    """Uses a page by mouse, touch or keyboard."""

    def __init__(self, page, way):
        self.page, self.way = page, way

    def use(self, element):
        """Click, tap, or focus and press Enter."""
        element.scroll_into_view_if_needed()
        if self.way.startswith("touch"):
            element.tap()
        elif self.way.startswith("keyboard"):
            element.focus()
            self.page.keyboard.press("Enter")
        else:
            element.click()

    def rate(self, stars):
        """Rate the first tile, and leave it."""
        page, tile = self.page, self.page.locator(".tile:not(.rated)").first
        key = tile.get_attribute("data-key")
        if self.way.startswith("keyboard"):
            tile.locator(".star").first.focus()
            page.keyboard.press(str(stars))
            page.keyboard.press("Tab")
        else:
            self.use(tile.locator(".star").nth(stars - 1))
            self.leave()
        expect(page.locator(f'.tile[data-key="{key}"]')).to_have_count(0)

    def leave(self):
        """Move the pointer away; a tapped element counts as hovered until something else is tapped."""
        if self.way.startswith("touch"):
            self.page.locator("#to-rate-title").tap()
        else:
            self.page.mouse.move(0, 0)


def fits(page):
    """Return whether nothing is wider than the screen."""
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("way", WAYS)
def test_a_visitor_walks_through_all_pages(browser, address, way):
    context = browser.new_context(base_url=address, reduced_motion="reduce", **WAYS[way])
    context.set_default_timeout(20_000)
    page, trouble = context.new_page(), []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    hand = Hand(page, way)
    page.goto("/")
    assert page.locator(".examples a").count() >= 2
    for stars in STARS:
        hand.rate(stars)
    expect(page.locator("progress")).to_have_attribute("value", "10")
    assert fits(page)

    hand.use(page.get_by_role("link", name="Your list", exact=True))
    expect(page.locator("#rows > li")).to_have_count(10)
    expect(page.locator("#rows .why").first).to_contain_text("Because you rated")
    expect(page.locator("#rows .score b").first).to_be_visible()
    hand.use(page.locator("summary", has_text="How it adds up").first)
    hand.use(page.get_by_role("link", name="Without this").first)
    expect(page.locator("#rank-change")).to_contain_text("Without your rating of")
    hand.use(page.get_by_role("link", name="Undo", exact=True))
    expect(page.locator("#rank-change")).to_have_count(0)
    assert fits(page)

    hand.use(page.locator("#rows .title").first)
    expect(page.get_by_role("heading", name="Similar movies")).to_be_visible()
    expect(page.locator(".verdict")).to_contain_text("We think you would rate it")
    assert fits(page)

    hand.use(page.get_by_role("link", name="Map", exact=True))
    expect(page.locator("canvas[data-ready]")).to_be_visible()
    page.get_by_label("Find a movie on the map").press_sequentially("star wasr")
    hand.use(page.locator("#results a.title").first)
    expect(page.locator("#selected h2")).to_contain_text("Star Wars")
    assert fits(page)

    hand.use(page.get_by_role("link", name="Your taste", exact=True))
    expect(page.locator("main .lead")).to_contain_text("10 movies")
    expect(page.get_by_role("heading", name="The movies that say most")).to_be_visible()
    assert fits(page)
    hand.use(page.get_by_role("link", name="Open the page to share"))
    expect(page).to_have_url(re.compile(r"/shared\?r="))
    shared = page.url
    expect(page.get_by_role("heading", name="A taste in movies")).to_be_visible()

    hand.use(page.get_by_role("link", name="How it works", exact=True))
    hand.use(page.get_by_text("Erase everything about me"))
    hand.use(page.get_by_role("button", name="Erase it all now"))
    expect(page.get_by_text("All data about you has been erased.")).to_be_visible()
    page.goto("/ratings")
    expect(page.locator("main")).to_contain_text("You have not rated anything yet.")
    page.goto(shared)  # the link holds the ratings
    expect(page.locator("main .lead")).to_contain_text("10 movies")
    context.close()
    assert trouble == []
