"""The examples run on the sample, and each notebook is its script with the sample's outputs."""

import base64
import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import notebooks
import pytest

PROJECT = Path(__file__).parents[1]
SCRIPTS = sorted((PROJECT / "examples").glob("[0-9]*.py"))
MARKER = re.compile(r"^# %%(?P<kind> \[markdown\])?$")
PLACES = re.compile(r"/(?:home|root|Users|tmp|work|var|opt|private)/|[A-Z]:\\\\|site-packages|\.venv")
LICENSED = re.compile(r"MovieLens 100K: |MovieLens 1M: |ml-1m|ml-latest|ratings by 943 users|1,682 items")
SAMPLE = "Reelated sample (simulated ratings)"
SIMULATED = ("06_purchases",)
"""Examples on data that they simulate themselves."""


def cells_of(script):
    """Return the kind and the text of every cell of a `# %%` script."""
    cells = []
    for line in script.read_text(encoding="utf-8").splitlines():
        if found := MARKER.match(line):
            cells.append(("markdown" if found["kind"] else "code", []))
        else:
            cells[-1][1].append(re.sub(r"^# ?", "", line) if cells[-1][0] == "markdown" else line)
    return [(kind, "\n".join(lines).strip()) for kind, lines in cells]


def notebook_of(script):
    """Return the notebook of a script."""
    return json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))


def printed(notebook):
    """Return the text output of a notebook's cells, without pictures."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    texts = [output.get("text", output.get("data", {}).get("text/plain", "")) for output in outputs]
    return "\n".join("".join(text) for text in texts)


@pytest.fixture(params=SCRIPTS, ids=lambda script: script.stem)
def script(request):
    return request.param


def test_the_examples_are_numbered_from_one():
    assert [script.name[:2] for script in SCRIPTS] == [f"{number:02}" for number in range(1, len(SCRIPTS) + 1)]
    assert len(SCRIPTS) >= 5


def test_an_example_starts_with_the_name_of_the_data(script):
    kinds = cells_of(script)
    first = next(text for kind, text in kinds if kind == "code")
    assert first.startswith('SOURCE = "sample"  # or "ml-100k"') or script.stem in SIMULATED
    assert kinds[0][0] == "markdown"
    assert kinds[0][1].startswith("# ")
    assert SAMPLE in printed(notebook_of(script)) or script.stem in SIMULATED


def test_a_notebook_is_made_from_its_script(script):
    cells = [(cell["cell_type"], "".join(cell["source"]).strip()) for cell in notebook_of(script)["cells"]]
    assert cells == cells_of(script), "run: python tools/notebooks.py"


def test_a_notebook_was_executed_in_order(script):
    counts = [cell["execution_count"] for cell in notebook_of(script)["cells"] if cell["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_the_output_of_a_notebook_is_current(script, tmp_path):
    """Texts must agree up to the last digit of decimals, which may differ between processors; pictures must exist.

    A warning, or a file that the example leaves behind, is an error too.
    """
    own = {name: str(tmp_path) for name in ("REELATED_CACHE", "MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR")}
    done = subprocess.run(
        [sys.executable, "tools/notebooks.py", "--check", script.stem],
        cwd=PROJECT, env=os.environ | own | {"PYTHONIOENCODING": "utf-8"}, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_changed_output_is_detected():
    stored = jupytext.read(SCRIPTS[0].with_suffix(".ipynb"))
    assert notebooks.differences(stored, copy.deepcopy(stored)) == []
    text = next(o for cell in stored.cells for o in cell.get("outputs", ()) if o["output_type"] == "stream")
    changed = copy.deepcopy(stored)
    next(o for cell in changed.cells for o in cell.get("outputs", ()) if o is not text)["text"] = "nothing\n"
    assert any("+nothing" in line for line in notebooks.differences(stored, changed))
    without = copy.deepcopy(stored)
    picture = next(
        cell for cell in without.cells if any("image/png" in o.get("data", {}) for o in cell.get("outputs", ()))
    )
    picture["outputs"] = []
    assert "-[picture]" in notebooks.differences(stored, without)


@pytest.mark.parametrize(
    ("stored", "fresh", "same"),
    [
        ("RMSE 0.812", "RMSE 0.813", True),
        ("RMSE 0.812", "RMSE 0.814", False),
        ("largest difference: 4e-16", "largest difference: 0e+00", True),
        ("largest difference: 4e-16", "largest difference: 2e-03", False),
        ("1,234 ratings", "1,235 ratings", False),
        ("1  Alien  0.312", "1  Aliens  0.312", False),
        ("±0.004", "±0.005", True),
    ],
)
def test_only_the_last_digit_of_decimals_may_differ(stored, fresh, same):
    assert notebooks.same(stored, fresh) == same


def test_a_notebook_has_small_pictures_and_no_error(script):
    outputs = [output for cell in notebook_of(script)["cells"] for output in cell.get("outputs", ())]
    assert {output["output_type"] for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert {output["name"] for output in outputs if output["output_type"] == "stream"} == {"stdout"}
    pictures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert pictures
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)
    assert script.with_suffix(".ipynb").stat().st_size < 400_000


def test_a_notebook_contains_no_local_path_and_no_time(script):
    notebook = notebook_of(script)
    assert not PLACES.search(printed(notebook))
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert "version" not in notebook["metadata"]["language_info"]
    assert all(cell["metadata"] == {} for cell in notebook["cells"])


def test_a_notebook_contains_no_licensed_data(script):
    text = printed(notebook_of(script))
    assert not LICENSED.search(text)
    if script.stem in SIMULATED:
        return
    assert SAMPLE in text
    source = next(cell for cell in notebook_of(script)["cells"] if cell["cell_type"] == "code")
    assert 'SOURCE = "sample"' in "".join(source["source"])


def test_the_examples_use_the_words_movie_and_user(script):
    prose = "\n".join(text for kind, text in cells_of(script) if kind == "markdown")
    assert not re.search(r"\b(films?|members?|viewers?|items?)\b(?!-based)", prose, re.IGNORECASE)
