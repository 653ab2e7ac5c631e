"""Fuzz `read` and `validate`: mutate small files, and count tracebacks, lost rows and hangs.

    python benchmarks/fuzz_read.py [--mutations 5000] [--seed 0]

A traceback is any exception but `InputError`. A violation is a text file with one line per row whose lines are not all
accounted for: as ratings, repeated ratings, rejected, blank or comment lines, or lines within quotes. A hang takes
more than 10 seconds. The exit code is 1 if there is any.
"""

import argparse
import bz2
import gzip
import io
import json
import lzma
import random
import re
import sqlite3
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from reelated import InputError, read, validate

HANG_SECONDS = 10
PIECES = (
    *(
        b'"',
        b"\\",
        b"\0",
        b",",
        b";",
        b"\t",
        b"|",
        b"::",
        b"\n",
        b"\r\n",
        b"\r",
        b" ",
        b"#",
        b"%",
        b":",
        b"\xff",
        b"\xe9",
    ),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"nan", b"inf", b"-1", b"1e999", b"1,5", b"4/5", "★★".encode(), b"True", b"NULL"),
    *(b"2021-13-45", b"3/4/2020", b"99999999999999999999", b"{", b"}", b"[", b"]", b"1:", b"\x1f\x8b", b"PK\x03\x04"),
    *(
        b"user",
        b"item",
        b"rating",
        b"movieId",
        b"title",
        b"0001",
        b"1.0",
        b"\x0c",
        "\u2028".encode(),
        b"SQLite format 3\0",
    ),
)


def seeds() -> dict[str, bytes]:
    """Return small files of every kind by name."""
    rows = [
        (user, 100 + item, 1 + (user * item) % 5, 1_600_000_000 + user) for user in range(1, 5) for item in range(1, 5)
    ]
    frame = pl.DataFrame(rows, schema=["userId", "movieId", "rating", "timestamp"], orient="row")
    text = frame.write_csv().encode()
    noted = "user;item;rating;note\n" + "\n".join(f'{u};{i};{r},5;"a ""b"" {t}"' for u, i, r, t in rows)
    dates = "user,item,rating,date\n" + "\n".join(f"{u},{i},{r}/5,{u}/1{u}/2020" for u, i, r, _ in rows)
    parquet, ipc, archive = io.BytesIO(), io.BytesIO(), io.BytesIO()
    frame.write_parquet(parquet)
    frame.write_ipc(ipc)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("ratings.csv", text)
        file.writestr(
            "movies.csv", "movieId,title,genres\n101,Up (2009),Comedy|Drama\n102,Heat (1995),(no genres listed)\n"
        )
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE ratings (user INT, item INT, rating REAL)")
    connection.executemany("INSERT INTO ratings VALUES (?, ?, ?)", [row[:3] for row in rows])
    connection.commit()
    return {
        "a.csv": text,
        "a.dat": text.replace(b",", b"::"),
        "headless.tsv": text.split(b"\n", 1)[1].replace(b",", b"\t"),
        "spaces.txt": b"% two lines\n% of comments\n" + text.split(b"\n", 1)[1].replace(b",", b"  "),
        "notes.csv": noted.encode(),
        "dates.csv": dates.encode(),
        "blocks.txt": b"".join(f"{i}:\n{u},{r},2005-01-0{u}\n".encode() for u, i, r, _ in rows),
        "wide.csv": frame.pivot("movieId", index="userId", values="rating", aggregate_function="first")
        .write_csv()
        .encode(),
        "a.json": json.dumps(frame.to_dicts()).encode(),
        "lines.json": frame.write_ndjson().encode(),
        "a.csv.gz": gzip.compress(text),
        "a.csv.xz": lzma.compress(text),
        "a.csv.bz2": bz2.compress(text),
        "a.parquet": parquet.getvalue(),
        "a.arrow": ipc.getvalue(),
        "a.zip": archive.getvalue(),
        "a.db": connection.serialize(),
    }


def mutate(data: bytes, random_: random.Random) -> bytes:
    """Return data with one to four edits: bytes inserted, deleted, replaced, repeated, or the end cut off."""
    for _ in range(random_.randint(1, 4)):
        at = random_.randrange(len(data) + 1)
        end = min(len(data), at + random_.choice((1, 1, 2, 5, 20)))
        edit = random_.randrange(5)
        if edit == 0:
            data = data[:at] + random_.choice(PIECES) + data[at:]
        elif edit == 1:
            data = data[:at] + data[end:]
        elif edit == 2:
            data = data[:at] + random_.choice(PIECES) + data[end:]
        elif edit == 3:
            data = data[:end] + data[at:]
        elif random_.random() < 0.3:
            data = data[:at]
    return data


