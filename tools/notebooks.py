"""Make the notebooks from the scripts in examples/, with their outputs on the sample: `python tools/notebooks.py`.

Needs the extra `examples`. Names of scripts, such as `01_the_recipe`, make these alone.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import jupytext  # type: ignore[import-untyped]
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "examples"
LARGEST = 400_000
"""Bytes that a notebook may have."""
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


def make(script: Path) -> Path:
    """Run a script as a notebook and write it beside the script."""
    notebook = jupytext.read(script)
    with tempfile.TemporaryDirectory() as away:  # an example must not lean on the folder that it is run in
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": away}}).execute()
    notebook.metadata = METADATA
    for number, cell in enumerate(notebook.cells, 1):
        cell["id"], cell["metadata"] = f"cell-{number:02}", {}
        for output in cell.get("outputs", ()):
            check(script, output)
    path = script.with_suffix(".ipynb")
    jupytext.write(notebook, path, fmt="ipynb")
    if path.stat().st_size > LARGEST:
        raise SystemExit(f"{path.name} has {path.stat().st_size:,} bytes: draw smaller pictures.")
    return path


def check(script: Path, output: Any) -> None:
    """Stop where an output holds a warning or a place on this machine."""
    if output.get("name") == "stderr":
        raise SystemExit(f"{script.name} prints to stderr:\n{output['text']}")
    text = str(output.get("text", "")) + str(output.get("data", {}).get("text/plain", ""))
    for place in (str(FOLDER.parent), str(Path.home()), tempfile.gettempdir(), sys.prefix):
        if place + os.sep in text:
            raise SystemExit(f"{script.name} prints the name of a place on this machine: {place}")


if __name__ == "__main__":
    os.environ.pop("MPLBACKEND", None)
    scripts = sorted(FOLDER.glob("[0-9]*.py"))
    for script in scripts:
        if len(sys.argv) == 1 or script.stem in sys.argv[1:]:
            made = make(script)
            print(f"{made.name}: {made.stat().st_size / 1000:.0f} kB")
