"""Build the documentation site from docs/, the examples and the docstrings: `python tools/website.py [folder]`.

Needs the extra `docs`. The sources of the site are first written to a folder next to it. Links to files of the
repository become links to their pages, notebooks become pages, and docstrings replace the names in docs/reference.md.
Every warning is an error.
"""

import base64
import importlib
import inspect
import json
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
HOME = "docs/start-here.md"
CHAPTERS = {
    "Guide": [
        "Start here <self>",
        *("tutorial", "your-data", "events", "not-movies", "which-setting", "evaluation", "how-it-works", "engine"),
        *("service", "page", "running", "spark"),
    ],
    "Reference": ["python", "cli", "reference"],
    "Examples": sorted(f"examples/{path.stem}" for path in (ROOT / "examples").glob("[0-9]*.ipynb")),
    "Measured": ["accuracy", "measures", "ratings", "speed", "benchmarks", "tried"],
    "Project": ["contributing", "releasing", "changelog", "security"],
}
"""The pages in the order of the menu."""
BLOCK_OR_LINK = re.compile(r"^(`{3,}).*?^\1$|(?<=\]\()([^)\s#]+)(?=[)#])", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^\* `(reelated(?:\.\w+)+)`: .*$\n?", re.MULTILINE)
CSV = re.compile(r'^```csv title="([^"]+)"\n', re.MULTILINE)


def pages() -> dict[str, str]:
    """Return the path in the site of each file of the repository."""
    documents = {f"docs/{path.name}": path.name for path in sorted((ROOT / "docs").glob("*.md"))}
    examples = {f"{name}.ipynb": f"{name}.md" for name in CHAPTERS["Examples"]}
    project = {name: name.lower() for name in ("CONTRIBUTING.md", "RELEASING.md", "CHANGELOG.md", "SECURITY.md")}
    measured = {"benchmarks/README.md": "benchmarks.md", "benchmarks/tried.md": "tried.md"}
    return documents | examples | project | measured | {HOME: "index.md", "README.md": "index.md"}


def lay_out(folder: Path) -> None:
    """Write the sources of the site."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "examples").mkdir(parents=True)
    shutil.copytree(ROOT / "docs" / "images", folder / "images")
    places = pages()
    for name, place in places.items():
        if name == "README.md":  # the first page of the site replaces it
            continue
        path = ROOT / name
        text = notebook(path, folder / place) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
        text = linked(text, name, places)
        text = CSV.sub(r"```{code-block} csv\n:caption: \1\n\n", text)
        text = with_docstrings(text) if name == "docs/reference.md" else text
        text = text + menu() if name == HOME else text
        (folder / place).write_text(text, encoding="utf-8")


def linked(text: str, name: str, places: dict[str, str]) -> str:
    """Replace the links of a page to files of the repository by links to their pages; code blocks are not changed."""

    def link(match: re.Match[str]) -> str:
        if match[1] or ":" in match[2]:
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[2]))
        if target not in places:  # a file next to the page; the build fails if it is missing
            return match[2]
        return posixpath.relpath(places[target], posixpath.dirname(places[name]) or ".")

    return BLOCK_OR_LINK.sub(link, text)


def menu() -> str:
    """Return the menu, which is part of the first page."""
    parts = [f"```{{toctree}}\n:hidden:\n:caption: {name}\n\n" + "\n".join(names) for name, names in CHAPTERS.items()]
    return "".join(f"\n{part}\n```\n" for part in parts)


# ------------------------------------------------------------------------------------------------------- notebooks
def notebook(path: Path, place: Path) -> str:
    """Return a notebook as a page; write its pictures next to the page, and copy the notebook and its script there."""
    for suffix in (".py", ".ipynb"):
        shutil.copy(path.with_suffix(suffix), place.parent)
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    first, *rest = ["\n\n".join(cell_text(cell, number, place)) for number, cell in enumerate(cells)]
    title, _, after = first.partition("\n")
    told = f"To run it yourself: [the notebook](./{path.name}) or [the script](./{path.stem}.py)."
    return "\n\n".join([title, told, after.strip(), *rest]) + "\n"


def cell_text(cell: dict[str, Any], number: int, place: Path) -> Iterator[str]:
    """Yield the source of a cell and its outputs."""
    source = "".join(cell["source"])
    yield source if cell["cell_type"] == "markdown" else f"````python\n{source}\n````"
    for at, output in enumerate(cell.get("outputs", ())):
        if picture := output.get("data", {}).get("image/png"):
            name = f"{place.stem}-{number}-{at}.png"
            (place.parent / name).write_bytes(base64.b64decode("".join(picture)))
            yield f"![What the code above draws]({name})"
        else:
            text = "".join(output.get("text", output.get("data", {}).get("text/plain", "")))
            yield f"````text\n{text.rstrip()}\n````"


# ------------------------------------------------------------------------------------------------------- reference
def with_docstrings(text: str) -> str:
    """Return the reference with each name replaced by its docstring."""
    return NAMED.sub(lambda match: directive(match[1]), text)


def directive(name: str) -> str:
    """Return the Sphinx directive for a public name; a class includes its public methods."""
    room, _, own = name.rpartition(".")
    thing = getattr(importlib.import_module(room), own)
    kind = "function" if inspect.isfunction(thing) else "exception" if issubclass(thing, BaseException) else "class"
    ours = [
        method
        for method, member in inspect.getmembers(thing)
        if not method.startswith("_") and (isinstance(member, property) or is_ours(member))
    ]
    members = f"   :members: {', '.join(ours)}\n" if kind == "class" and ours else ""
    return f"```{{eval-rst}}\n.. auto{kind}:: {name}\n{members}```\n"


def is_ours(member: object) -> bool:
    """Return whether a member of a class is a method of Reelated, except those of every estimator."""
    module = str(getattr(member, "__module__", ""))
    return inspect.isroutine(member) and module.startswith("reelated") and module != "reelated.models.estimator"


# ----------------------------------------------------------------------------------------------------------- build
def build(folder: Path) -> int:
    """Build the site into a folder; return the exit code."""
    sources = folder.parent / f"{folder.name}-sources"
    lay_out(sources)
    shutil.rmtree(folder, ignore_errors=True)
    options = ["-q", "-W", "--keep-going", "-E", "-b", "html", "-c", str(ROOT / "docs" / "site")]
    kept = ["-d", str(folder.parent / f"{folder.name}-doctrees")]
    command = [sys.executable, "-m", "sphinx", *options, *kept, str(sources), str(folder)]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    site = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "site").resolve()
    if code := build(site):
        sys.exit(code)
    print(f"The site is in {site}: open {site / 'index.html'}")
