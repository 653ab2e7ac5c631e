"""The documentation builds as a site without a warning, has no dead link, and needs no network."""

import importlib.util
import inspect
import os
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from test_house import PUBLIC

PROJECT = Path(__file__).parents[1]
NAMED = re.compile(r"^\* `(reelated(?:\.\w+)+)`: (.*)$", re.MULTILINE)
NOT_FOR_CALLERS = ("reelated.similarity.", "typing.")
CHECKS = (
    "check_", "shorten", "plural", "show_bytes", "not_installed", "import_optional", "unknown_user", "no_",
    "library_errors",
)  # fmt: skip
"""The names of `reelated.errors` that serve Reelated's own messages."""
LINKED = {"canonical", "author", "license", "next", "prev"}
"""The relations of a `<link>` that load nothing."""


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site, built from the current documents; without its tools, skip the test, or fail if CI is true."""
    if any(importlib.util.find_spec(tool) is None for tool in ("sphinx", "furo", "myst_parser")):
        reason = "needs the extra docs, which `make docs` installs"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"{reason}, and CI=true requires")
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("docs") / "site"
    built = subprocess.run(
        [sys.executable, "tools/website.py", str(folder)],
        cwd=PROJECT, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return folder


class Page(HTMLParser):
    """The loads, the links and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.loads, self.leads, self.places, self.text = [], [], [], []
        self.inside = None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        self.inside = tag
        self.places += [given[name] for name in ("id", "name") if name in given]
        self.loads += css_loads(given.get("style", ""))
        if tag == "a":
            self.leads.append(given.get("href", "#"))
        elif tag == "link":
            self.loads += [] if given.get("rel") in LINKED else [given["href"]]
            self.leads += [given["href"]] if given.get("rel") in LINKED else []
        else:
            self.loads += [given[name] for name in ("src", "data", "poster", "href", "xlink:href") if name in given]
            self.loads += [part.split()[0] for part in given.get("srcset", "").split(",") if part.strip()]
            if tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
                self.leads.append(given["content"].partition("=")[2])
            if tag == "form":
                self.leads.append(given["action"])

    def handle_data(self, data):
        if self.inside == "style":
            self.loads += css_loads(data)
        elif self.inside != "script":
            self.text.append(data)


