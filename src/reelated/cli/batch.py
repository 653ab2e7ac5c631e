"""Tables for many users: input files of users or pairs, lists and predictions as tables, and `reelated batch`."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from reelated.atomic import atomic_write
from reelated.cli.shared_options import as_id
from reelated.cli.show import print_table
from reelated.data.files import find_files
from reelated.data.table_reader import read_table
from reelated.data.text_layout import ColumnSpec
from reelated.errors import InputError, shorten
from reelated.formatting import split_list
from reelated.ratings.columns import RATING_ALIASES, USER_ALIASES, Aliases, match_columns
from reelated.recommender import Recommender

SUFFIXES = (".parquet", ".csv")


def check_output(output: Path) -> None:
    """Raise an `InputError` if the output path cannot be written."""
    if output.suffix not in SUFFIXES:
        raise InputError(f"--output {output}: expected a file that ends in {' or '.join(SUFFIXES)}.")
    if not output.parent.is_dir() or output.is_dir():
        raise InputError(f"--output {output}: expected a file in a folder that exists.")


def write_batch(tables: Iterable[pl.DataFrame], output: Path) -> int:
    """Write the tables to `output`, replace an existing file atomically, and return the number of rows."""
    # The temporary folder is on the target's file system: only there is the final rename atomic.
    folder = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        rows, parts = 0, []
        for number, table in enumerate(tables):
            parts.append(folder / f"{number:06}.parquet")
            table.write_parquet(parts[-1])
            rows += len(table)
        merged = folder / output.name
        # polars streams the parts, so that the lists of all users are never in memory at once
        stream = pl.scan_parquet(parts)
        stream.sink_csv(merged) if output.suffix == ".csv" else stream.sink_parquet(merged)
        merged.replace(output)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"--output {output}: cannot be written ({error}).") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return rows


def write_rejects(rows: pl.DataFrame, source: str, rejects: Path) -> None:
    """Write the rejected rows of a source atomically; refuse to overwrite the source."""
    if Path(source).resolve() in (rejects.resolve(), rejects.parent.resolve()):
        raise InputError(f"--rejects {rejects}: this is SOURCE itself, or lies in it. Name another file.")
    with atomic_write(rejects) as temporary:
        rows.write_csv(temporary)


def as_users(rec: Recommender, text: str) -> list[Any]:
    """Parse `1,2,3`, or a file with one id per line or a column `user_id`; each user is listed once."""
    users = _users_of_file(text) if Path(text).is_file() else split_list(text)
    if not users:
        raise InputError(f"--users {shorten(text)}: expected ids such as 1,2,3, or a file with them.")
    return [as_id(rec.user_ids, user, "users") for user in dict.fromkeys(users)]


def _users_of_file(path: str) -> list[str]:
    spec, data = _file_with_ids(path, USER_ALIASES, ("user_id",))
    lines = [line.strip() for line in data.decode("utf-8-sig", errors="replace").splitlines() if line.strip()]
    if not any(mark in line for line in lines for mark in ",;\t|"):  # one column, with or without a name
        return lines[1:] if lines and match_columns(lines[:1], spec.aliases) else lines
    table, _ = read_table(Path(path).name, data, spec)
    return [str(user) for user in table["user_id"].drop_nulls()]


def read_pairs(rec: Recommender, path: str) -> pl.DataFrame:
    """Read a table of pairs of user and item, with ids as in the data."""
    spec, data = _file_with_ids(path, RATING_ALIASES, ("user_id", "item_id"))
    table, _ = read_table(Path(path).name, data, spec)
    return table


def _file_with_ids(path: str, aliases: Aliases, ids: tuple[str, ...]) -> tuple[ColumnSpec, bytes]:
    """Return the id columns to read, and the content of the file that has them."""
    spec = ColumnSpec({name: aliases[name] for name in ids}, ids)
    files = find_files(path, spec)
    return spec, files.read(files.roles["ratings"])


def print_lists(tables: Iterable[pl.DataFrame], noun: str, form: str) -> None:
    """Print the lists of several users; reasons about a user are shown to that user only."""
    table = pl.concat(tables)
    print_table(table.rename({"title": noun}) if form == "table" else table, form)
