"""`Protocol`: a published evaluation protocol, with the published figures."""

import lzma
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.data.read import read_tables
from reelated.errors import Advice, InputError
from reelated.evaluation.evaluate import Target, evaluate
from reelated.evaluation.result import Evaluation
from reelated.evaluation.splits import Split, hide
from reelated.parallel import Progress
from reelated.ratings import Dataset
from reelated.recommender import Recommender

Mask = npt.NDArray[np.bool_]


class ProtocolData:
    """The ratings of a source in file order, and the files of a published split (by default in the source's folder)."""

    def __init__(self, source: Any, split: Any = None) -> None:
        self.source = source
        self._split = split

    @cached_property
    def _tables(self) -> Any:
        return read_tables(self.source)

    @property
    def table(self) -> pl.DataFrame:
        """The ratings in the order of the file."""
        table: pl.DataFrame = self._tables.ratings
        return table

    @cached_property
    def dataset(self) -> Dataset:
        """The ratings as a data set, with the side information of items and users."""
        tables = self._tables
        side_info = (tables.side_tables.get(kind) for kind in ("items", "users"))
        return Dataset.from_frames(tables.ratings, *side_info, scale=tables.scale, name=tables.name)

    def hide(self, hidden: Mask, how: str, train: Mask | None = None, shown: Mask | None = None) -> Split:
        """Return a split that hides ratings; unlike in `splits.hide`, masks follow the rows of the file."""
        ids = self.dataset.ratings
        users = ids.user_ids.indices_of(self.table["user_id"])
        order = np.lexsort((ids.item_ids.indices_of(self.table["item_id"]), users))
        train, shown = (None if mask is None else mask[order] for mask in (train, shown))
        return hide(self.dataset, hidden[order], how, train, shown)

    def file(self, pattern: str, published: str) -> Path:
        """Return the only file of the published split that matches a pattern, or raise with the split's URL."""
        source = Path(str(self.source))
        folder = source if self._split is None else Path(self._split)
        folder = folder if folder.is_dir() else folder.parent
        files = sorted(folder.glob(pattern))
        if len(files) == 1:
            return files[0]
        problem = f"several files like {pattern}" if files else f"no file {pattern}"
        raise InputError(f"{problem} in {str(folder)!r}. It is published at {published}.", remedy=Advice.SPLIT)


def read_text(path: Path) -> str:
    """Return the text of a file, which may be compressed with xz."""
    data = path.read_bytes()
    return (lzma.decompress(data) if path.suffix == ".xz" else data).decode("utf-8")


@dataclass(frozen=True, slots=True)
class Published:
    """One row of a published table.

    Attributes
    ----------
    model : str
        Name of the model in the publication.
    values : tuple of float or None
        In the order of the protocol's columns; None where nothing was published.
    note : str
        How the row was measured, if this differs from the protocol.
    """

    model: str
    values: tuple[float | None, ...]
    note: str = ""


@dataclass(frozen=True)
class Protocol:
    """A published evaluation protocol.

    Attributes
    ----------
    name : str
        Its name in the terminal.
    data : str
        The data set that it needs.
    size : tuple of int
        Number of ratings, users and items in that data set.
    definition : str
        What is hidden and what is measured.
    source : str
        Who published it.
    columns : dict of str to tuple
        Name in the published table → measure and relevance here.
    published : tuple of Published
        The published figures.
    make_splits : callable
        Makes the splits from a `ProtocolData`.
    n : tuple of int
        The lengths of the lists.
    target : {"items", "users"}
        What is ranked.
    open_data : callable
        Makes the `ProtocolData` from a source and a split; by default it reads a table of ratings.
    """

    name: str
    data: str
    size: tuple[int, int, int]
    definition: str
    source: str
    columns: dict[str, tuple[str, str | None]]
    published: tuple[Published, ...]
    make_splits: Callable[[ProtocolData], list[Split]]
    n: tuple[int, ...] = (10,)
    target: Target = "items"
    open_data: Callable[[Any, Any], ProtocolData] = ProtocolData

    def evaluate(
        self, recommender: Recommender, source: Any, split: Any = None, *, progress: Progress | None = None
    ) -> Evaluation:
        """Measure a recommender by this protocol.

        Parameters
        ----------
        recommender : Recommender
            Fitted or not: copies are fitted.
        source : str or Path
            The data that the protocol needs.
        split : str or Path, optional
            The folder with the files of the published split, or one of them; by default the folder of the source. If
            the split contains all data, the source is the split itself.
        progress : callable, optional
            Called with the completed fraction, from 0 to 1.

        Raises
        ------
        InputError
            The source holds other data, or a file of the split is missing; the message says where it is published.
        """
        return evaluate(recommender, self.splits(source, split), self.n, target=self.target, progress=progress)

    def splits(self, source: Any, split: Any = None) -> list[Split]:
        """Return the splits of this protocol."""
        data = self.open_data(source, split)
        ratings = data.dataset.ratings
        size = (len(ratings), *ratings.matrix.shape)
        if size != self.size:
            expected, got = (
                "{:,} ratings by {:,} users of {:,} items".format(*numbers) for numbers in (self.size, size)
            )
            expected = f"it has {got}, and {self.name} needs {self.data} with {expected}."
            raise InputError(expected, parameter="source", value=Path(str(source)))
        return self.make_splits(data)

    def row(self, result: Evaluation) -> tuple[float | None, ...]:
        """Return the measured values in the order of the published columns; None if no rating was predicted.

        Parameters
        ----------
        result : Evaluation
            An evaluation by this protocol.
        """
        missing = set() if result.predicts_ratings else {"rmse", "mae"}
        return tuple(None if name in missing else result.value(name, of) for name, of in self.columns.values())
