"""The documentation is correct: its code and commands run and print the output that it shows.

Blocks of a file run in order, in one empty folder. A ```text block after a ```python block is its output; in a
```console block, lines after a command are its output; a ```csv title="name" or ```json block is a file. To update
the outputs in the documents: `python tests/test_docs.py`.
"""

import inspect
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
import warnings
from contextlib import chdir, contextmanager, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import pytest
import typer
from typer.testing import CliRunner

import reelated
from reelated.cli.commands import app
from reelated.errors import DataWarning

PROJECT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", *sorted(f"docs/{path.name}" for path in (PROJECT / "docs").glob("*.md")))
EVERY = (*DOCUMENTS, "CHANGELOG.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md")
WIDTH = "96"
NOT_RUN = {
    "reelated serve": "answers until it is stopped",
    "reelated fetch": "needs the network or an archive",
    "reelated recommend ml-": "needs MovieLens in the cache",
    "reelated evaluate ml-": "needs MovieLens in the cache",
    "reelated evaluate amazon-book": "needs the files of the split",
    "reelated fit large.parquet": "needs a cluster",
    "reelated batch large.model": "needs a cluster",
}
SEARCH = re.compile(r"^\$ reelated tune", re.MULTILINE)
"""Shows the settings that Optuna proposes; from the same seed, another version proposes others."""
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = typer.main.get_command(app)


def rewritten(text):
    """Run a document in the current folder and return it with current outputs."""
    names, printed = {"__name__": "__docs__"}, None

    def block(match):
        nonlocal printed
        language, info, body = match[1], match[2], match[3]
        if language == "python":
            printed = python(body, names)
        elif language == "text" and printed is not None:
            body, printed = printed, None
        elif language in ("console", "sh"):
            body = commands(body)
        elif language in ("csv", "json") and (title := re.search(r'title="([\w.-]+)"', info)):
            Path(title[1]).write_text(body, encoding="utf-8")
        return f"```{language}{info}\n{body}```"

    return BLOCK.sub(block, text)


@contextmanager
def told_otherwise():
    """Do not turn warnings about changed data into errors: some blocks show them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        yield


def python(body, names):
    """Run a block and return its output."""
    with redirect_stdout(io.StringIO()) as out, told_otherwise():
        exec(compile(body, "<document>", "exec"), names)
    return out.getvalue()


def commands(body):
    """Run the `reelated` lines of a block; replace the shown outputs by current ones."""
    lines, asked, shown = [], None, False

    def answer():
        if asked is not None:
            output = run(asked)
            lines.extend(output.splitlines() if shown else [])

    for line in body.splitlines():
        if line.startswith("$ " if body.startswith("$ ") else ("reelated ", "make ", "pip ")):
            answer()
            asked, shown = line.removeprefix("$ "), False
            lines.append(line)
        elif body.startswith("$ "):
            shown = True
        else:
            lines.append(line)
    answer()
    return "".join(f"{line}\n" for line in lines)


def run(line):
    """Run one command in this process and return its output; empty for a skipped command."""
    line = line.split("  #")[0]
    if not line.startswith("reelated") or any(line.startswith(start) for start in NOT_RUN):
        return ""
    with told_otherwise():
        result = CliRunner().invoke(app, shlex.split(line)[1:])
    assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"
    return "\n".join(part.rstrip() for part in result.stdout.rstrip("\n").splitlines())


def rewritten_in(name, folder):
    with chdir(folder), mock.patch.dict(os.environ, {"COLUMNS": WIDTH}):
        os.environ.pop("FORCE_COLOR", None)
        return rewritten((PROJECT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_output_in_a_document_is_current(name, tmp_path):
    if SEARCH.search((PROJECT / name).read_text(encoding="utf-8")) and int(version("optuna").split(".")[0]) < 5:
        pytest.skip("shows the settings that Optuna 5 proposes")
    assert rewritten_in(name, tmp_path) == (PROJECT / name).read_text(encoding="utf-8"), (
        "the answers have changed: look at them, then run python tests/test_docs.py"
    )


def test_a_wrong_output_in_a_document_is_detected(tmp_path):
    with chdir(tmp_path):
        text = "```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n"
        assert rewritten(text) == text.replace("3", "2")
        text = f"```console\n$ reelated --version\nreelated {reelated.__version__}\n```\n"
        assert rewritten(text.replace(reelated.__version__, "0")) == text


def test_a_failing_command_in_a_document_is_detected(tmp_path):
    with chdir(tmp_path), pytest.raises(AssertionError, match="--nothing"):
        rewritten("```sh\nreelated recommend sample --nothing\n```\n")


def test_the_list_of_skipped_commands_is_current():
    texts = "".join((PROJECT / name).read_text(encoding="utf-8") for name in DOCUMENTS)
    assert [start for start in NOT_RUN if start not in texts] == []


def sections(text):
    """Return the text under each `## ` heading of a document, by heading."""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def options_of(command):
    """Return all options of a command and its subcommands except help."""
    every = [command, *getattr(command, "commands", {}).values()]
    named = [name for one in every for option in one.params for name in (*option.opts, *option.secondary_opts)]
    return {name for name in named if name.startswith("-")} - {"-h", "--help"}


def options_in(text):
    """Return the options in backquotes outside of code blocks."""
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", " ".join(re.findall(r"`([^`]+)`", BLOCK.sub("", text)))))


@pytest.mark.parametrize("name", [*COMMANDS.commands])
def test_the_terminal_page_lists_every_option_of(name):
    found = sections((PROJECT / "docs" / "cli.md").read_text(encoding="utf-8"))
    text, shared = found[f"`reelated {name}`"], found["How to read SOURCE, and which model"]
    asked = options_of(COMMANDS.commands[name])
    is_shared = "(#how-to-read-source-and-which-model)" in text
    assert asked - options_in(text) - (options_in(shared) if is_shared else set()) == set()
    assert is_shared == ("--preset" in asked)


def test_the_terminal_page_lists_no_unknown_option():
    text = (PROJECT / "docs" / "cli.md").read_text(encoding="utf-8")
    known = set().union(*map(options_of, COMMANDS.commands.values()), options_of(COMMANDS), {"-h", "--help"})
    assert options_of(COMMANDS) <= options_in(text)
    assert options_in(text) - known == set()
    assert {name for name in sections(text) if name.startswith("`")} == {f"`reelated {c}`" for c in COMMANDS.commands}


def test_the_page_of_settings_has_only_measured_figures():
    text = (PROJECT / "docs" / "which-setting.md").read_text(encoding="utf-8")
    figures = set(re.findall(r"\b\d\.\d{3}\b|\b\d+%", BLOCK.sub("", text)))
    measured = (PROJECT / "docs" / "measures.md").read_text(encoding="utf-8")
    assert figures
    assert {figure for figure in figures if f"| {figure} " not in measured} == set()


def test_the_page_of_settings_names_all_settings():
    text = (PROJECT / "docs" / "which-setting.md").read_text(encoding="utf-8")
    settings = [*reelated.ItemKNN().get_params(), *inspect.signature(reelated.Recommender).parameters]
    assert [name for name in settings if not re.search(rf"`[^`]*\b{name}\b[^`]*`", text)] == []
    shared = sections((PROJECT / "docs" / "cli.md").read_text(encoding="utf-8"))["How to read SOURCE, and which model"]
    assert [name for name in reelated.ItemKNN().get_params() if f"`{name}`" not in shared] == []


def anchor(heading):
    """Return the anchor of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", EVERY)
