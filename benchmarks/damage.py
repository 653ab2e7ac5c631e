"""Damage and forge saved models in worker processes, and count what loading them does.

Usage: python benchmarks/damage.py [--flips 3000] [--seed 0] [--workers 2]

Each model gets three kinds of damage. "flipped": one byte of one file has another value. "sealed": the same, and the
checksums are made to fit, so that the checks of the values see it. "forged": an edit by hand with fitting checksums.
A model that loads is asked for lists, predictions, explanations and audiences. A crash of a worker is an outcome, and
the run goes on behind it. Exit code 1 if a process crashed, if anything but an `InputError` was raised, or if a flipped
byte was not found.
"""

import argparse
import faulthandler
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from reelated.errors import InputError
from reelated.models import BPMF, EASE, BiasModel, ItemKNN, Popularity
from reelated.ratings import Dataset
from reelated.recommender import Recommender
from reelated.recommender.model_folder import CHECKSUMS, MANIFEST, write_checksums
from reelated.recommender.storage import FORMAT

Forgery = Callable[[Path], None]
TIMEOUT = 60
"""Seconds until a case counts as a hang."""
RECOMMENDERS: dict[str, Callable[[], Recommender]] = {
    "default": lambda: Recommender(EASE(), BPMF(n_factors=4, n_samples=10)),
    "neighbours": lambda: Recommender(ItemKNN("residual-cosine"), ItemKNN("pearson", max_neighbors_used=5)),
    "baselines": lambda: Recommender(Popularity(), BiasModel()),
}


def make_models(folder: Path) -> None:
    """Save one model of each kind, fitted to lopsided data with timestamps."""
    rng = np.random.default_rng(1)
    users, items = np.nonzero(rng.random((41, 23)) < 0.4)
    table = {"user_id": users * 3, "item_id": items + 5, "rating": rng.integers(1, 11, len(users)) / 2}
    table["timestamp"] = rng.integers(0, 10**9, len(users))
    known = {"item_id": range(5, 29), "title": [f"Nº {i}" for i in range(24)], "genres": ["A|B", "B", "C"] * 8}
    data = Dataset.from_frames(table, known, scale=(0.5, 5, 0.5), name="damage")
    for name, make in RECOMMENDERS.items():
        make().fit(data).save(folder / name)


def ask(rec: Recommender) -> list[Any]:
    """Return answers of every kind, without a limit on what the numbers are."""
    items, answers = list(rec.item_ids)[::5], []
    for user in list(rec.user_ids)[::8]:
        answers += [rec.recommend(user, by=by) for by in ("score", "rating")]
        answers += [rec.explain(user, item, by=by) for item in items for by in ("score", "rating")]
        answers += [rec.predict(user, item) for item in items]
    answers += [answer for item in items for answer in (rec.similar(item), rec.audience(item))]
    return [*answers, rec.recommend(ratings={items[0]: 5, items[-1]: 1}), *rec.recommend_batch(3)]


# ------------------------------------------------------------------------------------------------------- forgeries
def _edit(name: str, change: Callable[[Any], Any]) -> Forgery:
    """Return a forgery that replaces an array."""

    def forge(folder: Path) -> None:
        path = next(folder.glob(f"*{name}.npy"))
        np.save(path, change(np.load(path)))

    return forge


def _put(name: str, where: Any, value: Any) -> Forgery:
    """Return a forgery that replaces one element of an array."""

    def change(values: Any) -> Any:
        values[where] = value
        return values

    return _edit(name, change)


