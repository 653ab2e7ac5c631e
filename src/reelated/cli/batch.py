"""Everybody's lists into one file: table by table, in bounded memory, and never half a file."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from reelated.errors import InputError

WRITERS = (".parquet", ".csv")


def check_output(output: Path) -> Path:
    """Return the file to write to, or say why it cannot be one."""
    if output.suffix not in WRITERS:
        raise InputError(f"--output {output}: expected a file that ends in {' or '.join(WRITERS)}.")
    if not output.parent.is_dir() or output.is_dir():
        raise InputError(f"--output {output}: expected a file in a folder that exists.")
    return output


def write_batch(tables: Iterable[pl.DataFrame], output: Path) -> int:
    """Write tables beside the target, join them as a stream, and put the whole in place.

    Parameters
    ----------
    tables : iterable of polars.DataFrame
        In the order in which they are written.
    output : Path
        A `.parquet` or `.csv` file; one already there is replaced.

    Returns
    -------
    int
        Rows written.

    Raises
    ------
    InputError
        Another ending, or no folder to write to.
    """
    check_output(output)
    beside = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    try:
        rows, parts = 0, []
        for number, table in enumerate(tables):
            parts.append(beside / f"{number:06}.parquet")
            table.write_parquet(parts[-1])
            rows += len(table)
        whole = beside / output.name
        stream = pl.scan_parquet(parts)
        stream.sink_csv(whole) if output.suffix == ".csv" else stream.sink_parquet(whole)
        whole.replace(output)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"--output {output}: cannot be written ({error}).") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return rows
