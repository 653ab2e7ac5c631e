"""`predict_at`: ratings of a known moment, by how the person's other ratings of about that moment surprised."""

from typing import Any

import numpy as np
import numpy.typing as npt

from reelated import _kernels as kernels
from reelated.errors import InputError, check_number
from reelated.models.biases import clipped
from reelated.models.validation import check_pairs, check_rows


def predict_at(
    model: Any, X: Any, times: Any, rows: Any, items: Any, moments: Any, *, span: float = 30.0, prior: float = 3.0
) -> npt.NDArray[np.float64]:
    """Return predicted ratings of pairs that are known to have been given at certain moments.

    People rate in sittings: what they are shown together is alike, and so is their mood. To the model's own prediction
    is added ``Σ_j w_j (r_j − p_j) / (prior + Σ_j w_j)`` over the person's other ratings, ``p_j`` being what the model
    predicts for them from the rest, with ``w_j = 1 / (1 + |t − t_j| / span)``. It serves to fill in or to check ratings
    of the past: nobody knows at what sitting a rating of the future will be given.

    Parameters
    ----------
    model : estimator
        A fitted model with `predict_pairs`.
    X : array or sparse matrix, shape (n_rows, n_items)
        Ratings of the people asked about.
    times : array, shape (X.nnz,)
        When each rating of `X`, a canonical CSR, was given, in seconds.
    rows, items : array of int, shape (n_pairs,)
        Numbers of rows of `X` and of items.
    moments : array, shape (n_pairs,)
        When the rating of each pair was given, in seconds.
    span : float, default 30.0
        After how many seconds a rating counts half.
    prior : float, default 3.0
        How many ratings just as expected each person is taken to have given at every moment.

    Returns
    -------
    ndarray of float64, shape (n_pairs,)
        On the scale of the ratings; NaN where the model says nothing.

    Raises
    ------
    InputError
        Times and ratings, or moments and pairs, are not as many, or a number is out of its range.
    """
    X = check_rows(model, X)
    rows, items = check_pairs(X, rows, items)
    times, moments = _check_times("times", times, X.nnz), _check_times("moments", moments, len(rows))
    if check_number("span", span, 0) == 0:
        raise InputError("span=0: expected seconds above 0.")
    rated = np.unique(rows)
    mine = np.isin(np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), rated)
    users = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))[mine]
    surprises = np.zeros(X.nnz)
    surprises[mine] = np.nan_to_num(X.data[mine] - model.predict_pairs(X, users, X.indices[mine]))
    shifts, table = np.empty(len(rows)), kernels.CSR(X.indptr, X.indices, surprises)
    prior = check_number("prior", prior, 0)
    kernels.sitting_shifts(table, times, rows, items, moments, float(span), max(prior, 1e-9), shifts)
    return clipped(model.predict_pairs(X, rows, items) + shifts, model.scale_)


def _check_times(name: str, values: Any, size: int) -> npt.NDArray[np.float64]:
    """Return times as numbers, one for each rating or pair, or raise `InputError`."""
    array = np.asarray(values)
    if array.shape != (size,) or array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise InputError(f"{name} of type {array.dtype} and shape {array.shape}: expected {size} seconds.")
    return array.astype(np.float64)