def _manifest(change: Callable[[Any], Any]) -> Forgery:
    def forge(folder: Path) -> None:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        change(manifest)
        (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")

    return forge


def _text(name: str, change: Callable[[str], str]) -> Forgery:
    def forge(folder: Path) -> None:
        (folder / name).write_text(change((folder / name).read_text(encoding="utf-8")), encoding="utf-8")

    return forge


def _bytes(name: str, change: Callable[[bytes], bytes]) -> Forgery:
    def forge(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    return forge


def _table(name: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Forgery:
    def forge(folder: Path) -> None:
        table = change(pl.read_ipc((folder / name).read_bytes()))  # the file is not mapped while it is written
        table.write_ipc(folder / name)

    return forge


def _repeat(times: int) -> Forgery:
    """Return a forgery whose first row of weights names item 1 many times."""

    def forge(folder: Path) -> None:
        name = "ranker.item_weights_"
        for part, begin in (("indices", 1), ("data", 0.5)):
            values = np.load(folder / f"{name}.{part}.npy")
            np.save(folder / f"{name}.{part}.npy", np.concatenate([np.full(times, begin, values.dtype), values]))
        common = np.load(folder / "ranker.n_common_.npy")
        np.save(folder / "ranker.n_common_.npy", np.concatenate([np.ones(times, common.dtype), common]))
        indptr = np.load(folder / f"{name}.indptr.npy")
        np.save(folder / f"{name}.indptr.npy", np.concatenate([indptr[:1], indptr[1:] + times]).astype(indptr.dtype))

    return forge


def _resize(*axes: tuple[str, int]) -> Forgery:
    """Return a forgery that empties an axis of several arrays."""

    def forge(folder: Path) -> None:
        for name, axis in axes:
            _edit(name, lambda values, axis=axis: np.take(values, [], axis))(folder)

    return forge


def _swap_rows(values: Any) -> Any:
    values[[0, 1]] = values[[1, 0]]
    return values


def _link(folder: Path) -> None:
    (folder / "counts.npy").unlink()
    (folder / "counts.npy").symlink_to("/dev/zero")


def _header(old: str, new: str) -> Callable[[bytes], bytes]:
    """Return an edit of the header of an array that keeps its length."""
    return lambda content: content.replace(old.encode(), new.encode().ljust(len(old)), 1)


FACTORS = [("user_mean_", 0), ("activity_slope_", 0), ("implicit_slope_", 1), ("item_factors_", 1)]
SAMPLES = [("user_mean_", 1), ("activity_slope_", 1), ("implicit_slope_", 2), ("item_factors_", 2), ("alpha_", 0)]
FORGERIES: dict[str, Forgery] = {
    "one index twice in a row": _edit("ranker.item_weights_.indices", lambda v: np.r_[v[:1], v[:1], v[2:]]),
    "1,000 repeats of an index": _repeat(1_000),
    "3,000,000 repeats of an index": _repeat(3_000_000),
    "indices in another order": _edit("ranker.item_weights_.indices", _swap_rows),
    "an item as its own neighbour": _put("ranker.item_weights_.indices", 0, 0),
    "an index beyond the end": _put("ranker.item_weights_.indices", -1, 23),
    "a negative index": _put("ratings.indices", 0, -1),
    "repeated ratings": _edit("ratings.indices", lambda v: np.r_[v[:1], v[:1], v[2:]]),
    "a row pointer that falls": _put("ranker.item_weights_.indptr", 2, 0),
    "a negative row pointer": _put("ranker.item_weights_.indptr", 1, -5),
    "a row pointer beyond the end": _put("ratings.indptr", 1, 10**6),
    "no first row pointer": _edit("ranker.item_weights_.indptr", lambda v: v + 1),
    "fractional indices": _edit("ranker.item_weights_.indices", lambda v: v.astype(float)),
    "unsigned indices": _edit("ranker.item_weights_.indices", lambda v: v.astype(np.uint32)),
    "negative numbers of common raters": _put("ranker.n_common_", 0, -1),
    "no factors": _resize(*FACTORS, ("precision_", 0), ("precision_", 0)),
    "no factors in one array": _resize(("user_mean_", 0)),
    "no samples": _resize(*SAMPLES, ("precision_", 2)),
    "no items in one array": _resize(("item_factors_", 0)),
    "a standard deviation of 0": _put("rating_moments_", 1, 0.0),
    "a negative precision of the noise": _put("alpha_", 0, -1.0),
    "a precision that is not positive": _edit("precision_", lambda v: -v),
    "a precision that is not finite": _put("precision_", 0, np.nan),
    "counts of ratings that fall": _edit("rater.counts_", lambda v: v[::-1] * [2, 1]),
    "negative counts": _put("/counts"[1:], 0, -1),
    "weights that are not finite": _put("ranker.item_weights_.data", 0, np.inf),
    "ratings off the scale": _edit("ratings.data", lambda v: v * 1000),
    "big-endian weights": _edit("ranker.item_weights_.data", lambda v: v.astype(">f4")),
    "big-endian factors": _edit("item_factors_", lambda v: v.astype(">f4")),
    "half-precision weights": _edit("ranker.item_weights_.data", lambda v: v.astype(np.float16)),
    "extended-precision factors": _edit("user_mean_", lambda v: v.astype(np.longdouble)),
    "complex weights": _edit("ranker.item_weights_.data", lambda v: v.astype(complex)),
    "text for counts": _edit("rater.counts_", lambda v: v.astype("U4")),
    "factors in Fortran order": _edit("item_factors_", np.asfortranarray),
    "another number of dimensions": _edit("ranker.item_weights_.data", lambda v: v.reshape(1, -1)),
    "fractional timestamps": _edit("ratings.timestamps", lambda v: v.astype(float)),
    "a header that is no Python": _bytes("counts.npy", _header("{'descr'", "{'descr")),
    "a header of a huge array": _bytes("counts.npy", _header("(24,), }      ", "(9999999999,),}")),
    "a header of a negative size": _bytes("counts.npy", _header("(24,), }", "(-4,), }")),
    "a zip for an array": _bytes("counts.npy", lambda content: b"PK\x03\x04" + content[4:]),
    "half an array": _bytes("counts.npy", lambda content: content[: len(content) // 2]),
    "half a table": _bytes("item_ids.arrow", lambda content: content[: len(content) // 2]),
    "noise for a table": _bytes("items.arrow", lambda content: content[:8] + bytes(range(256)) * 4),
    "ids in descending order": _table("item_ids.arrow", lambda table: table.reverse()),
    "equal ids": _table("item_ids.arrow", lambda table: table.select(pl.lit(5).repeat_by(len(table)).explode())),
    "ids that claim to ascend": _table("item_ids.arrow", lambda t: t.reverse().with_columns(pl.all().set_sorted())),
    "ids with a null": _table("user_ids.arrow", lambda table: table.with_columns(pl.all().shift())),
    "null titles": _table("items.arrow", lambda table: table.with_columns(title=pl.lit(None, pl.String))),
    "null genres": _table("items.arrow", lambda table: table.with_columns(genres=pl.lit(None, pl.List(pl.String)))),
    "numbers for titles": _table("items.arrow", lambda table: table.with_columns(title=pl.lit(1))),
    "items in another order": _table("items.arrow", lambda table: table.reverse()),
    "a manifest of brackets": _text(MANIFEST, lambda _: "[" * 200_000),
    "a manifest of objects": _text(MANIFEST, lambda _: '{"a":' * 200_000),
    "a manifest of 20 MB": _text(MANIFEST, lambda text: text + " " * 20_000_000),
    "an integer of 5,000 digits": _text(
        MANIFEST, lambda text: text.replace(f'"format": {FORMAT}', f'"format": {"5" * 5000}')
    ),
    "a name twice in the manifest": _text(MANIFEST, lambda text: text.replace("{", f'{{"format": {FORMAT},', 1)),
    "a NaN in the manifest": _manifest(lambda manifest: manifest.update(scale=[float("nan"), 5.0, 0.5])),
    "a manifest that is no text": _bytes(MANIFEST, lambda content: b"\xff" + content),
    "no models": _manifest(lambda manifest: manifest.update(models={})),
    "no ranker": _manifest(lambda manifest: manifest.update(models={"rater": None})),
    "a model without a name": _manifest(lambda manifest: manifest["models"].update(third=manifest["models"]["ranker"])),
    "a model of no kind": _manifest(lambda manifest: manifest["models"]["ranker"].update(kind="os.system")),
    "a parameter of no model": _manifest(lambda manifest: manifest["models"]["ranker"]["params"].update(evil=1)),
    "a scale of one value": _manifest(lambda manifest: manifest["models"]["rater"].update(scale=[9.0, 9.0])),
    "a step of 0": _manifest(lambda manifest: manifest.update(scale=[0.5, 5.0, 0.0])),
    "a shorter list of files": _manifest(lambda manifest: manifest["files"].pop()),
}
FORGED_CHECKSUMS: dict[str, Forgery] = {
    "a device for an array": _link,
    "no checksums": lambda folder: (folder / CHECKSUMS).unlink(),
    "empty checksums": _text(CHECKSUMS, lambda _: ""),
    "a line less": _text(CHECKSUMS, lambda text: "".join(re.sub(r".*timestamps.*\n", "", text))),
    "a line twice": _text(CHECKSUMS, lambda text: text.splitlines(keepends=True)[0] + text),
    "a path to elsewhere": _text(CHECKSUMS, lambda text: f"{'0' * 64}  ../../etc/passwd\n{text}"),
    "a NUL in a name": _text(CHECKSUMS, lambda text: text.replace("counts.npy", "coun\0s.npy", 1)),
}
"""Forgeries that need no new checksums."""


# ------------------------------------------------------------------------------------------------------------ cases
def cases(kind: str, count: int) -> list[str]:
    """Return the names of the cases of a kind of damage; the number of flips is given."""
    return [*FORGERIES, *FORGED_CHECKSUMS] if kind == "forged" else [str(n) for n in range(count)]


def apply(kind: str, case: str, folder: Path, seed: int) -> str:
    """Damage a model; return the name of the damaged file."""
    if kind == "forged":
        (FORGERIES | FORGED_CHECKSUMS)[case](folder)
        if case in FORGERIES:
            write_checksums_again(folder)
        return ""
    rng = np.random.default_rng([seed, int(case)])
    file = sorted(folder.iterdir())[rng.integers(len(list(folder.iterdir())))]
    content = bytearray(file.read_bytes())
    content[rng.integers(len(content))] ^= rng.integers(1, 256)
    file.write_bytes(content)
    if kind == "sealed":
        write_checksums_again(folder)
    return file.name


def write_checksums_again(folder: Path) -> None:
    """Make the checksums fit."""
    (folder / CHECKSUMS).unlink()
    write_checksums(folder)


def outcome_of(folder: Path, file: str, expected: str) -> str:
    """Load a model and ask it; return what happened in a few words."""
    try:
        rec = Recommender.load(folder)
    except InputError as error:
        found = re.search(r"damaged model \((\S+): .*\)\. Fit and save it again\.$", str(error))
        # a flipped byte in the checksums is reported for the file of the line
        is_named = found and (found[1] in {file, CHECKSUMS, MANIFEST} or file in ("", CHECKSUMS))
        return "refused" if is_named else f"refused: {error}"
    except BaseException as error:
        return f"traceback at loading: {type(error).__name__}: {error}"
    try:
        return "same answers" if repr(ask(rec)) == expected else "other answers"
    except InputError:
        return "refused at asking"
    except BaseException as error:
        return f"traceback at asking: {type(error).__name__}: {error}"


def work(model: Path, kind: str, seed: int, names: list[str]) -> None:
    """Print the outcome of each case as a line of JSON."""
    expected = repr(ask(Recommender.load(model)))
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "damaged"
        for name in names:
            faulthandler.dump_traceback_later(TIMEOUT, exit=True)
            shutil.copytree(model, folder)
            file = apply(kind, name, folder, seed)
            print(json.dumps([name, outcome_of(folder, file, expected)]), flush=True)
            shutil.rmtree(folder)


def outcomes(model: Path, kind: str, names: list[str], seed: int = 0) -> Iterator[tuple[str, str]]:
    """Yield cases with their outcomes from worker processes; the case in which a worker dies is a crash or a hang."""
    while names:
        command = [sys.executable, __file__, "--work", str(model), kind, str(seed)]
        worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert worker.stdin
        assert worker.stdout
        with worker:
            worker.stdin.write(json.dumps(names))
            worker.stdin.close()
            for line in worker.stdout:
                name, outcome = json.loads(line)
                yield name, outcome
                names = names[1:]
        if names:
            yield names[0], f"crash: exit code {worker.returncode}"
            names = names[1:]


def is_fault(kind: str, outcome: str) -> bool:
    """Return whether an outcome must not happen."""
    if kind == "sealed":  # a number that fits everything else may be any number
        return outcome.startswith(("crash", "traceback"))
    return outcome != "refused"


def run(flips: int, seed: int, workers: int) -> bool:
    """Run all cases and print their counts; return whether a fault was found."""
    counts: Counter[tuple[str, str]] = Counter()
    with tempfile.TemporaryDirectory() as parent, ThreadPoolExecutor(workers) as pool:
        make_models(Path(parent))
        share = -(-flips // len(RECOMMENDERS))
        jobs = [(model, kind, cases(kind, share)) for model in RECOMMENDERS for kind in ("flipped", "sealed")]
        jobs.append((next(iter(RECOMMENDERS)), "forged", cases("forged", 0)))
        results = pool.map(lambda job: list(outcomes(Path(parent) / job[0], job[1], job[2], seed)), jobs)
        faults = []
        for (model, kind, _), found in zip(jobs, results, strict=True):
            counts.update((f"{model} {kind}", outcome.partition(":")[0]) for _, outcome in found)
            faults += [f"{model} {kind} {name}: {text}" for name, text in found if is_fault(kind, text)]
    for (name, outcome), count in sorted(counts.items()):
        print(f"{name:<20} {outcome:<22} {count:>7,}")
    print(*faults[:50], sep="\n")
    print(f"{sum(counts.values()):,} cases, {len(faults):,} faults")
    return bool(faults)


def main() -> None:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=3000, help="flips of each kind, spread over the models")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(Path(given.work[0]), given.work[1], int(given.work[2]), json.load(sys.stdin))
    elif run(given.flips, given.seed, given.workers):
        sys.exit(1)


if __name__ == "__main__":
    main()
