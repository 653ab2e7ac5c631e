"""Make pictures of every page on the bundled sample: `python tools/screenshots.py [folder]`.

Needs Chromium and the extra `test`; the folder is build/screenshots unless another is named. Each page is taken in
light and dark, at a desk, on a phone and on a large screen; `--docs` makes the three anew that docs/ shows.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
GIVEN = {134: 5, 50: 4, 272: 5, 84: 1, 60: 4, 249: 2, 317: 5}
"""What the visitor in the pictures rated: stars by the sample's movie ids."""
PAGES = {
    "start": "/",
    "search": "/?query=godfahter",
    "list": "/list",
    "list-by-stars": "/list?by=rating&genres=Drama",
    "stars": "/ratings",
    "movie": "/movies/61?audience",
    "map": "/map",
    "users": "/users",
    "user": "/users/300",
    "how": "/how",
    "problem": "/nowhere",
}
SIZES = {"desk": (1280, 900), "phone": (360, 740), "wall": (3840, 2160)}
SHOWN = {"start": ("light", "desk"), "list": ("dark", "desk"), "movie": ("light", "phone")}
"""What the documentation shows, of each the upper part."""
TOP: Any = {"x": 0, "y": 0, "height": 740}


def main() -> None:
    """Start a service of our own, look at all of it, and end it."""
    words = [word for word in sys.argv[1:] if word != "--docs"]
    folder = Path(words[0]) if words else ROOT / "build" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "reelated", "serve", "--data", "sample", "--port", "0"]
        env = os.environ | {"REELATED_STORE": f"sqlite:///{place}/store.db"}
        service = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            told = next(line for line in service.stdout or () if "answers at" in line)
            take(told.split()[3].rstrip(","), folder, docs="--docs" in sys.argv)
        finally:
            service.terminate()
            service.wait()


def take(address: str, folder: Path, *, docs: bool) -> None:
    """Take all pictures."""
    program = os.environ.get("REELATED_TEST_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        how: Any = {"args": ["--no-sandbox"] if os.geteuid() == 0 else []}
        browser = playwright.chromium.launch(executable_path=program, **how)
        for scheme in ("light", "dark"):
            for size, (width, height) in SIZES.items():
                context = browser.new_context(
                    base_url=address, color_scheme=scheme, viewport={"width": width, "height": height}
                )
                page = context.new_page()
                page.goto("/")
                page.screenshot(path=folder / f"newcomer-{scheme}-{size}.png")
                rate(page)
                for name, path in PAGES.items():
                    page.goto(path, wait_until="networkidle")
                    if name == "list":
                        page.locator("summary", has_text="How it adds up").first.click()
                    page.screenshot(path=folder / f"{name}-{scheme}-{size}.png", full_page=size != "wall")
                    if docs and SHOWN.get(name) == (scheme, size):
                        shown = small(page.screenshot(clip=TOP | {"width": width}))
                        shown.save(ROOT / "docs" / "images" / f"page-{name}.png", optimize=True)
                fall = re.sub("&amp;", "&", page.request.get("/list").text().partition('href="/list?without')[2])
                page.goto("/list?without" + fall.partition('"')[0])
                page.screenshot(path=folder / f"fall-{scheme}-{size}.png")
                context.close()
        browser.close()
    print(f"{len(list(folder.glob('*.png')))} pictures in {folder}")


def small(picture: bytes) -> Image.Image:
    """Return a picture of few colours, which takes little room."""
    how = {"method": Image.Quantize.MAXCOVERAGE, "dither": Image.Dither.NONE}  # the rare accent stays
    return Image.open(io.BytesIO(picture)).convert("RGB").quantize(32, **how)


def rate(page: Page) -> None:
    """Rate as the visitor in the pictures did."""
    token = page.locator('input[name="token"]').first.get_attribute("value") or ""
    for movie_id, stars in GIVEN.items():
        form = {"token": token, "movie_id": str(movie_id), "rating": str(stars), "back": "/how"}
        assert page.request.post("/rate", form=form).ok


if __name__ == "__main__":
    main()
