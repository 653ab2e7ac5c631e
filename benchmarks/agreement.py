"""Whether what a contender found is right: its neighbours against float64, its lists against its own neighbours.

NumPy and SciPy alone, and nothing from `reelated`: this is the judge.
"""

from typing import Any

import numpy as np
import scipy.sparse as sp

TOLERANCE = 1e-5
SAMPLE = 2_000
"""Items whose neighbours are checked; all where there are fewer."""


def sample(size: int, most: int = SAMPLE, seed: int = 4) -> np.ndarray:
    """Return numbers to look at, ascending, the same in every run."""
    if size <= most:
        return np.arange(size)
    return np.sort(np.random.default_rng(seed).choice(size, most, replace=False))


def reference(X: Any, rows: np.ndarray, *, binary: bool = False) -> np.ndarray:
    """Return these rows of the cosine between columns in float64, the items themselves at 0."""
    values = X.astype(np.float64)
    if binary:
        values.data[:] = 1
    columns = values.tocsc()
    norms = np.sqrt(np.bincount(values.indices, weights=np.square(values.data), minlength=X.shape[1]))
    inverse = np.divide(1, norms, out=np.zeros(len(norms)), where=norms > 0)
    wanted = np.empty((len(rows), X.shape[1]))
    for start in range(0, len(rows), 100):  # a few at a time: the product is sparse only at first
        part = rows[start : start + 100]
        wanted[start : start + 100] = (columns[:, part].T.tocsr() @ values).toarray() * inverse[part, None] * inverse
    wanted[np.arange(len(rows)), rows] = 0
    return wanted


def compare(found: Any, rows: np.ndarray, wanted: np.ndarray, n: int) -> dict[str, Any]:
    """Compare rows of neighbours with the reference: the same up to ties, the values within the tolerance.

    Parameters
    ----------
    found : sparse matrix, shape (len(rows), n_items)
        What the contender keeps of each of these rows; the item itself is not looked at.
    rows : ndarray of int
        Which items they are.
    wanted : ndarray of float64, shape (len(rows), n_items)
        What `reference` returns.
    n : int
        Neighbours asked for.

    Returns
    -------
    dict
        `rows` compared, the share `agree` that is right, and the `largest_error` of a value.
    """
    found, right, errors = sp.csr_array(found), 0, [0.0]
    for r, row in enumerate(rows):
        part = slice(found.indptr[r], found.indptr[r + 1])
        others = found.indices[part] != row
        items, values = found.indices[part][others], found.data[part][others]
        if len(items) > n:  # one more was asked for the item itself, which its equals have crowded out
            best = np.argsort(-values, kind="stable")[:n]
            items, values = items[best], values[best]
        errors.append(float(np.abs(values - wanted[r, items]).max(initial=0)))
        right += errors[-1] <= TOLERANCE and is_best(items, wanted[r], n, TOLERANCE)
    return {"rows": len(rows), "agree": right / max(len(rows), 1), "largest_error": max(errors)}


def is_best(items: np.ndarray, scores: np.ndarray, n: int, tolerance: float) -> bool:
    """Say whether these are the `n` items of the highest scores above 0, of near equals any."""
    ordered = -np.sort(-scores)[:n]
    if len(items) > n or len(np.unique(items)) != len(items) or (ordered[len(items) :] > tolerance).any():
        return False
    return not len(items) or scores[items].min() >= ordered[len(items) - 1] - tolerance


def compare_lists(lists: tuple[Any, Any], users: np.ndarray, scores: np.ndarray, seen: Any, n: int) -> dict[str, Any]:
    """Compare lists of the best items of some users with the scores that they should follow.

    Parameters
    ----------
    lists : (indptr, items)
        The lists of everybody.
    users : ndarray of int
        Whose to look at.
    scores : ndarray of float64, shape (len(users), n_items)
        By which the lists should fall.
    seen : sparse matrix of the same shape, or None
        What must not be in them.
    n : int
        Items asked for.

    Returns
    -------
    dict
        `users` compared and the share `agree` that is right.
    """
    indptr, items = lists
    right = 0
    for r, user in enumerate(users):
        row = scores[r].copy()
        if seen is not None:
            row[seen.indices[seen.indptr[r] : seen.indptr[r + 1]]] = -np.inf
        right += is_best(items[indptr[user] : indptr[user + 1]], row, n, TOLERANCE * max(1.0, np.abs(scores[r]).max()))
    return {"users": len(users), "agree": right / max(len(users), 1)}
