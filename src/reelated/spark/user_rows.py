"""Users' rows of ratings, packed into a few large cells so that a shuffle moves few records."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import scipy.sparse as sp

from reelated._kernels import CSR
from reelated.ratings.matrix import canonical_csr
from reelated.similarity import take_prefixes

CELL_RATINGS = 250_000
"""Approximate number of ratings in a cell; a user's row is never split."""
# Zstandard saves a quarter of the bytes and takes three times as long
COMPRESSION = pa.ipc.IpcWriteOptions(compression="lz4")

Transform = Callable[[sp.csr_array], sp.csr_array]
"""A function from ratings to the values that similarities are computed from, with the same sparsity."""


def unchanged(X: sp.csr_array) -> sp.csr_array:
    """Return the ratings themselves."""
    return X


class UserRows(NamedTuple):
    """Rows of ratings (CSR) with the ids of their users; a cell for a block of items may hold parts of rows."""

    user_ids: pl.Series
    activity: npt.NDArray[np.int32]  # number of ratings in the whole row of each user
    rows: CSR

    @classmethod
    def whole(cls, user_ids: pl.Series, rows: CSR) -> "UserRows":
        """Return whole rows."""
        return cls(user_ids, np.diff(rows.indptr).astype(np.int32), rows)

    def matrix(self, n_items: int) -> sp.csr_array:
        return canonical_csr(self.rows.data, self.rows.indices, self.rows.indptr, (len(self.user_ids), n_items))

    def take(self, users: npt.NDArray[np.integer[Any]], limit: int = 2**31 - 1) -> "UserRows":
        """Return the ratings of items below `limit` in the rows at the given positions."""
        return UserRows(self.user_ids.gather(users), self.activity[users], take_prefixes(self.rows, users, limit))

    def sorted_by_activity(self) -> "UserRows":
        """Sort by descending activity, then by id: the summation order of the local engine."""
        users = pl.DataFrame({"user_id": self.user_ids, "n": self.activity}).with_row_index("position")
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
        return UserRows(self.user_ids[start:stop], self.activity[start:stop], rows)

    def pack(self) -> bytes:
        offsets = pa.array(self.rows.indptr.astype(np.int32))
        lists = (pa.ListArray.from_arrays(offsets, pa.array(part)) for part in self.rows[1:])
        columns = {"user_id": self.user_ids.to_arrow(), "activity": self.activity}
        return pack(pa.table(columns | dict(zip(("items", "values"), lists, strict=True))))

    @classmethod
    def unpack(cls, cells: Iterable[bytes]) -> "UserRows":
        """Read one or more cells."""
        table = pa.concat_tables(map(unpack, cells))
        items, values = table["items"].combine_chunks(), table["values"].combine_chunks()
        lengths = items.value_lengths().to_numpy()
        indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        rows = CSR(indptr, *(part.flatten().to_numpy(zero_copy_only=False) for part in (items, values)))
        return cls(pl.Series(pl.from_arrow(table["user_id"])), table["activity"].to_numpy(), rows)


def pack(table: pa.Table) -> bytes:
    """Return a table as one cell: a compressed Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=COMPRESSION) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def unpack(cell: bytes) -> pa.Table:
    return pa.ipc.open_stream(cell).read_all()
