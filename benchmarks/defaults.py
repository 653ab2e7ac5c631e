"""How long the default recommender takes to fit: `python benchmarks/defaults.py SOURCE [SOURCE …] [--rounds 5]`.

A source is what `reelated.read` takes. The first fit compiles and is not counted; then the least of the rounds is
printed, and the most beside it, which tells how busy the machine was. Processor seconds are of all threads.
"""

import argparse
import time
from datetime import date

import numba

import reelated
from run import machine


def main() -> None:
    """Print a row for each source."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sources", nargs="+", metavar="SOURCE")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    about = machine()
    print(f"{date.today()}, {about['processor']}, {about['cores']} cores, {numba.get_num_threads()} threads; ", end="")
    print(f"the least and the most of {options.rounds} rounds.\n")
    print("| data | ratings | fit | most | processor |\n| --- | --- | --- | --- | --- |")
    reelated.Recommender().fit(reelated.read("sample"))  # compiles
    for source in options.sources:
        data = reelated.read(source)
        rounds = [fit(data) for _ in range(options.rounds)]
        clock, busy = zip(*rounds, strict=True)
        times = f"{min(clock):.2f} s | {max(clock):.2f} s | {min(busy):.2f} s"
        print(f"| {data.name} | {len(data.ratings):,} | {times} |", flush=True)


def fit(data: reelated.Dataset) -> tuple[float, float]:
    """Return the seconds of a fit, by the clock and of the processor."""
    start, busy = time.perf_counter(), time.process_time()
    reelated.Recommender().fit(data)
    return time.perf_counter() - start, time.process_time() - busy


if __name__ == "__main__":
    main()
