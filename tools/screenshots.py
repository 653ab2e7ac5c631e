"""Make pictures of every page on the bundled sample: `python tools/screenshots.py [folder]`.

Needs Chromium and the extra `test`; the default folder is build/screenshots. Each page is captured in light, dark and
forced colours, and in the sizes of a desktop, a phone and a large screen. Pages with stars are also captured with half
stars and for a catalogue without titles. `--docs` captures only the four pictures in docs/ and writes them there.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import half_stars
from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
GIVEN: dict[int, float] = {134: 5, 50: 4, 272: 5, 84: 1, 60: 4, 249: 2, 317: 5}
"""The visitor's ratings in the pictures: stars by movie id of the sample."""
HALVED: dict[int, float] = {134: 4.5, 50: 4, 272: 5, 84: 0.5, 60: 3.5, 249: 2, 317: 4.5}
"""The same ratings with half stars."""
PAGES = {
    "start": "/",
    "search": "/?query=godfahter",
    "list": "/list",
    "list-by-stars": "/list?by=rating&genres=Drama",
    "stars": "/ratings",
    "taste": "/taste",
    "item": "/items/61?audience",
    "map": "/map",
    "users": "/users",
    "user": "/users/300",
    "how": "/how",
    "problem": "/nowhere",
}
OTHERS = ("start", "search", "list", "stars", "item")
"""The pages that are also captured for the other data, with the prefixes `half-` and `ids-`."""
SCHEMES: dict[str, Any] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "forced": {"forced_colors": "active"},
}
SIZES = {"desk": (1280, 900), "phone": (360, 740), "wall": (3840, 2160)}
SHOWN = {"start": ("light", "desk"), "list": ("dark", "desk"), "item": ("light", "phone")}
SHOWN |= {"half-stars": ("light", "phone")}
"""The pictures in the documentation, each cut to its upper part."""
TOP: Any = {"x": 0, "y": 0, "height": 740}


def main() -> None:
    """Capture the pages with whole stars, then those of the other data."""
    words = [word for word in sys.argv[1:] if word != "--docs"]
    folder = Path(words[0]) if words else ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        halves = half_stars.write(Path(place) / "data")
        (ids := Path(place) / "ids").mkdir()
        shutil.copy(halves / "ratings.csv", ids)
        docs = "--docs" in sys.argv
        for data, prefix in (("sample", ""), (halves, "half-"), (ids, "ids-"))[: 2 if docs else 3]:
            with served(str(data), f"sqlite:///{place}/{prefix}store.db") as address:
                take(address, folder, prefix, docs=docs)
    print(f"{len(list(folder.glob('*.png')))} pictures in {folder}")


@contextmanager
def served(data: str, store: str) -> Iterator[str]:
    """Start a service on some data, yield its URL, and stop it."""
    command = [sys.executable, "-m", "reelated", "serve", "--data", data, "--port", "0"]
    env = os.environ | {"REELATED_STORE": store}
    service = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        told = next(line for line in service.stdout or () if "running at" in line)
        yield told.split()[4]
    finally:
        service.terminate()
        service.wait()


def take(address: str, folder: Path, prefix: str, *, docs: bool) -> None:
    """Capture all pages of one service."""
    program = os.environ.get("REELATED_TEST_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        how: Any = {"args": ["--no-sandbox"] if os.geteuid() == 0 else []}
        browser = playwright.chromium.launch(executable_path=program, **how)
        for scheme, colors in SCHEMES.items():
            for size, (width, height) in SIZES.items():
                if docs and (scheme, size) not in SHOWN.values():
                    continue
                context = browser.new_context(base_url=address, viewport={"width": width, "height": height}, **colors)
                page = context.new_page()
                page.goto("/")
                page.screenshot(path=folder / f"{prefix}newcomer-{scheme}-{size}.png")
                rate(page, HALVED if prefix else GIVEN)
                for name, path in PAGES.items():
                    if (prefix and name not in OTHERS) or (docs and SHOWN.get(prefix + name) != (scheme, size)):
                        continue
                    page.goto(path, wait_until="networkidle")
                    if name == "list":
                        page.locator("summary", has_text="How it adds up").first.click()
                    name = prefix + name
                    page.screenshot(path=folder / f"{name}-{scheme}-{size}.png", full_page=size != "wall")
                    if docs and SHOWN.get(name) == (scheme, size):
                        shown = small(page.screenshot(clip=TOP | {"width": width}))
                        shown.save(ROOT / "docs" / "images" / f"page-{name}.png", optimize=True)
                fall = re.sub("&amp;", "&", page.request.get("/list").text().partition('href="/list?without')[2])
                page.goto("/list?without" + fall.partition('"')[0])
                page.screenshot(path=folder / f"{prefix}fall-{scheme}-{size}.png")
                context.close()
        browser.close()


def small(picture: bytes) -> Image.Image:
    """Return a picture reduced to 256 colours, to save space; fewer would merge the colours of the posters."""
    how = {"method": Image.Quantize.MAXCOVERAGE, "dither": Image.Dither.NONE}  # keeps the rare accent colour
    return Image.open(io.BytesIO(picture)).convert("RGB").quantize(256, **how)


def rate(page: Page, given: dict[int, float]) -> None:
    """Rate as the visitor in the pictures did."""
    token = page.locator('input[name="token"]').first.get_attribute("value") or ""
    for item_id, stars in given.items():
        form = {"token": token, "item_id": str(item_id), "rating": f"{stars:g}", "back": "/how"}
        assert page.request.post("/rate", form=form).ok


if __name__ == "__main__":
    main()
