"""Record what the recommenders answer, and compare a later state with it: the same ids in order, numbers within 1e-6.

Usage: python benchmarks/unchanged.py record FILE [--data SOURCE ...] [--protocol NAME=SOURCE ...]
       python benchmarks/unchanged.py compare FILE

A record holds the lists, scores, predicted ratings, intervals, audiences and explanations of 50 users and 50 items of
each SOURCE (by default the bundled sample), of the default and of the textbook recommender, and the metrics of
published protocols, such as `ml100k-microsoft=ml-100k.zip`. Answers on MovieLens are licensed: keep such a record out
of the repository.
"""

import argparse
import json
import sys
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

import reelated
from reelated.evaluation.protocols import PROTOCOLS
from reelated.recommender import Recommender, textbook

PRESETS = {"default": Recommender, "textbook": textbook}
N = 50
TOLERANCE = 1e-6


def spread(ids: Any) -> list[Any]:
    """Return `N` of the ids, evenly spread over their order."""
    return [ids[int(at)] for at in np.unique(np.linspace(0, len(ids) - 1, N).astype(int))]


def numbers(value: Any) -> list[float]:
    """Return all numbers of an answer in order; names, titles and words may change."""
    if is_dataclass(value) and not isinstance(value, type):
        return numbers(list(asdict(value).values()))
    if isinstance(value, dict):
        return numbers(list(value.values()))
    if isinstance(value, (list, tuple)):
        return [number for inner in value for number in numbers(inner)]
    return [float(value)] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


def answers_of(source: str, preset: str) -> dict[str, list[list[float]]]:
    """Return what one recommender answers about 50 users and 50 items."""
    rec = PRESETS[preset]().fit(reelated.read(source))
    users, items = spread(rec.user_ids), spread(rec.item_ids)
    pairs = list(zip(users, items, strict=False))
    return {
        "lists by score": [numbers(list(rec.recommend(user, by="score"))) for user in users],
        "lists by rating": [numbers(list(rec.recommend(user, by="rating"))) for user in users],
        "audiences": [numbers(list(rec.audience(item))) for item in items],
        "similar": [numbers(list(rec.similar(item))) for item in items],
        "predictions": [numbers(rec.predict(user, item)) for user, item in pairs],
        "explanations": [numbers(rec.explain(user, item)) for user, item in pairs],
        "explanations by rating": [numbers(rec.explain(user, item, by="rating")) for user, item in pairs],
    }


def metrics_of(protocol: str, source: str) -> dict[str, list[list[float]]]:
    """Return the metrics of a published protocol."""
    known = PROTOCOLS[protocol]
    return {"metrics": [[float(value) for value in known.row(known.evaluate(Recommender(), source))]]}


def record(sources: list[str], protocols: dict[str, str]) -> dict[str, Any]:
    """Return all answers by source and recommender."""
    found: dict[str, Any] = {}
    for source in sources:
        for preset in PRESETS:
            print(f"{Path(source).name}, {preset} …", file=sys.stderr, flush=True)
            found[f"{source}, {list(PRESETS).index(preset)}"] = answers_of(source, preset)
    for protocol, source in protocols.items():
        print(f"{protocol} …", file=sys.stderr, flush=True)
        found[protocol] = metrics_of(protocol, source)
    return {"sources": sources, "protocols": protocols, "answers": found}


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return one line for each kind of answer that differs."""
    lines = []
    for name, kinds in before.items():
        for kind, rows in kinds.items():
            now = after[name][kind]
            bad = [at for at, (a, b) in enumerate(zip(rows, now, strict=True)) if not same(a, b)]
            if bad:
                largest = [np.abs(np.subtract(rows[at], now[at])).max() for at in bad if len(rows[at]) == len(now[at])]
                size = f"by at most {max(largest):.1e}" if len(largest) == len(bad) else "in length"
                lines.append(
                    f"{name}, {kind}: {len(bad)} of {len(rows)} differ {size}; the first is number {bad[0] + 1}."
                )
    return lines


def same(a: list[float], b: list[float]) -> bool:
    """Return whether two answers hold the same numbers in the same order."""
    return len(a) == len(b) and bool(np.allclose(a, b, rtol=0, atol=TOLERANCE))


def main() -> int:
    """Record or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("record", "compare"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", nargs="+", default=["sample"], metavar="SOURCE")
    parser.add_argument("--protocol", nargs="+", default=[], metavar="NAME=SOURCE")
    given = parser.parse_args()
    if given.what == "record":
        protocols = dict(pair.split("=", 1) for pair in given.protocol)
        given.file.write_text(json.dumps(record(given.data, protocols)), encoding="utf-8")
        return 0
    before = json.loads(given.file.read_text(encoding="utf-8"))
    lines = differences(before["answers"], record(before["sources"], before["protocols"])["answers"])
    print("\n".join(lines) or "Nothing has changed.")
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main())
