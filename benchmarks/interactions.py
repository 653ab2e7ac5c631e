"""Accuracy on the published splits of interactions, our rows beside the best published figures.

python benchmarks/interactions.py                         # every split in ../shared/data/tables; the table anew
python benchmarks/interactions.py --only ml1m-lcfn        # one split
python benchmarks/interactions.py --defaults              # the row of the defaults alone
python benchmarks/interactions.py --tuned                 # the row with the settings that `tune` finds: half an hour
python benchmarks/interactions.py --table                 # the table of docs/accuracy.md from the saved results

"Defaults" is `Recommender()`; "not normalised" is `EASE` without degree normalisation; "tuned" is the best of `TRIALS`
settings that `reelated.tune` tries on a fifth of each user's training items. No setting was chosen on a test part.
"""

import argparse
import gc
import json
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import data
import report
from reelated import EASE, Recommender, tune
from reelated.evaluation import PROTOCOLS, Protocol, evaluate
from reelated.evaluation.protocols import INTERACTION_PROTOCOLS
from reelated.evaluation.splits import Split
from run import commit, machine

RESULTS = Path(__file__).parent / "results" / "interactions"
PAGE = report.DOCS / "accuracy.md"
BEGIN = "<!-- made by benchmarks/interactions.py --table: begin -->"
FILES = {"ml1m-lcfn": "ml-1m-lcfn.npz"}
"""The file of a split that is not named after its protocol."""
TRIALS = 12
"""Settings that `tune` tries on each split."""
Result = dict[str, Any]


class Timed(Recommender):
    """A recommender that records the processor time of its fits, which other programs affect less than wall-clock."""

    processor_seconds: list[float] = []  # noqa: RUF012

    def fit(self, data: Any, *, progress: Any = None) -> Recommender:
        """Fit, and record the time."""
        begun = time.process_time()
        fitted = super().fit(data, progress=progress)
        Timed.processor_seconds.append(time.process_time() - begun)
        return fitted


def tuned(split: Split) -> Recommender:
    """Return a recommender with the best settings for the training part."""
    found = tune(split.train, "any", trials=TRIALS, minutes=24 * 60)
    return Timed(EASE(**found.settings), rater=None) if found.settings else Timed()


ROWS: dict[str, Callable[[Split], Recommender]] = {
    "defaults": lambda split: Timed(),
    "not normalised": lambda split: Timed(
        EASE(dropout=0.5, user_normalization=0.0, item_normalization=0.0), rater=None
    ),
    "tuned": tuned,
}
"""What is measured on each split."""


def main() -> None:
    """Measure what is asked for, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", choices=[protocol.name for protocol in INTERACTION_PROTOCOLS])
    parser.add_argument("--table", action="store_true", help="make the table from the saved results")
    parser.add_argument("--defaults", action="store_true", help="measure the defaults alone")
    parser.add_argument("--tuned", action="store_true", help="tune on the training part, and measure the result alone")
    options = parser.parse_args()
    labels = [label for label in ("defaults", "tuned") if getattr(options, label)] or list(ROWS)
    for protocol in () if options.table else INTERACTION_PROTOCOLS:
        if options.only in (None, protocol.name):
            source = source_of(protocol)
            if source.exists():
                save(measure(protocol, source, labels))
            else:
                print(f"{protocol.name}: skipped, there is no {source}")
    print(table(saved()))
    report.between(PAGE, section(), BEGIN)


def source_of(protocol: Protocol) -> Path:
    """Return where the file of a split is expected; the text files of `amazon-book` are in a folder of its name."""
    file = protocol.name if protocol.name == "amazon-book" else f"{protocol.name}.npz"
    return data.real_folder() / "tables" / FILES.get(protocol.name, file)


def measure(protocol: Protocol, source: Path, labels: list[str]) -> Result:
    """Measure some of `ROWS` on one split."""
    (split,), rows = protocol.splits(source), {}
    for label in labels:
        recommender = ROWS[label](split)
        result = evaluate(recommender, split, protocol.n)
        metrics = dict(zip(protocol.columns, protocol.row(result), strict=True))
        times = {"seconds": result.seconds, "processor_seconds": Timed.processor_seconds[-1]}
        rows[label] = metrics | {name: round(value, 2) for name, value in times.items()} | provenance()
        if label == "tuned":
            is_default = recommender.ranker == "default"  # no setting was better
            rows[label]["settings"] = "Recommender()" if is_default else str(recommender.ranker)
        print(f"{protocol.name}, {label}: {rows[label]}", flush=True)
        gc.collect()
    return {"protocol": protocol.name, "machine": machine(), "rows": rows}


def provenance() -> dict[str, Any]:
    """Return when a row was measured, on which state of the repository, and with how many programs running."""
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    return {"date": now, "commit": commit(), "load": os.getloadavg()[0]}


def save(result: Result) -> None:
    """Write a result; its rows replace the earlier ones of the same split."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{result['protocol']}.json"
    earlier = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else {}
    rows = earlier | result["rows"]
    result = result | {"rows": {label: rows[label] for label in ROWS if label in rows}}
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def saved() -> list[Result]:
    """Return the saved results in the order of the protocols."""
    paths = [RESULTS / f"{protocol.name}.json" for protocol in INTERACTION_PROTOCOLS]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]


