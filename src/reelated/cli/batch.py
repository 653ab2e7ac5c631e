"""Write the recommendations of all users to one file, in bounded memory and atomically."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from reelated.errors import InputError

SUFFIXES = (".parquet", ".csv")


def check_output(output: Path) -> Path:
    """Return the output path, or raise an `InputError` if it cannot be written."""
    if output.suffix not in SUFFIXES:
        raise InputError(f"--output {output}: expected a file that ends in {' or '.join(SUFFIXES)}.")
    if not output.parent.is_dir() or output.is_dir():
        raise InputError(f"--output {output}: expected a file in a folder that exists.")
    return output


def write_batch(tables: Iterable[pl.DataFrame], output: Path) -> int:
    """Write the tables to `output`, replace an existing file atomically, and return the number of rows."""
    check_output(output)
    # The temporary folder is on the target's file system: only there is the final rename atomic.
    folder = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        rows, parts = 0, []
        for number, table in enumerate(tables):
            parts.append(folder / f"{number:06}.parquet")
            table.write_parquet(parts[-1])
            rows += len(table)
        merged = folder / output.name
        # Polars streams the parts: reading them at once would hold the lists of all users in memory.
        stream = pl.scan_parquet(parts)
        stream.sink_csv(merged) if output.suffix == ".csv" else stream.sink_parquet(merged)
        merged.replace(output)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"--output {output}: cannot be written ({error}).") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return rows
