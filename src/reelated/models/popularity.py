"""`Popularity`: what most people have rated, whoever asks."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.models.bias import BiasModel
from reelated.models.biases import Biases, check_bounds, observed
from reelated.models.linear_item import By, LinearItemModel
from reelated.models.rows import check_rows
from reelated.parallel import Progress


class Popularity(LinearItemModel):
    """Rank items by how many people rated them: what every other model has to beat.

    No item predicts another, so there are no reasons: the score is the same for everybody, and the predicted
    rating is that of `BiasModel`.

    Parameters
    ----------
    max_memory : int, str or None, default None
        The most bytes that a dense answer may take, such as "2GB"; more is refused beforehand.

    Attributes
    ----------
    similarity_ : scipy.sparse.csr_array, shape (n_items, n_items)
        Empty.
    n_common_ : scipy.sparse.csr_array of int32
        Empty.
    popularity_ : ndarray of float64, shape (n_items,)
        How many people rated each item.
    offset_ : ndarray of float64, shape (n_items,)
        The mean and the item's bias (see `BiasModel`).
    scale_ : tuple of float
        The lowest and the highest rating.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[5, 4, 0], [4, 5, 1], [1, 0, 0]])
    >>> Popularity().fit(X).score_items(X[:1])
    array([[3., 2., 1.]])
    """

    arrays = ("offset_", "popularity_")

    def __init__(self, *, max_memory: int | str | None = None) -> None:
        self.max_memory = max_memory

    def fit(
        self, X: Any, y: Any = None, *, scale: tuple[float, float] | None = None, progress: Progress | None = None
    ) -> "Popularity":
        """Count.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_users, n_items)
            Ratings.
        y : ignored
            For scikit-learn's sake.
        scale : (low, high), optional
            Lowest and highest possible rating; by default those seen.
        progress : callable, optional
            Called with the share that is done.

        Returns
        -------
        Popularity
            This estimator.
        """
        X = check_rows(self, X, fitting=True)
        self.scale_ = observed(X) if scale is None else check_bounds(scale)
        self.offset_ = BiasModel().fit(X).offsets.items
        self.popularity_ = np.bincount(X.indices, minlength=X.shape[1]).astype(np.float64)
        none = sp.csr_array((X.shape[1], X.shape[1]), dtype=np.float32)
        self.similarity_, self.n_common_ = none, none.astype(np.int32)
        self.prepare()
        if progress:
            progress(1.0)
        return self

    def plan(self, X: Any) -> int:
        """Return the most bytes that a fit to `X` may take beside `X` itself.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_users, n_items)
            Ratings.

        Returns
        -------
        int
        """
        rows = check_rows(Popularity(), X, fitting=True)
        return 48 * rows.nnz + 64 * rows.shape[1]

    @property
    def offsets(self) -> Biases:
        """What a rating is expected to be."""
        return Biases(self.offset_, float(BiasModel().reg_user))

    def _bases(self, X: sp.csr_array, by: By) -> tuple[Any, Any, kernels.ScoreParams]:
        if by == "score":
            return self.popularity_, np.zeros(X.shape[0]), kernels.ScoreParams(True, False, True, 0.0)
        return super()._bases(X, by)