def test_links_have_existing_targets(name):
    text = (PROJECT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", text)
    for link in filter(None, (a or b for a, b in links)):
        if link.startswith("https://"):
            continue
        path, _, place = link.partition("#")
        target = (PROJECT / name).parent / path if path else PROJECT / name
        assert target.exists(), link
        if place:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert place in map(anchor, headings), link


@pytest.mark.parametrize("name", EVERY)
def test_a_document_uses_the_words_item_and_user(name):
    text = (PROJECT / name).read_text(encoding="utf-8")
    assert re.findall(r"(?i)\b(?:films?|viewers?|members?)\b", text) == []


def test_the_readme_names_the_two_commands():
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert "make demo" in text
    assert "make test" in text
    assert "pip install ." in text


def test_how_to_contribute_is_short():
    assert len((PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) < 140


@pytest.mark.parametrize("name", ["light", "dark"])
def test_a_picture_of_the_terminal_loads_nothing(name):
    text = (PROJECT / "docs" / "images" / f"terminal-{name}.svg").read_text(encoding="utf-8")
    assert re.findall(r"(?i)https?:[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"(?i)@import|@font-face|<script|<image|<use|href=|url\((?!#)", text)


def test_the_pictures_show_what_the_terminal_prints(tmp_path):
    """Run in a separate process, because drawing a picture replaces the terminal's console."""
    told = "import sys; sys.path.insert(0, 'tools'); import terminal_picture as t; print(t.picture(t.LIGHT))"
    made = subprocess.run([sys.executable, "-c", told], cwd=PROJECT, capture_output=True, encoding="utf-8", check=False)
    assert made.returncode == 0, made.stderr
    kept = (PROJECT / "docs" / "images" / "terminal-light.svg").read_text(encoding="utf-8")
    assert words(made.stdout) == words(kept), "look at it, then run python tools/terminal_picture.py"


def words(svg):
    return re.findall(r">([^<>]+)</text>", svg)


def update():
    """Write current outputs into the documents."""
    os.environ["REELATED_CACHE"] = tempfile.mkdtemp()
    os.environ["REELATED_STORE"] = f"sqlite:///{tempfile.mkdtemp()}/store.db"
    for name in DOCUMENTS:
        (PROJECT / name).write_text(rewritten_in(name, tempfile.mkdtemp()), encoding="utf-8")


if __name__ == "__main__":
    update()
