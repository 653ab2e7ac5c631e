"""Accuracy in the published ways, our rows beside those of others.

python benchmarks/accuracy.py DATA [--only PROTOCOL] > docs/accuracy.md     # DATA holds ml-100k.zip, ml-1m, ml-20m.zip

Each section is one protocol of `reelated evaluate --protocol`. "Defaults" is `Recommender()`, with the same settings on
every data set; "neighbours" is the fallback for large data. Rows named after a setting show its effect; the settings of
the "tuned" row were chosen on parts of the training data. In protocols for lists, rows other than the defaults have no
rater, and in protocols for ratings no ranker; lists by adjusted score need both. "Liked" counts only hits that were
rated 4 or more. Intervals are 95 % confidence intervals over users (or over movies, if users are ranked). The time of a
fit is wall-clock time on a machine that may have been busy.
"""

import argparse
import gc
import platform
import statistics
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import numba

import interactions
import reelated
import report
from reelated import EASE, BiasModel, Popularity, Recommender
from reelated.evaluation import compare, evaluate
from reelated.evaluation.protocols import RATING_PROTOCOLS
from reelated.recommender.fitting import neighbor_ranker, neighbor_rater

SOURCES = {"MovieLens 100K": "ml-100k.zip", "MovieLens 1M": "ml-1m", "MovieLens 20M": "ml-20m.zip"}
TF_IDF = neighbor_ranker(lowest=1.0)
RESIDUAL = neighbor_rater()
IDS_ONLY = "BPMF, ids only"
"""The row whose data are told no genres and years."""


class ByRelevance(Recommender):
    """The defaults, with users sorted by score."""

    def audience(self, item_id, *, n=10, by="score"):
        """Return the users, by score."""
        return super().audience(item_id, n=n, by=by)


def ranking(ranker, **ageing):
    """Return a recommender that predicts no ratings."""
    return Recommender(ranker, None, **ageing)


def rating(rater="default"):
    """Return a recommender whose lists cost nothing."""
    return Recommender(Popularity(), rater)


def dense(**settings):
    """Return EASE of all items in closed form, nothing left out."""
    return EASE(n_candidates=None, n_neighbors=None, **settings)


LISTS = {
    "**defaults**": Recommender(),
    "neighbours, tf-idf": ranking(TF_IDF),
    "most rated": ranking(Popularity()),
    "the recipe": reelated.textbook(),
}
PLAIN = {"user_normalization": 0.0, "item_normalization": 0.0}
WITHOUT_TIME = PLAIN | {"dropout": 0.0, "min_weight": 1.0, "l2": 1000.0}
RATINGS = {
    "**defaults**": rating(),
    IDS_ONLY: rating(),
    "neighbours, residual cosine": rating(RESIDUAL),
    "biases alone": rating(BiasModel()),
    "the recipe": rating(reelated.textbook().rater),
}
ROWS = {
    "ml100k-folds": RATINGS,
    "ml100k-microsoft": LISTS
    | {
        "defaults, no ageing": ranking(EASE(), recency_half_life=None),
        "EASE tuned for any": ranking(dense(**PLAIN, min_weight=0.55, dropout=0.7, l2=250.0), recency_half_life=None),
    },
    "ml100k-audience": {
        "**defaults**, by adjusted score": Recommender(),
        "neighbours, by adjusted score": Recommender(TF_IDF, RESIDUAL),
        "defaults, by score": ByRelevance(),
        "the recipe": reelated.textbook(),
    },
    "ml1m-folds": RATINGS,
    "ml1m-ncf": LISTS
    | {
        "EASE without time": ranking(dense(**WITHOUT_TIME), recency_half_life=None),
        "EASE with recency": ranking(dense(**WITHOUT_TIME), recency_half_life=10, recency_floor=0.1),
    },
    "ml1m-infinite-ae": LISTS
    | {
        "defaults, no ageing": ranking(EASE(), recency_half_life=None),
        "EASE dense, no ageing": ranking(dense(), recency_half_life=None),
        "EASE sparse, 74 weights a movie (2 %), no ageing": ranking(EASE(n_neighbors=74), recency_half_life=None),
    },
    "ml20m-liang": LISTS,
}
"""What is measured in each protocol."""


def told(split, items):
    """Return a split whose data know these movies."""
    return replace(split, train=replace(split.train, items=items))


def spoken(value, name):
    """Return a figure as text."""
    return "–" if value is None else f"{value:.0%}" if "places" in name else f"{value:.4f}"


