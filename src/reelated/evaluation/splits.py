"""Splits: which ratings a model learns from, and which are hidden to measure it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.data import folds
from reelated.errors import InputError, check_integer, check_number, plural
from reelated.ratings import Dataset, FrameLike, Ids, Ratings
from reelated.ratings.dataset import as_dataset
from reelated.ratings.frames import rating_columns
from reelated.ratings.matrix import NO_TIME, canonical_csr

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Split:
    """Ratings to train on, and hidden ratings to measure on.

    Attributes
    ----------
    train : Dataset
        The data that a model is fitted to: the whole catalogue, and the ratings that are not hidden.
    test : polars.DataFrame
        `user_id item_id rating`: the hidden ratings.
    how : str
        How they were chosen, in one sentence.
    shown : Ratings or None
        The ratings that the fitted model recommends from; None if these are the training ratings.
    candidates : polars.DataFrame or None
        `user_id item_id`: the only items to rank for each user; None if all items are ranked.
    """

    train: Dataset
    test: pl.DataFrame
    how: str
    shown: Ratings | None = None
    candidates: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        if self.test.is_empty():
            raise InputError(f"{self.train.name}: nothing is hidden ({self.how}). Hide more, or give more ratings.")

    def __repr__(self) -> str:
        ratings = self.train.ratings
        return f"{self.train.name}: {plural(len(ratings), ratings.word)} to learn from, {len(self.test):,} hidden"


def predefined_split(train: Dataset | FrameLike, test: FrameLike, how: str = "as given") -> Split:
    """Return a split of separate training and test data.

    Parameters
    ----------
    train : Dataset or table
        The data to train on.
    test : table
        `user_id item_id rating`, with ids of the same types.
    how : str, default "as given"
        How the data was split, in one sentence.

    Raises
    ------
    InputError
        A column is missing, or the ids are not of the types in `train`.
    """
    train, table = as_dataset(train), rating_columns(test)
    for kind, ids in (("user_id", train.ratings.user_ids), ("item_id", train.ratings.item_ids)):
        if table[kind].dtype != ids.values.dtype:
            raise InputError(f"test: {kind} is not of type {ids.type_name} as in train. Make them the same.")
    return Split(train, table.select("user_id", "item_id", "rating"), how)


def predefined_folds(source: Any) -> list[Split]:
    """Return the five official folds of MovieLens 100K, u1 … u5.

    Parameters
    ----------
    source : str or Path
        The folder or zip of MovieLens 100K, or `"ml-100k"`.
    """
    return [
        predefined_split(
            replace(train, name=train.name.split(",")[0]), test, "the five official folds, each hidden in turn"
        )
        for train, test in folds(source)
    ]


def random_folds(data: Dataset | FrameLike, n_folds: int = 5, *, seed: int = 0) -> list[Split]:
    """Divide all ratings at random into folds of equal size; each split hides one fold.

    Parameters
    ----------
    data : Dataset or table
        All ratings.
    n_folds : int, default 5
        Number of folds.
    seed : int, default 0
        Random seed of the division.
    """
    data = as_dataset(data)
    n_folds, n = check_integer("n_folds", n_folds, 2), len(data.ratings)
    fold_of = np.random.default_rng(seed).permutation(n) % n_folds
    how = f"one of {n_folds} random parts of all ratings is hidden in turn, seed {seed}"
    return [hide(data, fold_of == fold, how) for fold in range(n_folds)]


def within_users(data: Dataset | FrameLike, share: float = 0.2, *, seed: int = 0) -> Split:
    """Hide a random share of every user's ratings.

    Parameters
    ----------
    data : Dataset or table
        All ratings.
    share : float, default 0.2
        Share of a user's ratings to hide, rounded to whole ratings.
    seed : int, default 0
        Random seed of the choice.
    """
    data = as_dataset(data)
    return _within(data, data.ratings.user_indices(), "user", share, seed)


def within_items(data: Dataset | FrameLike, share: float = 0.2, *, seed: int = 0) -> Split:
    """Hide a random share of every item's ratings.

    Parameters
    ----------
    data, share, seed
        As for `within_users`.
    """
    data = as_dataset(data)
    return _within(data, data.ratings.matrix.indices, "item", share, seed)


def leave_last_out(data: Dataset | FrameLike, last: int = 1) -> Split:
    """Hide the last ratings of every user, by the order given with the ratings or else by their timestamps.

    Among ratings of the same time, the higher item index counts as later. A user with no more than `last`
    ratings keeps them all.

    Parameters
    ----------
    data : Dataset or table
        All ratings.
    last : int, default 1
        Number of ratings to hide for each user.

    Raises
    ------
    InputError
        Neither the time nor the order of every rating is known.
    """
    data = as_dataset(data)
    ratings, last = data.ratings, check_integer("last", last, 1)
    times, by = ratings.times, "time" if ratings.times is ratings.timestamps else "the order given"
    if times is None:
        raise InputError(
            f"{_missing_times(ratings)}, and no order. Give a column timestamp or order, or split at random."
        )
    users, counts = ratings.user_indices(), np.diff(ratings.matrix.indptr)
    rank = _ranks(users, np.lexsort((times, users)))
    mask = (rank >= counts[users] - last) & (counts[users] > last)
    return hide(data, mask, f"the last {'rating' if last == 1 else f'{last} ratings'} of each user, by {by}")


def by_time(data: Dataset | FrameLike, share: float = 0.2, *, at: int | None = None) -> Split:
    """Hide all ratings given at or after a point in time.

    Parameters
    ----------
    data : Dataset or table
        All ratings.
    share : float, default 0.2
        Share of all ratings to hide, the latest ones; not used where `at` is given.
    at : int, optional
        Unix time in seconds; ratings given then or later are hidden.

    Raises
    ------
    InputError
        The time of some ratings is not known.
    """
    data = as_dataset(data)
    ratings, times = data.ratings, data.ratings.timestamps
    if times is None or (times == NO_TIME).any():
        raise InputError(f"{_missing_times(ratings)}. Give a column timestamp, or split at random.")
    if at is None:
        latest = round(check_number("share", share, 0, 1) * len(times))
        at = int(np.sort(times)[-latest]) if latest else int(times.max()) + 1
    day = np.datetime64(check_integer("at", at, -(2**62)), "s").astype("datetime64[D]")
    return hide(data, times >= at, f"all ratings from {day} on are hidden")


def held_out_users(data: Dataset | FrameLike, share: float = 0.1, *, shown: float = 0.8, seed: int = 0) -> Split:
    """Hold some users out of the fit; show the fitted model a part of their ratings and hide the rest.

    Parameters
    ----------
    data : Dataset or table
        All ratings.
    share : float, default 0.1
        Share of the users to hold out, chosen at random.
    shown : float, default 0.8
        Share of each held-out user's ratings that the fitted model is shown, chosen at random and rounded.
    seed : int, default 0
        Random seed of the choice of users and of ratings.
    """
    data = as_dataset(data)
    ratings, users = data.ratings, data.ratings.user_indices()
    share, shown = check_number("share", share, 0, 1), check_number("shown", shown, 0, 1)
    n_users = len(ratings.user_ids)
    held_out = (np.random.default_rng(seed).permutation(n_users) < round(share * n_users))[users]
    hidden = held_out & _first_of_each(users, _shuffled(users, seed), 1 - shown)
    how = f"{share:.0%} of the users are kept from the fit, then {shown:.0%} of their ratings are shown, seed {seed}"
    return hide(data, hidden, how, train=~held_out, shown=held_out & ~hidden)


def _within(data: Dataset, groups: npt.NDArray[Any], kind: str, share: float, seed: int) -> Split:
    mask = _first_of_each(groups, _shuffled(groups, seed), check_number("share", share, 0, 1))
    return hide(data, mask, f"{share:.0%} of each {kind}'s ratings are hidden at random, seed {seed}")


def _shuffled(groups: npt.NDArray[Any], seed: int) -> npt.NDArray[np.int64]:
    """Return the positions of all ratings, grouped, in random order within each group."""
    # integer group + fraction in [0, 1): one sort groups and shuffles
    return np.argsort(groups + np.random.default_rng(check_integer("seed", seed, 0)).random(len(groups)))


def _ranks(groups: npt.NDArray[Any], order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the position of each rating within its group, from 0; `order` keeps groups together."""
    starts = np.searchsorted(groups[order], groups[order])
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order)) - starts
    return ranks


