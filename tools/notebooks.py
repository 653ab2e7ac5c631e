"""Make the notebooks from the scripts in examples/, with their outputs on the sample: `python tools/notebooks.py`.

Needs the extra `examples`. Names of scripts, such as `01_the_recipe`, select the notebooks to make. `--check` writes
nothing: it runs the cells, compares their outputs with those in the notebooks, and exits with 1 if they differ.
"""

import os
import re
import sys
import tempfile
from difflib import unified_diff
from pathlib import Path
from typing import Any

import jupytext  # type: ignore[import-untyped]
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "examples"
LARGEST = 400_000
"""Maximum size of a notebook in bytes."""
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
TINY = 1e-6
"""Absolute values below this differ by rounding only."""


def run(script: Path) -> Any:
    """Run a script as a notebook, and return it with its outputs."""
    notebook = jupytext.read(script)
    with tempfile.TemporaryDirectory() as away:  # an example must not depend on the current folder
        where = {"metadata": {"path": away}}
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where, coalesce_streams=True).execute()
        if left := os.listdir(away):
            raise SystemExit(f"{script.name} leaves files behind: {', '.join(left)}")
    notebook.metadata = METADATA
    for number, cell in enumerate(notebook.cells, 1):
        cell["id"], cell["metadata"] = f"cell-{number:02}", {}
        for output in cell.get("outputs", ()):
            check(script, output)
    return notebook


def make(script: Path) -> Path:
    """Write the notebook next to its script."""
    path = script.with_suffix(".ipynb")
    jupytext.write(run(script), path, fmt="ipynb")
    if path.stat().st_size > LARGEST:
        raise SystemExit(f"{path.name} has {path.stat().st_size:,} bytes: draw smaller pictures.")
    return path


def differences(stored: Any, fresh: Any) -> list[str]:
    """Return the differences between the outputs of two runs; last digits and contents of pictures may differ."""
    told = []
    for number, (old, new) in enumerate(zip(stored.cells, fresh.cells, strict=True), 1):
        before, now = shown(old), shown(new)
        if len(before) != len(now) or not all(map(same, before, now)):
            told += unified_diff(before, now, f"cell {number}, stored", f"cell {number}, now", n=0)
    return told


def shown(cell: Any) -> list[str]:
    """Return the lines of text that a cell has printed, and a placeholder for each picture."""
    lines = []
    for output in cell.get("outputs", ()):
        data = output.get("data", {})
        text = "[picture]" if "image/png" in data else output.get("text", data.get("text/plain", ""))
        lines += text.splitlines(keepends=True)
    return lines


def same(stored: str, fresh: str) -> bool:
    """Return whether two lines are equal except for the last digits of decimals."""
    if stored == fresh:
        return True
    before, now = NUMBER.findall(stored), NUMBER.findall(fresh)
    return NUMBER.sub("#", stored) == NUMBER.sub("#", fresh) and all(map(close, before, now))


def close(stored: str, fresh: str) -> bool:
    """Return whether two printed numbers agree: integers exactly, decimals up to one unit of the last digit."""
    if stored == fresh:
        return True
    before, now = (float(text.replace(",", "")) for text in (stored, fresh))
    decimals = min(len(text.partition("e")[0].partition(".")[2]) for text in (stored, fresh))
    is_tiny = abs(before) < TINY and abs(now) < TINY and "e" in stored + fresh
    return is_tiny or (decimals > 0 and abs(before - now) <= 1.01 * 10.0**-decimals)


def check(script: Path, output: Any) -> None:
    """Raise `SystemExit` if an output contains a warning or a path on this machine."""
    if output.get("name") == "stderr":
        raise SystemExit(f"{script.name} prints to stderr:\n{output['text']}")
    text = str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
    for place in (str(FOLDER.parent), str(Path.home()), tempfile.gettempdir(), sys.prefix):
        if place + os.sep in text:
            raise SystemExit(f"{script.name} prints a path on this machine: {place}")


if __name__ == "__main__":
    os.environ.pop("MPLBACKEND", None)
    names = [word for word in sys.argv[1:] if word != "--check"]
    for script in sorted(FOLDER.glob("[0-9]*.py")):
        if names and script.stem not in names:
            continue
        if "--check" not in sys.argv:
            made = make(script)
            print(f"{made.name}: {made.stat().st_size / 1000:.0f} kB")
        elif found := differences(jupytext.read(script.with_suffix(".ipynb")), run(script)):
            raise SystemExit(f"{script.stem}: run python tools/notebooks.py\n{''.join(found)}")
