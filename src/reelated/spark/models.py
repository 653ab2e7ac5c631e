"""The models on a cluster: the sums that executors compute over the users' rows, and the steps left to the driver."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import clone

from reelated.errors import InputError, TooLarge, check_memory, shorten, show_bytes
from reelated.models import EASE, BiasModel, ItemKNN
from reelated.models.biases import row_means
from reelated.similarity import (
    MAX_GRAM_BYTES,
    Similarity,
    SimilarityParams,
    as_gram_matrix,
    solve_dense_ridge,
    solve_local_ridge,
    weighted,
)
from reelated.similarity.ridge import as_weights
from reelated.spark.blocks import bytes_of_row, choose
from reelated.spark.pairs import Valued, Wanted, added_up, sent
from reelated.spark.rows import Numbers, Rows, cores, totals
from reelated.spark.shards import assembled, put_in_place

Progress = Callable[[float], None]


class Work(NamedTuple):
    """The folder, memory limit, rating scale and progress callback of a fit."""

    folder: Path  # shared by all machines; executors write into it
    memory: int  # maximum bytes of a task's table
    scale: tuple[float, float]
    progress: Progress


# ------------------------------------------------------------------------------------------------- baseline
@dataclass(frozen=True)
class Beyond:
    """Sum, for each item, what ratings exceed the mean and the user's bias: one round of `BiasModel`."""

    mean: float
    item_bias: Numbers | None  # None in the first round
    reg_user: float

    def __call__(self, X: sp.csr_array) -> Numbers:
        """Return the sums of every item."""
        beyond = X.data.astype(np.float64) - self.mean
        if self.item_bias is not None:
            users = row_means(X, beyond - self.item_bias[X.indices], self.reg_user)
            beyond = beyond - np.repeat(users, np.diff(X.indptr))
        return np.bincount(X.indices, beyond, X.shape[1]).astype(np.float64)[None]


def counts_and_sums(X: sp.csr_array) -> Numbers:
    """Return the number of ratings of each item, and their sum."""
    counts = np.bincount(X.indices, minlength=X.shape[1])
    return np.stack([counts.astype(np.float64), np.bincount(X.indices, X.data, X.shape[1])])


def fit_baseline(rows: Rows, baseline: BiasModel, scale: tuple[float, float]) -> BiasModel:
    """Fit the mean and the item biases; items are in ascending index order."""
    (reg_user, reg_item, rounds), made = baseline.settings(), clone(baseline)
    counts, sums = totals(rows, counts_and_sums, 2)
    mean = float(sums.sum() / counts.sum())
    bias: Any = None
    for _ in range(rounds):
        (beyond,) = totals(rows, Beyond(mean, bias, reg_user), 1)
        bias = np.divide(beyond, reg_item + counts, out=np.zeros(len(counts)), where=counts > 0)
    made.scale_, made.n_features_in_ = scale, rows.n_items
    made.set_learned(mean, by_number(bias, rows))
    return made


def by_number(by_place: npt.NDArray[Any], rows: Rows) -> npt.NDArray[Any]:
    """Reorder an array from popularity order to item index order."""
    ordered = np.empty_like(by_place)
    ordered[rows.items.order] = by_place
    return ordered


# ----------------------------------------------------------------------------------------------- neighbours
@dataclass(frozen=True)
class KnnValues:
    """Map ratings to the values that `ItemKNN` computes similarities of; offsets and lengths go by popularity."""

    knn: ItemKNN
    lengths: Numbers

    def __call__(self, X: sp.csr_array) -> sp.csr_array:
        """Return the values in the places of the ratings."""
        if self.knn.similarity == "jaccard":
            return sp.csr_array((np.ones(X.nnz, self.knn.dtype), X.indices, X.indptr), shape=X.shape)
        return weighted(self.knn.centered(X, self.knn.dtype), self.knn.weighting, self.lengths)


@dataclass(frozen=True)
class Weigh:
    """Map rows to the number of ratings, the sum of squares, and the number of additions of each item."""

    valued: Valued

    def __call__(self, X: sp.csr_array) -> Numbers:
        """Return the three sums of every item."""
        lengths = np.diff(X.indptr)
        facts = np.ones(X.nnz), np.square(self.valued(X).data, dtype=np.float64), np.repeat(lengths, lengths)
        return np.stack([np.bincount(X.indices, fact, X.shape[1]) for fact in facts])


class Found(NamedTuple):
    """The neighbours and norms of all items in index order, and a function that reads plain sums by name."""

    similarity: Similarity
    norms: Numbers
    square: Callable[[str], npt.NDArray[Any]]


