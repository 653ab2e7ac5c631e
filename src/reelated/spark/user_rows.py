"""Users' rows of ratings, packed into a few large cells so that a shuffle moves few records."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import scipy.sparse as sp

from reelated._kernels import CSR
from reelated.ratings.matrix import canonical_csr
from reelated.similarity import take_rows

CELL_RATINGS = 250_000
"""Approximate number of ratings in a cell; a user's row is never split."""
COMPRESSION = pa.ipc.IpcWriteOptions(compression="zstd")


class UserRows(NamedTuple):
    """Rows of ratings (CSR) with the ids of their users."""

    user_ids: pl.Series
    rows: CSR

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of ratings of each user."""
        return np.diff(self.rows.indptr)

    def matrix(self, n_items: int) -> sp.csr_array:
        return canonical_csr(self.rows.data, self.rows.indices, self.rows.indptr, (len(self.user_ids), n_items))

    def take(self, users: npt.NDArray[np.integer[Any]]) -> "UserRows":
        """Return the rows at the given positions."""
        return UserRows(self.user_ids.gather(users), take_rows(self.rows, users))

    def sorted_by_activity(self) -> "UserRows":
        """Sort by descending number of ratings, then by id: the summation order of the local engine."""
        users = pl.DataFrame({"user_id": self.user_ids, "n": self.lengths}).with_row_index("position")
        return self.take(users.sort("n", "user_id", descending=[True, False])["position"].to_numpy())

    def chunks(self) -> Iterator["UserRows"]:
        """Split into ranges of about `CELL_RATINGS` ratings."""
        starts = np.searchsorted(self.rows.indptr, np.arange(0, self.rows.indptr[-1], CELL_RATINGS))
        for start, stop in zip(starts, [*starts[1:], len(self.user_ids)], strict=True):
            if start < stop:
                yield self.slice(start, stop)

    def slice(self, start: int, stop: int) -> "UserRows":
        indptr, indices, data = self.rows
        low, high = indptr[start], indptr[stop]
        rows = CSR(indptr[start : stop + 1] - low, indices[low:high], data[low:high])
        return UserRows(self.user_ids[start:stop], rows)

    def pack(self) -> bytes:
        offsets = pa.array(self.rows.indptr.astype(np.int32))
        lists = (pa.ListArray.from_arrays(offsets, pa.array(part)) for part in self.rows[1:])
        return pack(pa.table([self.user_ids.to_arrow(), *lists], ["user_id", "items", "values"]))

    @classmethod
    def unpack(cls, cells: Iterable[bytes]) -> "UserRows":
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
    with pa.ipc.new_stream(sink, table.schema, options=COMPRESSION) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def unpack(cell: bytes) -> pa.Table:
    return pa.ipc.open_stream(cell).read_all()
