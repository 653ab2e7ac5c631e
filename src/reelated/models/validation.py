"""The door of the models: any users × items matrix becomes a checked CSR of float32, or a clear error."""

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from reelated import _kernels as kernels
from reelated.errors import InputError, TooLarge, check_memory, show_bytes


def check_rows(model: BaseEstimator, X: Any, *, fitting: bool = False) -> sp.csr_array:
    """Return `X` as CSR of float32 with ascending columns and no duplicates.

    Parameters
    ----------
    model : estimator
        Whose `n_features_in_` the columns must match, unless `fitting`.
    X : array or sparse matrix, shape (n_users, n_items)
        Ratings. A stored zero of a sparse matrix is a rating; a zero of a dense array is none.
    fitting : bool, default False
        Learn the number of columns instead of checking it.

    Raises
    ------
    InputError
        An entry lies outside of the matrix.
    ValueError, TypeError
        Not two-dimensional, not numbers, not finite, of another number of columns, or without a column.
    NotFittedError
        The model has not been fitted.
    """
    ready = _ready(X, sp.csr_array)
    if ready and not fitting and X.shape[1] == getattr(model, "n_features_in_", None):
        return X
    if not fitting:
        check_is_fitted(model)
    ready = ready and min(X.shape) > 0
    X = validate_data(model, X, reset=fitting, skip_check_array=ready, accept_sparse="csr", dtype=np.float32)
    if ready:
        return X
    rows = sp.csr_array(X)
    inside, ascending, _ = _look_over(rows)
    if not inside:
        raise InputError(
            f"X of shape {rows.shape} holds entries outside of it: expected column numbers from 0 to "
            f"{rows.shape[1] - 1} and row pointers that never fall."
        )
    if not ascending:
        rows = rows.copy()
        rows.sum_duplicates()
    return rows


def check_one_row(model: BaseEstimator, X: Any) -> sp.csr_array:
    """Return `X` as `check_rows` does if it is one row, or raise `InputError`."""
    X = check_rows(model, X)
    if X.shape[0] != 1:
        raise InputError(f"X of {X.shape[0]} rows: expected the one row of the user to explain to.")
    return X


def check_columns(model: BaseEstimator, by_item: Any, X: Any) -> sp.csc_array:
    """Return `by_item` as CSC of float32, checked as `check_rows` does; a CSC that is ready is taken as it is."""
    if by_item.shape != X.shape:
        raise InputError(f"by_item of shape {by_item.shape}: expected that of X, {X.shape}.")
    return by_item if _ready(by_item, sp.csc_array) else sp.csc_array(check_rows(model, by_item))


def check_attributes(items: Any, n_items: int) -> np.ndarray:
    """Return what is known of items as a dense table of float64 with a row for each, or raise `InputError`."""
    if items is None:
        return np.zeros((n_items, 0))
    table = items.toarray() if sp.issparse(items) else items
    table = check_array(table, dtype=np.float64, ensure_min_features=0, input_name="items")
    if len(table) != n_items:
        raise InputError(f"items of shape {table.shape}: expected a row for each of {n_items} items.")
    return table


def check_dense(model: Any, X: Any) -> None:
    """Raise `TooLarge` where a number for every row and item would exceed the model's `max_memory`."""
    limit, needed = check_memory("max_memory", model.max_memory), X.shape[0] * X.shape[1] * 8
    if limit is not None and needed > limit:
        raise TooLarge(
            f"{X.shape[0]:,} rows × {X.shape[1]:,} items need {show_bytes(needed)}.",
            parameter="max_memory",
            value=model.max_memory,
            remedy="Ask for fewer rows, or for pairs with predict_pairs.",
        )


def check_weights(weights: Any, X: sp.csr_array) -> np.ndarray:
    """Return one factor for each rating of `X` as float32, or raise `InputError`."""
    array = np.asarray(weights, np.float32)
    if array.shape != X.data.shape or not np.isfinite(array).all() or (array < 0).any():
        raise InputError(f"weights of shape {array.shape}: expected {X.nnz} finite numbers of 0 or more, one a rating.")
    return array


def _ready(X: Any, kind: Any) -> bool:
    """Say whether `X` needs no conversion: the quick way for one person's row."""
    return isinstance(X, kind) and X.dtype == np.float32 and all(_look_over(X))


def _look_over(X: Any) -> tuple[bool, bool, bool]:
    """Say whether all entries lie inside of `X`, ascend without duplicates, and are finite."""
    width = X.shape[1] if X.format == "csr" else X.shape[0]
    return kernels.check_csr(X.indptr, X.indices, X.data, width)


def check_pairs(X: sp.csr_array, rows: Any, items: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return row and item numbers of pairs as int32 arrays, or raise `InputError`."""
    pairs = []
    for name, values, size in (("rows", rows, X.shape[0]), ("items", items, X.shape[1])):
        array = np.atleast_1d(np.asarray(values))
        if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
            raise InputError(f"{name} of type {array.dtype} and shape {array.shape}: expected a list of integers.")
        outside = array[(array < 0) | (array >= size)]
        if len(outside):
            raise InputError(f"expected numbers from 0 to {size - 1}.", parameter=name, value=int(outside[0]))
        pairs.append(array.astype(np.int32))
    if len(pairs[0]) != len(pairs[1]):
        raise InputError(f"rows has {len(pairs[0])} numbers and items has {len(pairs[1])}: expected as many.")
    return pairs[0], pairs[1]


def holds(X: sp.csr_array, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Return of which pairs of a row and an item `X`, a canonical CSR, holds a rating."""
    held, wanted = X.indices, items
    if X.shape[0] > 1:
        held = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)) * X.shape[1] + X.indices
        wanted = rows.astype(np.int64) * X.shape[1] + items
    return np.searchsorted(held, wanted, side="right") > np.searchsorted(held, wanted)


def check_item_mask(model: Any, item_mask: Any) -> np.ndarray:
    """Return the mask of the items to choose from, or raise `InputError`."""
    n_items, array = model.n_features_in_, np.asarray(item_mask)
    if array.dtype != np.bool_ or array.shape != (n_items,):
        raise InputError(
            f"item_mask of type {array.dtype} and shape {array.shape}: expected a boolean for each of {n_items} items."
        )
    return array


def check_item(model: Any, item: Any) -> int:
    """Return an item's number, or raise `InputError`."""
    if not isinstance(item, (int, np.integer)) or isinstance(item, bool) or not 0 <= item < model.n_features_in_:
        raise InputError(f"expected a number from 0 to {model.n_features_in_ - 1}.", parameter="item", value=item)
    return int(item)