def neighbours(
    rows: Rows, valued: Valued, measure: SimilarityParams, dtype: str, work: Work, plain: tuple[str, ...] = ()
) -> Found:
    """Find the neighbours of every item on the executors."""
    sizes, squares, cost = totals(rows, Weigh(valued), 3)
    norms = np.sqrt(squares)
    row = bytes_of_row(rows.n_items, measure, np.dtype(dtype).itemsize)
    blocks = choose(cost, row, work.memory, cores(rows.frame.sparkSession))
    work.progress(0.2)
    wanted = Wanted(measure, sizes.astype(np.int64), norms, rows.items.order, str(work.folder), dtype, plain)
    lengths = added_up(sent(rows, valued, blocks), blocks, wanted)
    work.progress(0.9)
    similarity = assembled(work.folder, blocks, lengths, rows.items.order, dtype)

    def square(name: str) -> npt.NDArray[Any]:
        return put_in_place(work.folder, lengths, blocks, rows.items.order, name)

    return Found(similarity, by_number(norms, rows), square)


def prepared_knn(rows: Rows, knn: ItemKNN, scale: tuple[float, float]) -> tuple[ItemKNN, KnnValues]:
    """Return the estimator with its offsets, and the values that its similarity is computed of."""
    made = clone(knn)
    made.item_weights_params()
    made.scale_, made.n_features_in_ = scale, rows.n_items
    if made.weighting is not None and rows.items.low < 0:
        raise InputError(f"weighting={made.weighting!r} on the rating {rows.items.low:g}: expected none below 0.")
    counts = sums = made.offset_ = np.zeros(rows.n_items)
    if made.similarity == "pearson" or made.weighting == "bm25":
        counts, sums = totals(rows, counts_and_sums, 2)
    if made.similarity == "pearson":
        made.offset_ = by_number(np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0), rows)
    elif made.similarity in ("residual-cosine", "residual-pearson"):
        made.offset_ = fit_baseline(rows, BiasModel(), scale).offsets.items
    at_work = clone(made)
    at_work.offset_ = made.offset_[rows.items.order]
    return made, KnnValues(at_work, sums)


def fit_knn(rows: Rows, knn: ItemKNN, work: Work) -> ItemKNN:
    """Find the neighbours; the similarity is memory-mapped from the work folder."""
    made, valued = prepared_knn(rows, knn, work.scale)
    found = neighbours(rows, valued, made.item_weights_params(), made.dtype, work)
    made.item_weights_, made.n_common_ = found.similarity
    return made


# ----------------------------------------------------------------------------------------------------- EASE
@dataclass(frozen=True)
class EaseValues:
    """Map ratings to the values that `EASE` is fitted to."""

    ease: EASE

    def __call__(self, X: sp.csr_array) -> sp.csr_array:
        """Return the values in the places of the ratings."""
        return self.ease.weighted(X)


def fit_ease(rows: Rows, ease: EASE, work: Work) -> EASE:
    """Fit the weights: executors compute the Gram matrix, the driver solves it."""
    made, ridge, n_items = clone(ease), ease.ridge(), rows.n_items
    needed, limit = square_bytes(ease, n_items), check_memory("max_memory", ease.max_memory)
    if needed > (limit or MAX_GRAM_BYTES):
        raise TooLarge(
            f"{shorten(ease)}: the square of {n_items:,} items takes {show_bytes(needed)} on the driver, which has "
            f"{show_bytes(limit or MAX_GRAM_BYTES)}. Raise max_memory of the model, or take ItemKNN, "
            "which needs no square."
        )
    made.scale_, made.n_features_in_ = work.scale, n_items
    near, keep, valued = ease.n_candidates, ease.n_neighbors or n_items, EaseValues(made)
    measure = SimilarityParams(n_neighbors=near or 1)  # the closed form uses no neighbours, and 1 is the fewest
    found = neighbours(rows, valued, measure, ease.dtype, work, ("sums",) if near else ("sums", "counts"))
    gram = found.square("sums")
    if near is not None:
        weights = solve_local_ridge(found.similarity, found.norms, as_gram_matrix(gram), ridge, keep)
    else:
        (indices, indptr), kept, cut = solve_dense_ridge(gram, ridge, keep)
        common = found.square("counts")[np.repeat(np.arange(n_items), np.diff(indptr)), indices]
        weights = as_weights(kept, common, (indices, indptr), cut)
    made.item_weights_, made.n_common_, made.truncation_error_ = weights
    return made


def square_bytes(ease: EASE, n_items: int) -> int:
    """Return the driver's memory for the item × item matrix."""
    width = np.dtype(ease.dtype).itemsize
    return n_items**2 * (width if ease.n_candidates else width + 4)