def _first_of_each(groups: npt.NDArray[Any], order: npt.NDArray[np.int64], share: float) -> Mask:
    """Mark a rounded share of the ratings of each group, the first in the given order."""
    return _ranks(groups, order) < np.round(share * np.bincount(groups))[groups]


def _missing_times(ratings: Ratings) -> str:
    """Return the beginning of an error message about unknown times."""
    missing = len(ratings) if ratings.timestamps is None else int((ratings.timestamps == NO_TIME).sum())
    return f"{plural(missing, 'rating')} of {len(ratings):,} have no time"


def hide(data: Dataset, hidden: Mask, how: str, train: Mask | None = None, shown: Mask | None = None) -> Split:
    """Return a split that hides the marked ratings; masks follow `data.ratings.matrix.data`."""
    ratings = data.ratings
    if ratings.declared == "implicit":
        hidden = hidden & (ratings.matrix.data > 0)  # ratings below 0 mean "not interested" and are never hidden
    test = pl.DataFrame(
        {
            "user_id": ratings.user_ids.take(ratings.user_indices()[hidden]),
            "item_id": ratings.item_ids.take(ratings.matrix.indices[hidden]),
            "rating": ratings.matrix.data[hidden],
        }
    )
    data = replace(data, ratings=select(ratings, ~hidden if train is None else train))
    return Split(data, test, how, None if shown is None else select(ratings, shown))


