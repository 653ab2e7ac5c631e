"""`EASE`: item weights by ridge regression of each item on all others."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import Advice, InputError, check_choice, check_fits, check_integer, check_number
from reelated.models.arrays import ArraySpec
from reelated.models.linear_item import LinearItemModel
from reelated.models.validation import check_attributes, check_rows
from reelated.parallel import Progress
from reelated.similarity import Ridge, fit_ridge, normalize_items, normalize_users, ridge_memory


class EASE(LinearItemModel):
    """Rank items by linear weights between items, fitted by ridge regression.

    The weights of item `i` minimise ``‖v_i − Σ_j w_ij v_j‖² + Σ_j λ_j w_ij²`` with
    ``λ_j = l2 + dropout / (1 − dropout) · ‖v_j‖²`` (Steck 2019, "Embarrassingly shallow autoencoders for sparse data",
    §3; the dropout: Steck 2020, "Autoencoders that don't overfit towards the identity", §3). `v_i` is the item's column
    of rating weights: 1 for the highest rating, `min_weight` for the lowest, linear in between. The ranking score is
    ``Σ_j w_ij v_uj``. An item is regressed on the `n_candidates` items of highest cosine, or on all others in closed
    form.

    Each item attribute, such as a genre, counts as one more user who gave the highest rating to all items that have it
    (Jeunen, Van Balen and Goethals 2020, "Closed-form models for collaborative filtering with side-information", §3.2).
    The attributes matter for items with few or no ratings and hardly change the others.

    With `n_u` ratings of the user, `n_i` of the item and the means `n̄` of both, the rows of the fit are multiplied by
    ``(n_u / n̄)^−user_normalization``, and the weights that predict item `i` by ``(n_i / n̄)^−item_normalization``. The
    first is the user side of the graph normalisation ``D_U^−a R`` (Park et al. 2024, "Turbo-CF: Matrix
    decomposition-free graph filtering for fast recommendation"), the second the reranking of RP3beta (Paudel et al.
    2017, "Updatable, accurate, diverse, and scalable recommendations for interactive applications").

    Parameters
    ----------
    l2 : float, default 150.0
        Regularisation strength, the same for all weights.
    dropout : float, default 0.6
        Regularisation in proportion to the ratings of an item; equals training with this fraction of the ratings
        dropped at random.
    min_weight : float, default 0.25
        Weight of the lowest rating of the scale; the highest has weight 1. With 1, all ratings count the same.
    user_normalization : float, default 0.25
        Exponent from 0 to 1; above 0, users with many ratings count less in the fit.
    item_normalization : float, default 0.1
        Exponent from 0 to 1; above 0, items with many ratings have lower scores.
    n_candidates : int or None, default 400
        Maximum number of items that an item is regressed on, among those with a common rater; None: all others.
    n_neighbors : int or None, default 1000
        Maximum number of weights kept for an item, the largest by absolute value; None keeps all.
    dtype : {"float32", "float64"}, default "float32"
        Type of the weights and of their computation.
    max_memory : int, str or None, default None
        Memory limit of the fit in bytes, or text such as "2GB"; a fit that may exceed it raises `TooLarge`.

    Attributes
    ----------
    item_weights_ : scipy.sparse.csr_array, shape (n_items, n_items)
        The weights: row `i` holds the items that predict `i`; no diagonal. Many are negative.
    n_common_ : scipy.sparse.csr_array of int32
        Number of users who rated both items, with the same sparsity.
    truncation_error_ : ndarray of float64, shape (n_items,)
        Fraction of the sum of squared weights of each row that `n_neighbors` dropped.
    scale_ : tuple of float
        Lowest and highest rating.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[5, 4, 0], [4, 5, 1], [1, 0, 5]])
    >>> EASE(l2=1).fit(X).recommend(X[:1]).items
    array([2], dtype=int32)
    """

    arrays = LinearItemModel.arrays | {"truncation_error_": ArraySpec("float64", ("n_items",), "not negative")}
    uses_side_info = True

    def __init__(
        self,
        *,
        l2: float = 150.0,
        dropout: float = 0.6,
        min_weight: float = 0.25,
        user_normalization: float = 0.25,
        item_normalization: float = 0.1,
        n_candidates: int | None = 400,
        n_neighbors: int | None = 1000,
        dtype: Literal["float32", "float64"] = "float32",
        max_memory: int | str | None = None,
    ) -> None:
        self.l2 = l2
        self.dropout = dropout
        self.min_weight = min_weight
        self.user_normalization = user_normalization
        self.item_normalization = item_normalization
        self.n_candidates = n_candidates
        self.n_neighbors = n_neighbors
        self.dtype = dtype
        self.max_memory = max_memory

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        scale: tuple[float, float] | None = None,
        items: Any = None,
        progress: Progress | None = None,
    ) -> "EASE":
        """Fit the weights.

        Parameters
        ----------
        X, y, scale
            As for `ItemKNN.fit`.
        items : array or sparse matrix, shape (n_items, n_attributes), optional
            Attributes of the items, from 0 (absent) to 1 (present).

        Raises
        ------
        InputError
            A parameter is invalid, or `items` has the wrong shape or values.
        TooLarge
            The fit may need more than `max_memory`.
        """
        ridge, X = self.ridge(), self._start_fit(X, scale)
        side_info = _attribute_rows(items, X.shape[1])
        values = normalize_users(self.weighted(X), self.user_normalization)
        n_candidates, max_weights = self.n_candidates, self.n_neighbors or X.shape[1]
        what, needed = f"weights between {X.shape[1]:,} items may need", ridge_memory(values, n_candidates, max_weights)
        check_fits(what, needed, self.max_memory, Advice.LESS_EASE)
        weights = fit_ridge(values, ridge, n_candidates, max_weights, progress, side_info=side_info)
        degrees = np.bincount(X.indices, minlength=X.shape[1])
        self.item_weights_ = normalize_items(weights.values, degrees, self.item_normalization)
        self.n_common_, self.truncation_error_ = weights.common, weights.truncation_error
        self.prepare()
        return self

    def plan(self, X: Any) -> int:
        self.ridge()
        rows = check_rows(EASE(), X, fitting=True)
        values = rows.astype(self.dtype)
        needed = ridge_memory(values, self.n_candidates, self.n_neighbors or rows.shape[1])
        return needed + values.nnz * (values.data.itemsize + 24)

    def rating_weight(self, ratings: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        low, high = self.scale_
        share = (np.asarray(ratings, np.float64) - low) / (high - low) if high > low else np.ones(len(ratings))
        return (self.min_weight + (1 - self.min_weight) * share).astype(np.float32)

    def ridge(self) -> Ridge:
        """Check the parameters; return the regularisation."""
        check_choice("dtype", self.dtype, ("float32", "float64"))
        for name in ("min_weight", "user_normalization", "item_normalization"):
            check_number(name, getattr(self, name), 0, 1)
        check_integer("n_candidates", self.n_candidates, 1, none=True)
        check_integer("n_neighbors", self.n_neighbors, 1, none=True)
        return Ridge(check_number("l2", self.l2, 1e-3), check_number("dropout", self.dropout, 0, 0.99))

    def weighted(self, X: sp.csr_array) -> sp.csr_array:
        """Return the matrix of rating weights, to which the model is fitted."""
        return sp.csr_array((self.rating_weight(X.data).astype(self.dtype), X.indices, X.indptr), shape=X.shape)


def _attribute_rows(items: Any, n_items: int) -> sp.csr_array | None:
    """Return item attributes as a matrix with one row per attribute; None without attributes."""
    table = check_attributes(items, n_items)
    if table.size and not 0 <= table.min() <= table.max() <= 1:
        raise InputError(f"items from {table.min():g} to {table.max():g}: expected numbers from 0 to 1.")
    return sp.csr_array(table.T) if table.size else None
