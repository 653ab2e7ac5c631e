"""`Popularity`: the most rated items, the same for all users."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.models.arrays import ArraySpec
from reelated.models.contracts import By
from reelated.models.linear_item import LinearItemModel
from reelated.models.validation import check_rows
from reelated.parallel import Progress


class Popularity(LinearItemModel):
    """Rank items by their number of ratings: the baseline that every other model must beat.

    No item predicts another: the score is the same for all users and has no contributions.

    Parameters
    ----------
    max_memory : int, str or None, default None
        Memory limit of a dense result in bytes, or text such as "2GB"; a larger one raises `TooLarge`.

    Attributes
    ----------
    item_weights_ : scipy.sparse.csr_array, shape (n_items, n_items)
        Empty.
    n_common_ : scipy.sparse.csr_array of int32
        Empty.
    popularity_ : ndarray of float64, shape (n_items,)
        Number of ratings of each item.
    scale_ : tuple of float
        Lowest and highest rating.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[5, 4, 0], [4, 5, 1], [1, 0, 0]])
    >>> Popularity().fit(X).score_items(X[:1])
    array([[3., 2., 1.]])
    """

    arrays = LinearItemModel.arrays | {"popularity_": ArraySpec("float64", ("n_items",), "not negative")}

    def __init__(self, *, max_memory: int | str | None = None) -> None:
        self.max_memory = max_memory

    def fit(
        self, X: Any, y: Any = None, *, scale: tuple[float, float] | None = None, progress: Progress | None = None
    ) -> "Popularity":
        X = self._start_fit(X, scale)
        self.popularity_ = np.bincount(X.indices, minlength=X.shape[1]).astype(np.float64)
        empty = sp.csr_array((X.shape[1], X.shape[1]), dtype=np.float32)
        self.item_weights_, self.n_common_ = empty, empty.astype(np.int32)
        self.prepare()
        if progress:
            progress(1.0)
        return self

    def plan(self, X: Any) -> int:
        return 128 * int(check_rows(Popularity(), X, fitting=True).shape[1])

    def _bases(self, X: sp.csr_array, by: By) -> tuple[Any, Any, kernels.ScoreParams]:
        return self.popularity_, np.zeros(X.shape[0]), kernels.ScoreParams(True, False, True, 0.0)