def first_fold(protocol, result):
    """Return the RMSE of the first of several folds."""
    return replace(result, parts=result.parts[:1]).value("rmse")


def section(protocol, source):
    """Print one protocol's table and what stands behind it."""
    splits, data = protocol.splits(source), reelated.read(source)
    bare = reelated.Dataset.from_frames(data.ratings.to_polars()).items
    folds = len(splits) > 1
    names = [*protocol.columns, *(["first fold, RMSE"] if folds else []), "fit, s"]
    print(f"## {protocol.name}\n\n{protocol.data}. {protocol.definition}\n\nSource: {protocol.source}\n")
    print(f"| model | {' | '.join(names)} |\n|---{'|---' * len(names)}|")
    for row in protocol.published:
        note = f" ({row.note})" if row.note else ""
        values = [*row.values, *[None] * (len(names) - len(row.values))]
        print(f"| {row.model}{note} | {' | '.join(map(spoken, values, names))} |")
    results = {}
    for label, row in ROWS[protocol.name].items():
        parts = [told(split, bare if label == IDS_ONLY else data.items) for split in splits]
        result = results[label] = evaluate(row, parts, protocol.n, target=protocol.target)
        values = [*protocol.row(result), *([first_fold(protocol, result)] if folds else [])]
        print(f"| {label} | {' | '.join(map(spoken, values, names))} | {result.seconds:.1f} |", flush=True)
        gc.collect()
    intervals(protocol, results)


def intervals(protocol, results):
    """Print the defaults' intervals, and how they differ from the next row of ours."""
    (first, ours), *others = results.items()
    second, next_ = next((label, found) for label, found in others if label != IDS_ONLY)
    measured = {(row.measure, row.relevance): row for row in ours.rows()}
    gaps = {(row.measure, row.relevance): row for row in compare(next_, ours)}
    print(f"\n95 % intervals of the {first.replace('*', '')}, and of their difference from “{second}”:\n")
    print("| measure | interval | difference | its interval | p |\n|---|---|---|---|---|")
    for name, key in protocol.columns.items():
        if measured[key].low is None or key not in gaps:
            continue
        row, gap = measured[key], gaps[key]
        print(
            f"| {name} | {row.low:.4f} to {row.high:.4f} | {gap.difference:+.4f} "
            f"| {gap.low:+.4f} to {gap.high:+.4f} | {gap.p_value:.3f} |"
        )
    print(flush=True)


def fits(folder):
    """Print how long the default ranking model takes to fit, compiled beforehand."""
    print("## Fits\n\nSeconds for a fit of the default ranking model, `EASE()`, median of three:\n")
    print("| data | wall-clock time | processor time |\n|---|---|---|")
    for name, file in SOURCES.items():
        if not (folder / file).exists() or name == "MovieLens 20M":
            continue
        X, taken = reelated.read(folder / file).ratings.matrix, []
        EASE().fit(X[:500])
        for _ in range(3):
            begun = time.perf_counter(), time.process_time()
            EASE().fit(X)
            taken.append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
        clock, processor = (statistics.median(part) for part in zip(*taken, strict=True))
        print(f"| {name} | {clock:.2f} | {processor:.2f} |", flush=True)
    print()


def main(folder, only):
    """Print the page."""
    print("# Accuracy\n")
    print(" ".join(__doc__.split("\n\n", 2)[2].split()) + "\n")
    print(
        "[Ratings](ratings.md) shows the effect of genres and years on predicted ratings, and the coverage of their "
        "intervals.\n"
    )
    machine = f"{platform.machine()}, {numba.get_num_threads()} threads"
    print(f"Made by `benchmarks/accuracy.py` on {date.today()}, {machine}.\n")
    missing = []
    for protocol in RATING_PROTOCOLS:
        name = protocol.name
        if only not in (None, name):
            continue
        source = folder / SOURCES[protocol.data]
        if source.exists():
            section(protocol, source)
        else:
            missing.append(f"`{name}` ({protocol.data})")
    if missing:
        print(f"Not measured, because the data were not available: {', '.join(missing)}.\n")
    if only is None:
        print(f"{interactions.BEGIN}\n\n{interactions.section()}\n\n{report.END}\n")
        fits(folder)
    print("[What was tried](../benchmarks/tried.md) lists the ideas that were measured for the defaults.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Accuracy in the published ways.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", choices=[protocol.name for protocol in RATING_PROTOCOLS])
    given = parser.parse_args(sys.argv[1:])
    main(given.data, given.only)
