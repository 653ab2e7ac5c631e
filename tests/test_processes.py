"""Processes around the library: Ctrl-C while it is loaded, forks, and the process of a refit."""

import subprocess
import sys

import pytest

from reelated.refit import __main__ as refit_process
from reelated.web.model_watcher import refit_environment

INTERRUPTED = """
import sys
sys.argv = ["reelated", "recommend", "sample", "--user", "300"]
class Interrupt:
    def find_spec(self, name, *_):
        if name == LIBRARY:
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupt())
from reelated.cli import main
main()
"""
FORKED = """
import os, reelated, polars as pl
table = {"user": [1, 1, 2, 2, 3], "item": [7, 8, 7, 9, 8], "stars": [1, 2, 3, 4, 5]}
data = None
def forked(work):
    if pid := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        work()
    except reelated.InputError as error:
        os._exit(7 if "was forked after" in str(error) else 8)
    except BaseException:
        os._exit(9)
    os._exit(0)
print(forked(lambda: reelated.read(table, scale=(1, 5, 1))))
data = reelated.read(table, scale=(1, 5, 1))
data.items.lazy().select(pl.all()).collect()
rec = reelated.Recommender(reelated.Popularity(), reelated.BiasModel()).fit(data)
print(*map(forked, [
    lambda: reelated.read(table), lambda: rec.fit(data), lambda: rec.load("model"), lambda: rec.audience(7),
    lambda: rec.audience_batch([7]),
]))
"""


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("library", ["numpy", "polars", "typer"])
def test_an_early_interrupt_of_the_command_ends_it_without_a_traceback(library):
    done = python(INTERRUPTED.replace("LIBRARY", repr(library)))
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.skipif(sys.platform != "linux", reason="threads are found in the process file system of Linux")
def test_a_fork_of_a_process_with_threads_of_polars_raises_an_error_instead_of_waiting_for_ever():
    done = python(FORKED)
    assert done.stderr == ""
    assert done.stdout.split() == ["0"] + ["7"] * 5


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "REELATED_MODELS: is not set"),
        (
            {"REELATED_MODELS": "models", "REELATED_INSTEAD_OF": "last"},
            "REELATED_INSTEAD_OF='last': expected the number",
        ),
    ],
)
def test_the_process_of_a_refit_reports_missing_variables(monkeypatch, variables, message):
    for name in ("REELATED_MODELS", "REELATED_INSTEAD_OF"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=message):
        refit_process.main()


def test_the_process_of_a_refit_does_not_get_the_key(monkeypatch):
    monkeypatch.setenv("REELATED_API_KEY", "correct horse battery")
    monkeypatch.setenv("REELATED_CACHE", "cache")
    environment = refit_environment(REELATED_STORE="x")
    assert "REELATED_API_KEY" not in environment
    assert (environment["REELATED_STORE"], environment["REELATED_CACHE"]) == ("x", "cache")