def select(ratings: Ratings, keep: Mask) -> Ratings:
    """Return the ratings marked in `keep`, with the ids of the users and items that still have any."""
    if not keep.any():
        raise InputError("All ratings are hidden: nothing is left to learn from. Hide fewer.")
    users, items = ratings.user_indices()[keep], ratings.matrix.indices[keep]
    rows, columns = np.unique(users), np.unique(items)
    indptr = np.concatenate([[0], np.searchsorted(users, rows, side="right")])
    indices, indptr = (part.astype(ratings.matrix.indices.dtype) for part in (np.searchsorted(columns, items), indptr))
    matrix = canonical_csr(ratings.matrix.data[keep], indices, indptr, (len(rows), len(columns)))
    return Ratings(
        Ids(ratings.user_ids.take(rows), "user"),
        Ids(ratings.item_ids.take(columns), "item"),
        matrix,
        ratings.scale,
        None if ratings.timestamps is None else ratings.timestamps[keep],
        None if ratings.order is None else ratings.order[keep],
        declared=ratings.declared,
    )


def check_splits(splits: Split | Sequence[Split] | Iterator[Split]) -> list[Split]:
    """Return one or several splits as a list, or raise `InputError`."""
    as_list = [splits] if isinstance(splits, Split) else list(splits)
    if not as_list or not all(isinstance(split, Split) for split in as_list):
        raise InputError("split: expected a Split such as within_users(data) gives, or several.")
    return as_list


SPLITS: dict[str, Callable[..., Split | list[Split]]] = {
    "within-users": within_users,
    "within-items": within_items,
    "last": leave_last_out,
    "time": by_time,
    "random": random_folds,
    "new-users": held_out_users,
}
"""Splits by their names in the terminal."""
