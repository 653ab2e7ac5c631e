"""`BiasModel`: ratings predicted from the mean, the item's bias and the user's bias."""

from typing import Any

import numpy as np
import scipy.sparse as sp

from reelated.errors import check_integer, check_number
from reelated.models.arrays import ArraySpec
from reelated.models.biases import Biases, Numbers, regularized_means
from reelated.models.linear_item import LinearRater
from reelated.models.validation import check_rows
from reelated.parallel import Progress


class BiasModel(LinearRater):
    """Predict a rating as `μ + b_i + b_u`: the mean rating, the item's bias and the user's bias.

    The biases are regularised means, computed alternately: ``b_i = Σ(r − μ − b_u) / (reg_item + n_i)``, then
    ``b_u = Σ(r − μ − b_i) / (reg_user + n_u)`` (Koren 2010, "Factor in the Neighbors", §2.1). A user's bias is
    computed from the given row, so that new users need no refit.

    No item predicts another, so there are no reasons. The ranking score is the predicted rating before it is clipped.

    Parameters
    ----------
    reg_user, reg_item : float, default 12.0 and 1.0
        Strength of the regularisation: each user or item counts as having this many additional average ratings.
    n_iterations : int, default 10
        Number of rounds of the alternation.
    max_memory : int, str or None, default None
        Memory limit of a dense result in bytes, or text such as "2GB"; a larger one raises `TooLarge`.

    Attributes
    ----------
    item_bias_ : ndarray of float64, shape (n_items,)
        b_i.
    offset_ : ndarray of float64, shape (n_items,)
        μ + b_i.
    item_weights_ : scipy.sparse.csr_array, shape (n_items, n_items)
        Empty.
    n_common_ : scipy.sparse.csr_array of int32
        Empty.
    scale_ : tuple of float
        Lowest and highest rating; predictions are clipped to them.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[5, 3, 0], [4, 0, 1]])
    >>> BiasModel(reg_user=0, reg_item=0).fit(X).predict_pairs(X, [0, 1], [2, 1])
    array([1.99..., 2.00...])
    """

    item_bias_: Numbers
    arrays = LinearRater.arrays | {"item_bias_": ArraySpec("float64", ("n_items",))}

    def __init__(
        self,
        *,
        reg_user: float = 12.0,
        reg_item: float = 1.0,
        n_iterations: int = 10,
        max_memory: int | str | None = None,
    ) -> None:
        self.reg_user = reg_user
        self.reg_item = reg_item
        self.n_iterations = n_iterations
        self.max_memory = max_memory

    def fit(
        self, X: Any, y: Any = None, *, scale: tuple[float, float] | None = None, progress: Progress | None = None
    ) -> "BiasModel":
        reg_user, reg_item, rounds = self.settings()
        X = self._start_fit(X, scale)
        mean = float(X.data.mean(dtype=np.float64)) if X.nnz else 0.0
        rated, centered = sp.csr_array((np.ones(X.nnz), X.indices, X.indptr), shape=X.shape), X.astype(np.float64)
        centered.data -= mean
        (item_sums, user_sums), (n_raters, n_rated) = ((M.sum(axis=0), M.sum(axis=1)) for M in (centered, rated))
        users, bias = np.zeros(X.shape[0]), np.zeros(X.shape[1])
        for _ in range(rounds):  # the sums of biases as products with a vector, without an array of all ratings
            bias = regularized_means(item_sums - rated.T @ users, n_raters, reg_item)
            users = regularized_means(user_sums - rated @ bias, n_rated, reg_user)
        self.set_learned(mean, bias)
        if progress:
            progress(1.0)
        return self

    def settings(self) -> tuple[float, float, int]:
        """Check the parameters; return `reg_user`, `reg_item` and `n_iterations`."""
        reg_user, reg_item = check_number("reg_user", self.reg_user, 0), check_number("reg_item", self.reg_item, 0)
        return reg_user, reg_item, check_integer("n_iterations", self.n_iterations, 1)

    def set_learned(self, mean: float, item_bias: Numbers) -> None:
        """Store the mean and the item biases of a local fit or of a fit on a cluster.

        Parameters
        ----------
        mean : float
            The mean rating.
        item_bias : ndarray of float64, shape (n_items,)
            The item biases.
        """
        self.item_bias_, self.offset_ = item_bias, mean + item_bias
        empty = sp.csr_array((len(item_bias), len(item_bias)), dtype=np.float32)
        self.item_weights_, self.n_common_ = empty, empty.astype(np.int32)
        self.prepare()

    def plan(self, X: Any) -> int:
        self.settings()
        rows = check_rows(BiasModel(), X, fitting=True)
        return 48 * rows.nnz + 64 * rows.shape[1]

    @property
    def mean_(self) -> float:
        """μ, the mean rating."""
        return float(self.offset_[0] - self.item_bias_[0])

    @property
    def offsets(self) -> Biases:
        return Biases(self.offset_, float(self.reg_user))