def best_published(protocol: Protocol) -> list[tuple[float, str]]:
    """Return the highest published figure of each column and its model."""
    columns = range(len(protocol.columns))
    figures = [[(row.values[k], row.model) for row in protocol.published if row.values[k] is not None] for k in columns]
    return [max(column) for column in figures]  # type: ignore[type-var]


def table(results: list[Result]) -> str:
    """Return the table: our rows and the best published figures of each split."""
    lines = []
    for result in results:
        protocol = PROTOCOLS[result["protocol"]]
        for label, row in result["rows"].items():
            metrics = [f"{row[name]:.4f}" for name in protocol.columns]
            times = [f"{row[name]:.1f}" for name in ("seconds", "processor_seconds")]
            lines.append([protocol.name, label, *metrics, *times])
        best = [f"{value:.4f} ({model})" for value, model in best_published(protocol)]
        lines.append([protocol.name, "best published", *best, "", ""])
    return report.table(["split", "model", "R@20", "nDCG@20", "fit, s", "processor time, s"], lines)


def section() -> str:
    """Return the section of the page."""
    results = saved()
    definition = INTERACTION_PROTOCOLS[0].definition
    rows = [row for result in results for row in result["rows"].values()]
    days = ", ".join(sorted({row["date"][:10] for row in rows}))
    loads = [row["load"] for row in rows]
    settings = [
        f"* `{each['protocol']}`: `{each['rows']['tuned']['settings']}`" for each in results if "tuned" in each["rows"]
    ]
    missing = [f"`{each.name}`" for each in INTERACTION_PROTOCOLS if each.name not in {r["protocol"] for r in results}]
    parts = [
        "## Interactions without ratings",
        f"{definition} The defaults' settings were chosen on parts of the training data. The splits have no validation "
        "part: many of the published settings were chosen on the test part. `reelated evaluate --protocol` prints all "
        "published rows and their sources.",
        "The test parts of Gowalla and Yelp2018 are not random: of the interactions with the most popular 1 % of the "
        "items, 25 % and 18 % are hidden; of those with the less popular half, 21 % and 23 %. A random part of the "
        "training data does not show this, so settings chosen on it can be worse than the defaults on the test part.",
        table(results),
        f"Made by `benchmarks/interactions.py` on {days}. Other programs were running: the load of the "
        f"{results[0]['machine']['cores']} cores was {min(loads):.0f} to {max(loads):.0f}." if results else "",
        f"Tuned is the best of {TRIALS} settings that `reelated tune` tried on a fifth of each user's training items:"
        if settings else "",
        "\n".join(settings),
        f"Not measured: {', '.join(missing)}." if missing else "",
    ]  # fmt: skip
    return "\n\n".join(filter(None, parts))


if __name__ == "__main__":
    main()
