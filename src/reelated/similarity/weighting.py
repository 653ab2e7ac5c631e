"""Weightings of ratings before the cosine: sparse in, sparse out."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import InputError

Weighting = Literal["tf-idf", "bm25"]


def weighted(
    values: sp.csr_array, weighting: Weighting | None, lengths: npt.NDArray[np.float64] | None = None
) -> sp.csr_array:
    """Weight ratings, with items as documents and users as terms; None returns them unchanged.

    "tf-idf": ``r · (ln((1 + N) / (1 + n_u)) + 1)``, `N` items, `n_u` ratings of the user (the smooth form of
    scikit-learn). "bm25": ``r (k + 1) / (r + k (1 − b + b · l_i / l̄)) · ln(1 + (N − n_u + ½) / (n_u + ½))`` with
    `k` = 1.2, `b` = 0.75 and `l_i` the sum of the item's ratings (Robertson & Zaragoza 2009, §3.1 and §3.4). Pass
    `lengths`, all the `l_i`, where `values` holds only some of the users.
    """
    if weighting is None:
        return values
    if values.nnz and values.data.min() < 0:
        raise InputError(
            f"expected no rating below 0, got {values.data.min():g}.", parameter="weighting", value=weighting
        )
    n_items, seen = values.shape[1], np.diff(values.indptr)
    if weighting == "tf-idf":
        idf = np.log((1 + n_items) / (1 + seen)) + 1
        data = values.data
    else:
        idf = np.log1p((n_items - seen + 0.5) / (seen + 0.5))
        length = np.bincount(values.indices, values.data, n_items) if lengths is None else lengths
        norm = 1.2 * (0.25 + 0.75 * length / max(length.mean(), 1e-300))
        data = values.data * 2.2 / (values.data + norm[values.indices])
    data = (data * np.repeat(idf, seen)).astype(values.dtype)
    return sp.csr_array((data, values.indices, values.indptr), shape=values.shape)
