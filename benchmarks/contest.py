"""One contest: all contenders on one matrix, taking turns so that noise hits all alike."""

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import scipy.sparse as sp

import agreement
import data
from environments import CannotInstall, python_of
from process import Failed, Process
from worker import load

NEIGHBORS, N = 100, 10
CALLERS = 300
"""Users whose lists are asked for one at a time."""


class Terms(NamedTuple):
    """What a contest is about; without `environments` all run in this one and compiled code is not measured."""

    data: str
    contenders: tuple[str, ...]
    works: tuple[str, ...]
    threads: int
    rounds: int
    environments: bool = True


Told = dict[str, dict[str, Any]]


def contest(terms: Terms) -> Told:
    """Return for each contender its version, notes and works with their times, or why it was skipped."""
    told: Told = {}
    folder, small = data.matrix(terms.data), data.matrix("small")
    running: dict[str, Process] = {}
    try:
        for name in terms.contenders:
            told[name] = {}
            _start(name, terms, (folder, small), running, told)
        _rounds(running, terms, folder, told)
        _check(running, folder, told)
    finally:
        for process in running.values():
            process.close()
    return told


def interpreter(name: str, terms: Terms) -> Path:
    """Return the contender's own interpreter, or this one."""
    return python_of(name) if terms.environments else Path(sys.executable)


def _start(name: str, terms: Terms, folders: tuple[Path, Path], running: dict[str, Process], told: Told) -> None:
    """Start a contender, warm it on the small matrix and hand it the data."""
    try:
        python = interpreter(name, terms)
        running[name] = process = Process(python, "worker.py", terms.threads, name, cold=terms.environments)
        about = process.ask("hello")
        works = [work for work in about.pop("works") if _wanted(work, terms)]
        told[name] |= about
        process.ask("load", folder=str(folders[1]))
        told[name] |= process.ask("warm", works=works, n_neighbors=NEIGHBORS, n=N)
        process.ask("load", folder=str(folders[0]))
        told[name]["works"] = {work: {"seconds": []} for work in works}
    except (CannotInstall, Failed) as reason:
        _skip(name, str(reason), running, told)


def _wanted(work: str, terms: Terms) -> bool:
    """Say whether a work is asked for; the plain fit always is, for the others rest on it."""
    return not terms.works or work == "fit" or work.split()[0] in terms.works


def _skip(name: str, reason: str, running: dict[str, Process], told: Told) -> None:
    """Leave a contender out, with its reason."""
    print(f"  {name}: skipped, {reason}", flush=True)
    told[name]["skipped"] = reason
    if name in running:
        running.pop(name).close()


def _rounds(running: dict[str, Process], terms: Terms, folder: Path, told: Told) -> None:
    """Let all contenders do each work once a round; plain fits come first, for the others rest on them."""
    users = agreement.sample(data.about(folder)["shape"][0], CALLERS).tolist()
    order = ["fit", *sorted({work for one in told.values() for work in one.get("works", {})} - {"fit"})]
    for kind in dict.fromkeys(work.split()[0] for work in order):
        works = [work for work in order if work.split()[0] == kind]
        for number in range(terms.rounds + 1):  # the first is for memory, and for warming up on this size
            for name in list(running):
                for work in (work for work in works if work in told[name]["works"]):
                    _turn(name, {"work": work, "users": users, "memory": number == 0}, running, told)


def _turn(name: str, question: dict[str, Any], running: dict[str, Process], told: Told) -> None:
    """Let one contender do one work once."""
    if name not in running:
        return
    try:
        answer = running[name].ask("work", **question, n_neighbors=NEIGHBORS, n=N)
    except Failed as reason:
        if running[name].alive and question["work"] != "fit":  # the others do not rest on it
            told[name]["works"].pop(question["work"])
            told[name].setdefault("without", {})[question["work"]] = str(reason)
        else:
            _skip(name, f"{question['work']}: {reason}", running, told)
        return
    place = told[name]["works"][question["work"]]
    if not question["memory"]:
        place["seconds"].append(answer["seconds"])
        print(f"  {name:16} {question['work']:22} {answer['seconds']:.6f} s", flush=True)
    elif answer.get("peak") is not None:
        place["peak"] = answer["peak"]
        print(f"  {name:16} {question['work']:22} {answer['peak'] / 1e6:,.0f} MB", flush=True)


def _check(running: dict[str, Process], folder: Path, told: Told) -> None:
    """Compare neighbours with float64 and lists with their own formula; sum up the rounds."""
    X = load(str(folder))
    rows = agreement.sample(X.shape[1])
    for measure in ("cosine", "binary"):
        names = [name for name in running if told[name]["reference"] == measure and "fit" in told[name]["works"]]
        if names:
            wanted = agreement.reference(X, rows, binary=measure == "binary")
        for name in names:
            try:
                told[name]["works"]["fit"]["agreement"] = _neighbors(running[name], rows, wanted)
            except Failed as reason:
                _skip(name, f"its neighbours: {reason}", running, told)
    for name in list(running):
        try:
            if "everyone" in told[name]["works"]:
                told[name]["works"]["everyone"]["agreement"] = running[name].ask("check_lists", n=N)
        except Failed as reason:
            _skip(name, f"its lists: {reason}", running, told)
        for work in told[name]["works"].values():
            work["median"] = statistics.median(work["seconds"])


def alone(terms: Terms) -> Told:
    """Return what only Reelated is asked: the way from Parquet to a saved model, and a fit's stages."""
    folder, small = str(data.matrix(terms.data)), str(data.matrix("small"))
    process = Process(interpreter("reelated", terms), "ours.py", terms.threads)
    try:
        stages = process.ask("stages", folder=folder, small=small, n_neighbors=NEIGHBORS, rounds=terms.rounds)
        tables = {"parquet": str(data.parquet(terms.data)), "small": str(data.parquet("small"))}
        return {"stages": stages, "journey": process.ask("journey", **tables, rounds=terms.rounds)}
    except Failed as reason:
        return {"failed": {"reason": str(reason)}}
    finally:
        process.close()


def _neighbors(process: Process, rows: Any, wanted: Any) -> dict[str, Any]:
    """Fetch the neighbours that a contender found and compare them."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "found.npz")
        process.ask("neighbors", rows=rows.tolist(), path=path)
        return agreement.compare(sp.load_npz(path), rows, wanted, NEIGHBORS)
