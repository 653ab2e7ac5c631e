"""`evaluate_new_users`: the calibration of predicted ratings of users outside the fit, after a few ratings."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import InputError, check_integer, no_rater
from reelated.evaluation.evaluate import fit_copy
from reelated.evaluation.splits import select
from reelated.parallel import Progress, part_of
from reelated.ratings import Dataset
from reelated.ratings.dataset import as_dataset
from reelated.recommender import Recommender
from reelated.recommender.elicitation import elicitation_order
from reelated.recommender.engine import WeightedRows

Numbers = npt.NDArray[np.float64]
N_GIVEN = (0, 1, 3, 5, 10, 20)
N_FOLDS = 5
RESAMPLES = 1000
DEFINITION = (
    "Every user is held out of the fit once, in five folds. The start page asks for movies in a fixed order. The model "
    "is shown the first ratings that the user gives in this order, and predicts the user's other ratings. Each "
    "predicted rating counts the same. In brackets: 95 % interval over users."
)


@dataclass(frozen=True, slots=True)
class NewUserRow:
    """The calibration of predicted ratings for users with a certain number of given ratings.

    Attributes
    ----------
    n_given : int
        Number of ratings that each user has given.
    users, ratings : int
        Number of users who rated `n_given` of the items asked for, and another item; number of their predicted ratings.
    mean : float
        Mean of those ratings.
    bias, bias_low, bias_high : float
        Mean predicted rating minus `mean`, with the ends of its 95 % interval.
    user_bias : float
        The bias if each user has the same weight, instead of each rating.
    coverage, coverage_low, coverage_high : float or None
        Share of the ratings in their 80 % interval; None if the model has no intervals.
    rmse : float
        Root mean squared error.
    """

    n_given: int
    users: int
    ratings: int
    mean: float
    bias: float
    bias_low: float
    bias_high: float
    user_bias: float
    coverage: float | None
    coverage_low: float | None
    coverage_high: float | None
    rmse: float

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a dict."""
        return asdict(self)


class _Held(NamedTuple):
    """Held-out users: the ratings they give as rows, and the pairs to predict."""

    given: sp.csr_array
    users: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    ratings: Numbers


def evaluate_new_users(
    recommender: Recommender,
    data: Any,
    n_given: Sequence[int] = N_GIVEN,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[NewUserRow]:
    """Measure the bias of predicted ratings of new users, and the coverage of their intervals.

    Every user is held out of the fit once, in five folds. The model is shown the user's ratings of the first items that
    the start page asks for, and predicts the others. The result holds for items that users choose to rate, which are
    not a random sample of all items.

    Parameters
    ----------
    recommender : Recommender
        With a rater; copies are fitted.
    data : Dataset or table
        All ratings.
    n_given : sequence of int, default (0, 1, 3, 5, 10, 20)
        Numbers of ratings that the users give.
    seed : int, default 0
        Random seed of the folds and of the bootstrap.
    progress : callable, optional
        Called with the completed fraction, from 0 to 1.

    Returns
    -------
    list of NewUserRow
        One for each number in `n_given` that some users can give.

    Raises
    ------
    InputError
        The recommender has no rater, or there are fewer than five users.
    """
    data, counts = as_dataset(data), [check_integer("n_given", count, 0) for count in n_given]
    n_users = len(data.ratings.user_ids)
    if n_users < N_FOLDS:
        raise InputError(
            f"{N_FOLDS} folds of users: expected at least {N_FOLDS} users.", parameter="data", value=n_users
        )
    folds = np.random.default_rng(seed).permutation(n_users) % N_FOLDS
    parts: dict[int, list[Numbers]] = {count: [] for count in counts}
    for fold in range(N_FOLDS):
        rec, rows = _fit_without(recommender, data, folds == fold, part_of(progress, fold, N_FOLDS))
        order = elicitation_order(rec)
        for count in counts:
            parts[count].append(_measure(rec, _hold_out(rows, order, count)))
    tables = {count: np.concatenate(part) for count, part in parts.items()}
    return [_row(count, table, seed) for count, table in tables.items() if len(table)]


def _fit_without(
    recommender: Recommender, data: Dataset, held_out: npt.NDArray[np.bool_], progress: Progress | None
) -> tuple[Recommender, sp.csr_array]:
    """Fit a copy without some users; return it with the ratings of these users."""
    ratings = data.ratings
    trained = select(ratings, ~held_out[ratings.user_indices()])
    rec = fit_copy(recommender, replace(data, ratings=trained), progress)
    if rec.models_.rater is None:
        raise no_rater()
    return rec, ratings.onto(rec.item_ids).matrix[np.flatnonzero(held_out)]


def _hold_out(rows: sp.csr_array, order: npt.NDArray[np.int64], count: int) -> _Held:
    """Divide each row into the first `count` items of `order` and the others; leave out rows that have too few."""
    place = np.full(rows.shape[1], len(order))
    place[order] = np.arange(len(order))
    users = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    by_place = np.lexsort((place[rows.indices], users))
    rank = np.empty(rows.nnz, np.int64)
    rank[by_place] = np.arange(rows.nnz) - rows.indptr[users]
    is_given = (rank < count) & (place[rows.indices] < len(order))
    n_given = np.bincount(users[is_given], minlength=rows.shape[0])
    is_used = (n_given == count) & (np.diff(rows.indptr) > count)
    new_index = np.cumsum(is_used) - 1
    chosen, rest = is_given & is_used[users], ~is_given & is_used[users]
    indptr = np.concatenate([[0], np.cumsum(n_given[is_used])])
    shape = (int(is_used.sum()), rows.shape[1])
    given = sp.csr_array((rows.data[chosen], rows.indices[chosen], indptr), shape=shape)
    return _Held(given, new_index[users[rest]], rows.indices[rest], rows.data[rest].astype(np.float64))


def _measure(rec: Recommender, held: _Held) -> Numbers:
    """Return a row for each user: number of ratings, and sums of ratings, errors, squared errors and hits."""
    n_users, rows = held.given.shape[0], rec.engine.checked(WeightedRows(held.given, are_new=True))
    if not len(held.users):
        return np.empty((0, 5))
    predicted = rec.engine.numbers(rows, held.users, held.items, "rating").ratings
    error, inside = predicted - held.ratings, np.full(len(predicted), np.nan)
    if rec.engine.has_intervals:
        low, high = rec.engine.interval(rows, held.users, held.items)
        inside = ((low <= held.ratings) & (held.ratings <= high)).astype(np.float64)
    columns = np.ones(len(error)), held.ratings, error, error**2, inside
    return np.column_stack([np.bincount(held.users, column, minlength=n_users) for column in columns])


def _row(count: int, table: Numbers, seed: int) -> NewUserRow:
    """Return the means over all ratings, with bootstrap intervals over users."""
    rng, n = np.random.default_rng(seed), len(table)
    resampled = np.array([table[rng.integers(0, n, n)].sum(axis=0) for _ in range(RESAMPLES)])
    low, high = np.percentile(resampled / resampled[:, :1], [2.5, 97.5], axis=0)
    total = table.sum(axis=0)
    _, mean, bias, square, coverage = (total / total[0]).tolist()
    covers = not np.isnan(coverage)
    return NewUserRow(
        n_given=count,
        users=n,
        ratings=int(total[0]),
        mean=mean,
        bias=bias,
        bias_low=float(low[2]),
        bias_high=float(high[2]),
        user_bias=float(np.mean(table[:, 2] / table[:, 0])),
        coverage=coverage if covers else None,
        coverage_low=float(low[4]) if covers else None,
        coverage_high=float(high[4]) if covers else None,
        rmse=square**0.5,
    )
