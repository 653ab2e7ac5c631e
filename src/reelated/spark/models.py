"""Fit each model on a cluster: sums over the users' rows on the executors, the rest on the driver."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import InputError, TooLarge, check_memory, shorten, show_bytes
from reelated.models import EASE, BiasModel, ItemKNN
from reelated.models.biases import row_means
from reelated.models.estimator import clone
from reelated.parallel import Progress
from reelated.similarity import (
    MAX_GRAM_BYTES,
    Similarity,
    SimilarityParams,
    as_gram_matrix,
    normalize_items,
    normalize_users,
    solve_dense_ridge,
    solve_local_ridge,
    weighted,
)
from reelated.similarity.ridge import as_weights
from reelated.spark.block_sums import (
    BlockParams,
    Blocks,
    assemble_neighbors,
    choose_blocks,
    choose_triangles,
    row_bytes,
    send_rows,
    sum_blocks,
)
from reelated.spark.grouping import GroupedRatings, Numbers, item_totals, sum_over_users
from reelated.spark.shards import assemble_matrix
from reelated.spark.tasks import count_cores
from reelated.spark.user_rows import Transform, unchanged


class FitContext(NamedTuple):
    """The folder, memory limit, rating scale and progress callback of a fit."""

    folder: Path  # on a file system that all machines share; executors write into it
    memory: int  # maximum size of a task's table in bytes
    scale: tuple[float, float]
    progress: Progress


def residual_sums(mean: float, item_bias: Numbers | None, reg_user: float, X: sp.csr_array) -> Numbers:
    """Return the residuals of each item beyond the mean and the user biases; `item_bias` is None in the first round."""
    residuals = X.data.astype(np.float64) - mean
    if item_bias is not None:
        user_bias = row_means(X, residuals - item_bias[X.indices], reg_user)
        residuals = residuals - np.repeat(user_bias, np.diff(X.indptr))
    return np.bincount(X.indices, residuals, X.shape[1]).astype(np.float64)[None]


def counts_and_sums(X: sp.csr_array) -> Numbers:
    """Return the number and the sum of the ratings of each item."""
    counts = np.bincount(X.indices, minlength=X.shape[1])
    return np.stack([counts.astype(np.float64), np.bincount(X.indices, X.data, X.shape[1])])


def fit_bias_model(rows: GroupedRatings, model: BiasModel, scale: tuple[float, float]) -> BiasModel:
    """Fit the mean and the item biases, in item order."""
    (reg_user, reg_item, rounds), fitted = model.settings(), clone(model)
    counts, sums = sum_over_users(rows, counts_and_sums, 2)
    mean = float(sums.sum() / counts.sum())
    bias: Any = None
    for _ in range(rounds):
        (residuals,) = sum_over_users(rows, partial(residual_sums, mean, bias, reg_user), 1)
        bias = np.divide(residuals, reg_item + counts, out=np.zeros(len(counts)), where=counts > 0)
    fitted.scale_, fitted.n_features_in_ = scale, rows.n_items
    fitted.set_learned(mean, in_item_order(bias, rows))
    return fitted


def in_item_order(by_rank: npt.NDArray[Any], rows: GroupedRatings) -> npt.NDArray[Any]:
    """Reorder an array from popularity order to item order."""
    ordered = np.empty_like(by_rank)
    ordered[rows.items.order] = by_rank
    return ordered


def knn_values(knn: ItemKNN, lengths: Numbers, mean_ratings: float, X: sp.csr_array) -> sp.csr_array:
    """Return the values that `ItemKNN` computes similarities from; items are in popularity order."""
    if knn.similarity == "jaccard":
        return sp.csr_array((np.ones(X.nnz, knn.dtype), X.indices, X.indptr), shape=X.shape)
    values = weighted(knn.centered(X, knn.dtype), knn.weighting, lengths)
    return normalize_users(values, knn.user_normalization, mean_ratings)


class NeighborSearch(NamedTuple):
    """Neighbours, norms and numbers of ratings in item order, and a function that reads the saved sums by name."""

    similarity: Similarity
    norms: Numbers
    sizes: npt.NDArray[np.int64]
    read_sums: Callable[[str], npt.NDArray[Any]]


def split_items(
    rows: GroupedRatings,
    measure: SimilarityParams,
    dtype: str,
    costs: Numbers,
    memory: int,
    *,
    need_all_pairs: bool,
) -> Blocks:
    """Choose the blocks of items: each pair is added once if possible, otherwise by the blocks of both items."""
    n_cores, (partners, before) = count_cores(rows.frame.sparkSession), costs
    if dtype == "float32" and measure.n_neighbors is not None and not need_all_pairs:
        blocks = choose_triangles(before, measure, (rows.n_users, rows.n_ratings), memory, n_cores)
        if blocks is not None:
            return blocks
    return choose_blocks(partners, row_bytes(rows.n_items, measure, np.dtype(dtype).itemsize), memory, n_cores)


def find_neighbors(
    rows: GroupedRatings,
    transform: Transform,
    measure: SimilarityParams,
    dtype: str,
    context: FitContext,
    saved_sums: tuple[str, ...] = (),
) -> NeighborSearch:
    """Find the neighbours of every item on the executors."""
    totals = rows.totals if transform is unchanged else None
    if totals is None:
        totals = sum_over_users(rows, partial(item_totals, transform), 4)
    sizes, squares, costs = *totals[:2], totals[2:]
    norms, order = np.sqrt(squares), rows.items.order
    blocks = split_items(rows, measure, dtype, costs, context.memory, need_all_pairs=bool(saved_sums))
    context.progress(0.2)
    params = BlockParams(measure, sizes.astype(np.int64), norms, order, str(context.folder), dtype, saved_sums)
    lengths = sum_blocks(send_rows(rows, transform, blocks), blocks, params)
    context.progress(0.9)
    similarity = assemble_neighbors(context.folder, blocks, lengths, params)

    def read_sums(name: str) -> npt.NDArray[Any]:
        return assemble_matrix(context.folder, blocks.boundaries, lengths, order, name)

    return NeighborSearch(similarity, in_item_order(norms, rows), in_item_order(params.sizes, rows), read_sums)


def prepare_knn(rows: GroupedRatings, knn: ItemKNN, scale: tuple[float, float]) -> tuple[ItemKNN, Transform]:
    """Return the estimator with its offsets, and the transform of its similarity."""
    fitted = clone(knn)
    fitted.similarity_params()
    fitted.scale_, fitted.n_features_in_ = scale, rows.n_items
    if fitted.weighting is not None and rows.items.low < 0:
        raise InputError(
            f"expected no rating below 0, got {rows.items.low:g}.", parameter="weighting", value=fitted.weighting
        )
    counts = sums = fitted.offset_ = np.zeros(rows.n_items)
    if fitted.similarity == "pearson" or fitted.weighting == "bm25":
        counts, sums = sum_over_users(rows, counts_and_sums, 2)
    if fitted.similarity == "pearson":
        means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
        fitted.offset_ = in_item_order(means, rows)
    elif fitted.similarity in ("residual-cosine", "residual-pearson"):
        fitted.offset_ = fit_bias_model(rows, BiasModel(), scale).offsets.items
    if (fitted.similarity, fitted.weighting, fitted.user_normalization, fitted.dtype) == ("cosine", None, 0, "float32"):
        return fitted, unchanged
    ranked = clone(fitted)  # the same estimator with its offsets in popularity order
    ranked.offset_ = fitted.offset_[rows.items.order]
    return fitted, partial(knn_values, ranked, sums, rows.mean_ratings)


def fit_knn(rows: GroupedRatings, knn: ItemKNN, context: FitContext) -> ItemKNN:
    """Fit an `ItemKNN`; its similarity is memory-mapped from the folder of the fit."""
    fitted, transform = prepare_knn(rows, knn, context.scale)
    search = find_neighbors(rows, transform, fitted.similarity_params(), fitted.dtype, context)
    weights, fitted.n_common_ = search.similarity
    fitted.item_weights_ = normalize_items(weights, search.sizes, fitted.item_normalization)
    return fitted


def ease_values(ease: EASE, mean_ratings: float, X: sp.csr_array) -> sp.csr_array:
    """Return the values that `EASE` is fitted to; `mean_ratings` is the mean number of ratings of a user."""
    return normalize_users(ease.weighted(X), ease.user_normalization, mean_ratings)


def fit_ease(rows: GroupedRatings, ease: EASE, context: FitContext) -> EASE:
    """Fit an `EASE`: the executors compute the Gram matrix, the driver solves for the weights."""
    fitted, ridge, n_items = clone(ease), ease.ridge(), rows.n_items
    needed, limit = gram_bytes(ease, n_items), check_memory("max_memory", ease.max_memory)
    if needed > (limit or MAX_GRAM_BYTES):
        raise TooLarge(
            f"{shorten(ease)}: the matrix of {n_items:,} × {n_items:,} items takes {show_bytes(needed)} on the "
            f"driver, with a limit of {show_bytes(limit or MAX_GRAM_BYTES)}. Raise max_memory of the model, or use "
            "ItemKNN, which needs no such matrix."
        )
    fitted.scale_, fitted.n_features_in_ = context.scale, n_items
    n_candidates, max_weights = ease.n_candidates, ease.n_neighbors or n_items
    measure = SimilarityParams(n_neighbors=n_candidates or 1)  # the closed form uses no neighbours; 1 is the minimum
    saved_sums = ("sums",) if n_candidates else ("sums", "counts")
    transform = partial(ease_values, fitted, rows.mean_ratings)
    search = find_neighbors(rows, transform, measure, ease.dtype, context, saved_sums)
    gram = search.read_sums("sums")
    if n_candidates is not None:
        weights = solve_local_ridge(search.similarity, search.norms, as_gram_matrix(gram), ridge, max_weights)
    else:
        (indices, indptr), values, truncation_error = solve_dense_ridge(gram, ridge, max_weights)
        common = search.read_sums("counts")[np.repeat(np.arange(n_items), np.diff(indptr)), indices]
        weights = as_weights(values, common, (indices, indptr), truncation_error)
    fitted.item_weights_ = normalize_items(weights.values, search.sizes, fitted.item_normalization)
    fitted.n_common_, fitted.truncation_error_ = weights.common, weights.truncation_error
    return fitted


def gram_bytes(ease: EASE, n_items: int) -> int:
    """Return the size of the item × item matrix on the driver."""
    itemsize = np.dtype(ease.dtype).itemsize
    return n_items**2 * (itemsize if ease.n_candidates else itemsize + 4)
