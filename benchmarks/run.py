"""Reelated and its peers side by side: time, memory and agreement, each a ratio in one run.

python benchmarks/run.py                                # every data set at hand; the table and the chart anew
python benchmarks/run.py --data ml-1m --only reelated,implicit --threads 1,2 --rounds 7
python benchmarks/run.py --quick                        # under a minute, this environment only, nothing written
python benchmarks/run.py --table                        # the table and the chart from results/*.json

Each contender has a process and an environment of its own, reads the same file and works when it is its turn. Loading
is never timed. See README.md.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import data
import report
from contest import Terms, alone, contest
from environments import contenders

HERE = Path(__file__).parent
DATA = ("ml-100k", "ml-1m", "ml-20m", "ml-100m")
OURS_ALONE = ("ml-100m",)
"""Data on which only our own fit is measured: how it grows."""


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for; return 1 where a quick run finds something wrong."""
    options = parse(arguments)
    if options.table:
        report.write()
        return 0
    if options.quick:
        return quick(options)
    for threads in options.threads:
        for name in options.data:
            try:
                save(measure(name, threads, options))
            except data.Missing as reason:
                print(f"{name}: skipped, {reason}")
    report.write()
    return 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    names, cores = contenders(), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    split = lambda text: tuple(part for part in text.split(",") if part)  # noqa: E731
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=split, default=DATA, help=f"of {', '.join(DATA)} and ml-32m")
    parser.add_argument("--only", type=split, default=(), help=f"of {', '.join(names)}")
    parser.add_argument("--works", type=split, default=(), help="of fit, everyone, one")
    parser.add_argument(
        "--threads", type=lambda text: tuple(map(int, split(text))), default=(cores,), help="such as 1,2"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a small matrix, this environment, nothing written")
    parser.add_argument("--table", action="store_true", help="make the table and the chart of results/*.json")
    options = parser.parse_args(arguments)
    options.rounds = max(1, options.rounds)
    if unknown := set(options.only) - set(names):
        parser.error(f"--only {','.join(unknown)}: expected some of {', '.join(names)}")
    return options


def measure(name: str, threads: int, options: argparse.Namespace) -> dict[str, Any]:
    """Hold one contest and return all that is known of it."""
    growth = name in OURS_ALONE and not options.only
    entrants = ("reelated",) if growth else options.only or tuple(contenders())
    folder = data.matrix(name)
    print(f"{name}, {threads} threads, {options.rounds} rounds: {data.about(folder)['told']}", flush=True)
    terms = Terms(name, entrants, ("fit",) if growth else options.works, threads, options.rounds, not options.quick)
    told = contest(terms)
    return {
        "data": name,
        "about": data.about(folder),
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": machine(),
        "commit": commit(),
        "threads": threads,
        "rounds": options.rounds,
        "contenders": told,
        "alone": alone(terms) if not growth and "skipped" not in told.get("reelated", {"skipped": ""}) else {},
    }


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    cpu, memory = platform.processor() or platform.machine(), None
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": cpu,
        "cores": os.cpu_count(),
        "memory": memory,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def commit() -> str | None:
    """Return which state of this repository was measured."""
    asked = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    done = subprocess.run(asked, capture_output=True, text=True)
    return done.stdout.strip() or None


def save(result: dict[str, Any]) -> None:
    """Write a result; of one data set and number of threads the latest counts."""
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    stamp = result["date"][:19].replace(":", "")
    path = folder / f"{stamp}-{result['data']}-{result['threads']}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def quick(options: argparse.Namespace) -> int:
    """Measure a small matrix with whatever this environment has; say whether ours and all agreements are right."""
    options.rounds = 2
    result = measure("small", options.threads[0], options)
    told = result["contenders"]
    wrong = [str(one["skipped"]) for name, one in told.items() if name == "reelated" and "skipped" in one]
    wrong += [str(result["alone"]["failed"])] if "failed" in result["alone"] else []
    for name, one in told.items():
        for work, figures in one.get("works", {}).items():
            if figures.get("agreement", {}).get("agree", 1) < 1:
                wrong.append(f"{name}, {work}: {figures['agreement']}")
    print("\n".join(wrong) or "all agree")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
