"""`Protocol`: a published way to measure, with the published figures."""

import lzma
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.data.reading import find_tables
from reelated.errors import InputError
from reelated.evaluation.evaluation import Evaluation
from reelated.evaluation.running import Ask, evaluate
from reelated.evaluation.splits import Split, hide
from reelated.parallel import Progress
from reelated.ratings import Dataset
from reelated.recommender import Recommender

Mask = npt.NDArray[np.bool_]


class Material:
    """The ratings of a source in file order, and the files of a published split (by default in the source's folder)."""

    def __init__(self, source: Any, split: Any = None) -> None:
        self.source = source
        self._split = split

    @cached_property
    def _found(self) -> Any:
        return find_tables(self.source, None, "error", {})

    @property
    def table(self) -> pl.DataFrame:
        """The ratings in the order of the file."""
        table: pl.DataFrame = self._found.ratings
        return table

    @cached_property
    def data(self) -> Dataset:
        """The ratings as a data set, with the side information of items and users."""
        found = self._found
        known = (found.known.get(kind) for kind in ("items", "users"))
        return Dataset.from_frames(found.ratings, *known, scale=found.scale, name=found.name)

    def hide(self, hidden: Mask, how: str, fitted: Mask | None = None, shown: Mask | None = None) -> Split:
        """Return a split that hides ratings; unlike in `splits.hide`, masks follow the rows of the file."""
        ids = self.data.ratings
        users = ids.user_ids.indices_of(self.table["user_id"])
        order = np.lexsort((ids.item_ids.indices_of(self.table["item_id"]), users))
        fitted, shown = (None if mask is None else mask[order] for mask in (fitted, shown))
        return hide(self.data, hidden[order], how, fitted, shown)

    def file(self, pattern: str, published: str) -> Path:
        """Return the one file of the published split that matches a pattern, or say where it is published."""
        source = Path(str(self.source))
        where = source if self._split is None else Path(self._split)
        where = where if where.is_dir() else where.parent
        found = sorted(where.glob(pattern))
        if len(found) == 1:
            return found[0]
        why = f"several files like {pattern}" if found else f"no file {pattern}"
        raise InputError(f"{why} in {str(where)!r}. It is published at {published}. Name it: split='…'.")


def text_of(path: Path) -> str:
    """Return the text of a file, which may be compressed with xz."""
    data = path.read_bytes()
    return (lzma.decompress(data) if path.suffix == ".xz" else data).decode("utf-8")


def _sized(size: tuple[int, int, int]) -> str:
    return "{:,} ratings by {:,} users of {:,} items".format(*size)


@dataclass(frozen=True, slots=True)
class Published:
    """One row of a published table.

    Attributes
    ----------
    model : str
        Its name in the publication.
    values : tuple of float or None
        In the order of the protocol's columns; None where nothing was published.
    note : str
        How it was measured, where that differs.
    """

    model: str
    values: tuple[float | None, ...]
    note: str = ""


@dataclass(frozen=True)
class Protocol:
    """A published way to measure.

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
    splits : callable
        Makes the splits of a `Material`.
    n : tuple of int
        The lengths of the lists.
    ask : {"items", "users"}
        What is ranked.
    """

    name: str
    data: str
    size: tuple[int, int, int]
    definition: str
    source: str
    columns: dict[str, tuple[str, str | None]]
    published: tuple[Published, ...]
    splits: Callable[[Material], list[Split]]
    n: tuple[int, ...] = (10,)
    ask: Ask = "items"

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
            The folder with the files of the published split, or one of them; by default the folder of the source.
        progress : callable, optional
            Called with the completed share, from 0 to 1.

        Returns
        -------
        Evaluation

        Raises
        ------
        InputError
            The source holds other data, or a file of the split is missing; the message says where it is published.
        """
        return evaluate(recommender, self.made(source, split), self.n, ask=self.ask, progress=progress)

    def made(self, source: Any, split: Any = None) -> list[Split]:
        """Return the splits of this protocol.

        Parameters
        ----------
        source, split
            As for `evaluate`.

        Returns
        -------
        list of Split
        """
        material = Material(source, split)
        found = material.data.ratings
        size = (len(found), *found.matrix.shape)
        if size != self.size:
            wanted, got = ("{:,} ratings by {:,} users of {:,} items".format(*numbers) for numbers in (self.size, size))
            raise InputError(f"source={str(source)!r} holds {got}: {self.name} needs {self.data} with {wanted}.")
        return self.splits(material)

    def row(self, result: Evaluation) -> tuple[float | None, ...]:
        """Return the measured values in the order of the published columns; None where no rating was predicted.

        Parameters
        ----------
        result : Evaluation
            An evaluation by this protocol.

        Returns
        -------
        tuple of float or None
        """
        missing = set() if ("rmse", None) in result._names else {"rmse", "mae"}
        return tuple(None if name in missing else result.value(name, of) for name, of in self.columns.values())
