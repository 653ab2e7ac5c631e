"""Input validation of the models: any users × items matrix becomes a checked CSR matrix of float32, or an error."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.errors import InputError
from reelated.models.estimator import Estimator


def check_rows(model: Estimator, X: Any, *, fitting: bool = False) -> sp.csr_array:
    """Return `X` as CSR of float32 with ascending columns and no duplicates; `fitting` records their number."""
    ready = _ready(X, sp.csr_array)
    if ready and not fitting and X.shape[1] == getattr(model, "n_features_in_", None):
        return X
    if ready and fitting and min(X.shape) > 0:
        model.n_features_in_ = X.shape[1]
        model.__dict__.pop("feature_names_in_", None)
        return X
    from sklearn.utils.validation import check_is_fitted, validate_data

    if not fitting:
        check_is_fitted(model)
    ready = ready and min(X.shape) > 0
    X = validate_data(model, X, reset=fitting, skip_check_array=ready, accept_sparse="csr", dtype=np.float32)
    if ready:
        return X
    rows = sp.csr_array(X)
    inside, ascending, _ = _check_csr(rows)
    if not inside:
        raise InputError(
            f"X of shape {rows.shape} has entries outside its shape: expected column indices from 0 to "
            f"{rows.shape[1] - 1} and row pointers that do not decrease."
        )
    if not ascending:
        rows = rows.copy()
        rows.sum_duplicates()
    return rows


def check_attributes(items: Any, n_items: int) -> np.ndarray:
    """Return item attributes as a dense table of float64 with one row per item, or raise `InputError`."""
    if items is None:
        return np.zeros((n_items, 0))
    table = items.toarray() if sp.issparse(items) else items
    is_valid = isinstance(table, np.ndarray) and table.ndim == 2 and table.dtype == np.float64 and len(table)
    if not is_valid or not np.isfinite(table).all():
        from sklearn.utils.validation import check_array

        table = check_array(table, dtype=np.float64, ensure_min_features=0, input_name="items")
    if len(table) != n_items:
        raise InputError(f"items of shape {table.shape}: expected a row for each of {n_items} items.")
    return table


def check_weights(weights: Any, X: sp.csr_array) -> np.ndarray:
    """Return one factor for each rating of `X` as float32, or raise `InputError`."""
    array = np.asarray(weights, np.float32)
    if array.shape != X.data.shape or not np.isfinite(array).all() or (array < 0).any():
        raise InputError(
            f"weights of shape {array.shape}: expected {X.nnz} finite numbers of 0 or more, one per rating."
        )
    return array


def _ready(X: Any, kind: Any) -> bool:
    """Return whether `X` needs no conversion: the fast path for one user's row."""
    return isinstance(X, kind) and X.dtype == np.float32 and all(_check_csr(X))


def _check_csr(X: Any) -> tuple[bool, bool, bool]:
    """Return whether all entries lie inside `X`, whether they ascend without duplicates, and whether all are finite."""
    width = X.shape[1] if X.format == "csr" else X.shape[0]
    return kernels.check_csr(X.indptr, X.indices, X.data, width)


def check_pairs(X: sp.csr_array, rows: Any, items: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return row and item indices of pairs as int32 arrays, or raise `InputError`."""
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
        raise InputError(f"rows has {len(pairs[0])} numbers and items has {len(pairs[1])}: expected equal lengths.")
    return pairs[0], pairs[1]


def check_item_mask(model: Any, item_mask: Any) -> np.ndarray:
    """Return the mask of the items to choose from, or raise `InputError`."""
    n_items, array = model.n_features_in_, np.asarray(item_mask)
    if array.dtype != np.bool_ or array.shape != (n_items,):
        raise InputError(
            f"item_mask of type {array.dtype} and shape {array.shape}: expected a boolean for each of {n_items} items."
        )
    return array


def check_item(model: Any, item: Any) -> int:
    """Return an item index, or raise `InputError`."""
    if not isinstance(item, (int, np.integer)) or isinstance(item, bool) or not 0 <= item < model.n_features_in_:
        raise InputError(f"expected a number from 0 to {model.n_features_in_ - 1}.", parameter="item", value=item)
    return int(item)