def options_of(random_: random.Random) -> dict[str, Any]:
    """Return random options of `read`."""
    options: dict[str, Any] = {"invalid": random_.choice(("error", "drop"))}
    choices = {
        "layout": "wide",
        "encoding": "utf-16",
        "dates": "day-first",
        "map": {"like": 1, -1: None},
        "columns": {"user_id": 1, "item_id": 2, "rating": 3},
    }
    name = random_.choice((*choices, *[""] * 15))
    return options | ({name: choices[name]} if name else {})


def unaccounted(path: Path, options: dict[str, Any]) -> int:
    """Return how many lines of a text with dropped faults are lost; 0 for other files.

    The lines are counted in the bytes, not by the parser; a header counts as one line, and lines above it are blank.
    """
    data = path.read_bytes()
    is_text = path.suffix in (".csv", ".tsv", ".txt", ".dat") and not {b"\0", b"\x1f", b"PK\3\4"} & {data[:1], data[:4]}
    if (
        not is_text
        or options != {"invalid": "drop"}
        or data[:2] in (b"\xff\xfe", b"\x1f\x8b")
        or data.lstrip()[:1] in b"{["
    ):
        return 0
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    found = read(path, **options)
    report = validate(path, **options)
    notes = " ".join([*found.notes, *(issue.message for issue in report.issues)])
    headless = "no line with column names" in notes or "Netflix" in notes
    n_lines = len(data.rstrip(b"\r\n").split(b"\n")) - (not headless)
    patterns = (
        *(
            "repeated (?:rating|event)s? of",
            "rows? without",
            "comment lines?",
            "repeated lines? of",
            "lines? such as",
            "lines? to the quoted",
        ),
        *("lines? above the table", "pairs? of user and item with weight 0"),
    )
    counts = [_first(rf"([\d,]+) {pattern}", notes) for pattern in patterns]
    counts += [_first(r"dropped ([\d,]+) bad lines?", notes), _first(r"kipped ([\d,]+) blank lines?", notes)]
    above = 0  # blank lines above the header or the first row, which are no part of the table
    for line in data.split(b"\n"):
        if line.strip() and not line.startswith((b"#", b"%")):
            break
        above += not line.strip()
    return abs(n_lines - above - len(found.ratings) - sum(counts))


def _first(pattern: str, notes: str) -> int:
    return max((int(number.replace(",", "")) for number in re.findall(pattern, notes)), default=0)


def attempts(n_mutations: int, seed: int) -> Iterator[tuple[str, str, str]]:
    """Yield the outcome of each mutation: what happened, the file's name, and the details."""
    random_, originals = random.Random(seed), seeds()
    names = list(originals)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(n_mutations):
            name = random_.choice(names)
            path = Path(folder) / name
            path.write_bytes(mutate(originals[name], random_))
            options, start = options_of(random_), time.perf_counter()
            outcome, details = "read", ""
            try:
                (read if random_.random() < 0.7 else validate)(path, **options)
                if lost := unaccounted(path, options):
                    outcome, details = "violation", f"{lost} lines of {path.read_bytes()!r}"
            except InputError as error:
                outcome, details = "refused", str(error)
            except KeyboardInterrupt:
                raise
            except BaseException:  # a panic of polars is no `Exception`
                outcome = "traceback"
                details = f"{options}\n{path.read_bytes()[:400]!r}\n{traceback.format_exc(limit=-3)}"
            if time.perf_counter() - start > HANG_SECONDS:
                outcome = "hang"
            yield outcome, name, details


def main() -> int:
    """Fuzz and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--mutations", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for outcome, name, details in attempts(arguments.mutations, arguments.seed):
            counts[outcome] += 1
            if outcome in ("traceback", "violation", "hang") and counts[outcome] <= 5:
                print(f"{outcome} in {name}: {details}\n")
    print(", ".join(f"{counts[kind]:,} {kind}" for kind in ("read", "refused", "traceback", "violation", "hang")))
    return int(any(counts[kind] for kind in ("traceback", "violation", "hang")))


if __name__ == "__main__":
    sys.exit(main())