def css_loads(text):
    """Return the URLs that a style sheet loads."""
    found = re.findall(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""", text)
    return [one or other for one, other in found]


@cache
def page(path):
    return Page(path)


def pages(site):
    return sorted(site.rglob("*.html"))


def is_foreign(address):
    """Return whether a URL belongs to another origin; data URLs do not."""
    return bool(re.match(r"(?i)(?:[a-z][a-z0-9+.-]*:)?//|(?!data:)[a-z][a-z0-9+.-]*:", address.strip()))


def loads(path):
    """Return the URLs that a page, a style sheet or a picture loads."""
    if path.suffix == ".html":
        return page(path).loads
    text = path.read_text(encoding="utf-8")
    return css_loads(text) if path.suffix == ".css" else Page(path).loads


def test_loads_are_detected_in_every_kind_of_file(tmp_path):
    text = """<link rel="stylesheet" href="//a/b.css"><script src="https://a/c.js"></script>
    <img srcset="d.png 1x, http://a/e.png 2x">
    <style>@import "https://a/f.css"; p { background: url('https://a/g.png') }</style>
    <iframe src=HTTPS://a/h></iframe><p style="background:url(//a/i)"><link rel="next" href="j.html">
    <a href="https://a/k" id="l"></a><img src="data:image/png;m">"""
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    found = Page(tmp_path / "page.html")
    assert [load[-5:] for load in found.loads if is_foreign(load)] == [
        "b.css", "/c.js", "e.png", "f.css", "g.png", "//a/h", "//a/i",
    ]  # fmt: skip
    assert found.leads == ["j.html", "https://a/k"]
    assert found.places == ["l"]


def test_nothing_is_loaded_from_another_origin(site):
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".css", ".svg")]
    assert len(files) > 20
    assert {(path.name, load) for path in files for load in loads(path) if is_foreign(load)} == set()


def test_the_scripts_know_no_other_origin(site):
    """A script contains no URL except in comments and SVG namespaces, so it cannot load anything."""
    for path in site.rglob("*.js"):
        if path.name == "searchindex.js":  # the words of our own pages
            continue
        text = re.sub(r"(?ms)/\*.*?\*/|^\s*//[^\n]*", "", path.read_text(encoding="utf-8"))
        assert set(re.findall(r"(?:https?:)?//[\w-]+(?:\.[\w-]+)+[^\s\"'`]*", text)) <= {
            "http://www.w3.org/2000/svg"
        }, path


def test_every_internal_link_has_a_target(site):
    lost = []
    for path in pages(site):
        for address in {*page(path).leads, *page(path).loads}:
            if is_foreign(address) or address.startswith("data:"):
                continue
            name, place = urldefrag(address)
            target = (path.parent / unquote(name.split("?")[0])).resolve() if name else path
            inside = target.is_file() and target.is_relative_to(site)
            known = not place or target.suffix != ".html" or (inside and unquote(place) in page(target).places)
            lost += [] if inside and known and not name.startswith("/") else [(path.name, address)]
    assert lost == []


def test_external_links_are_few_and_plain(site):
    out = {lead for path in pages(site) for lead in page(path).leads if is_foreign(lead)}
    assert all(lead.startswith("https://") for lead in out)
    assert len(out) < 10, out


def test_every_document_and_every_example_is_a_page(site):
    wanted = {path.stem for path in (PROJECT / "docs").glob("*.md")} - {"start-here"}
    wanted |= {f"examples/{path.stem}" for path in (PROJECT / "examples").glob("*.ipynb")}
    there = {str(path.relative_to(site).with_suffix("")) for path in pages(site)}
    assert wanted <= there
    menu = {urldefrag(lead)[0] for lead in page(site / "index.html").leads}
    assert {f"{name}.html" for name in wanted} <= menu


def test_a_search_from_disk_finds_its_words_in_a_script(site):
    assert "Search.setIndex(" in (site / "searchindex.js").read_text(encoding="utf-8")
    assert "searchindex.js" in page(site / "search.html").loads


def test_the_reference_shows_every_public_name_and_its_methods(site):
    places = page(site / "reference.html").places
    names = [name for name, _ in NAMED.findall((PROJECT / "docs" / "reference.md").read_text(encoding="utf-8"))]
    assert [name for name in names if name not in places] == []
    wanted = "fit recommend recommend_batch audience similar predict explain find neighbors plan save load item_ids"
    assert [name for name in wanted.split() if f"reelated.Recommender.{name}" not in places] == []
    assert "reelated.ItemKNN.get_params" not in places


def test_the_site_uses_the_words_item_and_user_and_contains_no_local_path(site):
    for path in pages(site):
        text = " ".join(page(path).text)
        assert re.findall(r"(?i)\b(?:films?|viewers?|members?)\b", text) == [], path.name
        assert str(PROJECT) not in path.read_text(encoding="utf-8")


def test_the_reference_names_every_public_name_with_its_first_sentence():
    told = dict(NAMED.findall((PROJECT / "docs" / "reference.md").read_text(encoding="utf-8")))
    found = {name: at(name) for name in told}
    assert {name: inspect.getdoc(thing).split("\n\n")[0] for name, thing in found.items()} == told
    ours = {
        name: thing
        for name, thing in PUBLIC.items()
        if not name.startswith(NOT_FOR_CALLERS) and not name.removeprefix("reelated.errors.").startswith(CHECKS)
    }
    assert {name for name, thing in ours.items() if thing not in found.values()} == set()
    assert len(found) == len(ours)


def at(name):
    """Return the object with a dotted name."""
    room, _, own = name.rpartition(".")
    return getattr(importlib.import_module(room), own)


def test_every_row_of_a_table_is_one_line():
    for document in [*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("benchmarks/*.md")]:
        text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        assert re.findall(r"^\|.*[^|\s]\s*$", text, re.MULTILINE) == [], document
