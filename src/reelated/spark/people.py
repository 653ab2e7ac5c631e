"""Rows of ratings packed into a few large cells, so that a shuffle moves few records."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import scipy.sparse as sp

from reelated._kernels import CSR
from reelated.similarity import take_rows

PIECE = 250_000
"""Approximate number of ratings in a cell; a user's row is never cut."""
CODEC = pa.ipc.IpcWriteOptions(compression="zstd")


class People(NamedTuple):
    """The rows of ratings of some users, with the users' ids."""

    user_ids: pl.Series
    rows: CSR

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of ratings of each user."""
        return np.diff(self.rows.indptr)

    def matrix(self, n_items: int) -> sp.csr_array:
        """Return the rows as a SciPy matrix."""
        made = sp.csr_array((self.rows.data, self.rows.indices, self.rows.indptr), shape=(len(self.user_ids), n_items))
        made.has_canonical_format = True
        return made

    def take(self, users: npt.NDArray[np.integer[Any]]) -> "People":
        """Return the rows at the given positions."""
        return People(self.user_ids.gather(users), take_rows(self.rows, users))

    def by_activity(self) -> "People":
        """Sort by falling number of ratings, then by id: the order in which the local engine adds up."""
        places = pl.DataFrame({"user_id": self.user_ids, "n": self.lengths}).with_row_index("place")
        ordered = places.sort("n", "user_id", descending=[True, False])
        return self.take(ordered["place"].to_numpy())

    def pieces(self) -> Iterator["People"]:
        """Cut into ranges of about `PIECE` ratings."""
        begins = np.searchsorted(self.rows.indptr, np.arange(0, self.rows.indptr[-1], PIECE))
        for start, stop in zip(begins, [*begins[1:], len(self.user_ids)], strict=True):
            if start < stop:
                yield self.part(start, stop)

    def part(self, start: int, stop: int) -> "People":
        """Return a range of the rows."""
        indptr, indices, data = self.rows
        here = slice(indptr[start], indptr[stop])
        return People(self.user_ids[start:stop], CSR(indptr[start : stop + 1] - here.start, indices[here], data[here]))

    def pack(self) -> bytes:
        """Return the rows as one cell."""
        begins = pa.array(self.rows.indptr.astype(np.int32))
        lists = (pa.ListArray.from_arrays(begins, pa.array(part)) for part in self.rows[1:])
        return pack(pa.table([self.user_ids.to_arrow(), *lists], ["user_id", "items", "values"]))

    @classmethod
    def unpack(cls, cells: Iterable[bytes]) -> "People":
        """Read one or more cells."""
        table = pa.concat_tables(map(unpack, cells))
        items, values = table["items"].combine_chunks(), table["values"].combine_chunks()
        lengths = items.value_lengths().to_numpy()
        indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        rows = CSR(indptr, *(part.flatten().to_numpy(zero_copy_only=False) for part in (items, values)))
        return cls(pl.Series(pl.from_arrow(table["user_id"])), rows)


def pack(table: pa.Table) -> bytes:
    """Return a table as one cell: a compressed Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=CODEC) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def unpack(cell: bytes) -> pa.Table:
    """Read a cell."""
    return pa.ipc.open_stream(cell).read_all()
