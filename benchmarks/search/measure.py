"""Measure the search for titles: the place of the wanted title, and the time of a search.

    python -m search.measure ../../shared/data/ml-1m --part development

`queries.csv` holds famous movies as people type them. The queries marked "frozen" were written before the search and
were not looked at while it was made.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np

import reelated
from reelated.recommender.title_search import TitleIndex

QUERIES = Path(__file__).with_name("queries.csv")


def rank_of(index, catalogue, query, wanted):
    """Return the place of the wanted title among those found, or None."""
    places = index.search(query, np.ones(len(catalogue), bool)).items[:10].tolist()
    titles = [catalogue[place] for place in places]
    return titles.index(wanted) + 1 if wanted in titles else None


def index_of(source):
    """Return an index of the titles of a data set, and its titles with years."""
    data = reelated.read(source)
    ids = data.ratings.item_ids.values.to_list()
    rows = {row["item_id"]: row for row in data.items.iter_rows(named=True)}
    titles, years = [rows[item]["title"] for item in ids], [rows[item]["year"] for item in ids]
    counts = np.bincount(data.ratings.matrix.indices, minlength=len(ids))
    return TitleIndex(titles, years, counts), list(zip(titles, years, strict=True))


def milliseconds(n_titles):
    """Return the median and 99th percentile of a search among simulated titles: clock and processor."""
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    vocabulary = ["".join(rng.choice(letters, rng.integers(3, 11))) for _ in range(n_titles // 2)]
    chances = 1 / np.arange(1, len(vocabulary) + 1)
    words = rng.choice(vocabulary, (n_titles, 3), p=chances / chances.sum())
    titles = [" ".join(row[: rng.integers(1, 4)]) for row in words]
    index = TitleIndex(titles, [2000] * n_titles, rng.integers(1, 10_000, n_titles))
    shown, times = np.ones(n_titles, bool), []
    for title in rng.choice(titles, 300):
        start, before = time.perf_counter(), time.process_time()
        index.search(title[:-1], shown)
        times.append((1000 * (time.perf_counter() - start), 1000 * (time.process_time() - before)))
    return np.percentile(times, [50, 99], axis=0)


def main():
    """Print the share of queries whose title is found first and within three, the misses, and the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--part", choices=("development", "frozen"), default="development")
    options = parser.parse_args()
    index, catalogue = index_of(options.source)
    with QUERIES.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == options.part]
    ranks = [rank_of(index, catalogue, row["query"], (row["title"], int(row["year"]))) for row in rows]
    for row, rank in zip(rows, ranks, strict=True):
        if rank != 1:
            found = index.search(row["query"], np.ones(len(catalogue), bool)).items[:3]
            print(f"{row['query']!r}: {row['title']} is {rank or 'absent'}; first {[catalogue[i][0] for i in found]}")
    first, three = (sum(rank is not None and rank <= n for rank in ranks) / len(ranks) for n in (1, 3))
    median, slow = milliseconds(60_000)
    print(f"{options.part}: {len(rows)} queries, first {first:.1%}, within three {three:.1%}")
    for kind, typical, slowest in zip(("by the clock", "of the processor"), median, slow, strict=True):
        print(f"60,000 titles: median {typical:.1f} ms, 99th percentile {slowest:.1f} ms {kind}")


if __name__ == "__main__":
    main()
