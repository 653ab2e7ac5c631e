"""`EASE`: each item is told from all others at once, by ridge regression."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import (
    Advice,
    InputError,
    TooLarge,
    check_choice,
    check_integer,
    check_memory,
    check_number,
    show_bytes,
)
from reelated.models.arrays import ArraySpec
from reelated.models.biases import check_bounds, observed
from reelated.models.linear_item import LinearItemModel
from reelated.models.validation import check_attributes, check_rows
from reelated.parallel import Progress
from reelated.similarity import Ridge, fit_dense, fit_sparse, ridge_memory


class EASE(LinearItemModel):
    """Rank items by weights that are learned for all items together, so that what two have in common counts once.

    Each item's column of `V` is told from the columns of the others: the weights minimise ``‖v_i − Σ_j w_ij v_j‖²``
    plus ``Σ_j λ_j w_ij²`` with ``λ_j = l2 + dropout / (1 − dropout) · ‖v_j‖²`` (Steck 2019, "Embarrassingly shallow
    autoencoders for sparse data", §3; the dropout: Steck 2020, "Autoencoders that don't overfit towards the
    identity", §3). `V` holds what the ratings are worth: 1 for the highest, `min_weight` for the lowest, evenly
    between. The ranking score is ``Σ_j w_ij v_uj``. An item is told from the `n_candidates` items of the highest
    cosine with it, or from all others in closed form.

    What else is known of items, such as genres and years, counts as one more person each, who gave the highest rating
    to every item that it is true of (Jeunen, Van Balen and Goethals 2020, "Closed-form models for collaborative
    filtering with side-information", §3.2). Beside many ratings that is little; an item with few or none
    borrows from others.

    Parameters
    ----------
    l2 : float, default 150.0
        Holds all weights back.
    dropout : float, default 0.5
        Holds back the weights of items by how often they were rated: as if this share of the ratings were missing.
    min_weight : float, default 0.25
        What the lowest rating of the scale is worth, beside 1 of the highest; with 1 only who rated what counts.
    n_candidates : int or None, default 400
        Most items that an item is told from, of those that someone rated as well; None: all others.
    n_neighbors : int or None, default 1000
        Most weights kept for an item, the strongest; None keeps all.
    dtype : {"float32", "float64"}, default "float32"
        In which the weights are computed and kept.
    max_memory : int, str or None, default None
        The most bytes that the fit may take, such as "2GB"; more is refused beforehand.

    Attributes
    ----------
    item_weights_ : scipy.sparse.csr_array, shape (n_items, n_items)
        The weights: row `i` holds the items that predict `i`; no diagonal. Many are negative.
    n_common_ : scipy.sparse.csr_array of int32
        In the same places: how many people rated both.
    truncation_error_ : ndarray of float64, shape (n_items,)
        The share of the squares of each row's weights that `n_neighbors` left out.
    scale_ : tuple of float
        The lowest and the highest rating.

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
        dropout: float = 0.5,
        min_weight: float = 0.25,
        n_candidates: int | None = 400,
        n_neighbors: int | None = 1000,
        dtype: Literal["float32", "float64"] = "float32",
        max_memory: int | str | None = None,
    ) -> None:
        self.l2 = l2
        self.dropout = dropout
        self.min_weight = min_weight
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
        """Learn the weights.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_users, n_items)
            Ratings. A stored zero of a sparse matrix is a rating; a zero of a dense array is none.
        y : ignored
            For scikit-learn's sake.
        scale : (low, high), optional
            Lowest and highest possible rating; by default those seen.
        items : array or sparse matrix, shape (n_items, n_attributes), optional
            What else is known of the items, from 0, not true, to 1, true.
        progress : callable, optional
            Called with the share that is done.

        Returns
        -------
        EASE
            This estimator.

        Raises
        ------
        InputError
            A parameter or `items` is out of its range.
        TooLarge
            More than `max_memory` may be needed.
        """
        ridge, limit = self.ridge(), check_memory("max_memory", self.max_memory)
        X = check_rows(self, X, fitting=True)
        known = _known(items, X.shape[1])
        self.scale_ = observed(X) if scale is None else check_bounds(scale)
        values, near, keep = self.weighted(X), self.n_candidates, self.n_neighbors or X.shape[1]
        needed = ridge_memory(values, near, keep)
        if limit is not None and needed > limit:
            raise TooLarge(
                f"weights between {X.shape[1]:,} items may need {show_bytes(needed)}.",
                parameter="max_memory",
                value=self.max_memory,
                remedy=Advice.LESS_EASE,
            )
        found = (
            fit_dense(values, ridge, keep, progress, side_info=known)
            if near is None
            else fit_sparse(values, ridge, near, keep, progress, side_info=known)
        )
        self.item_weights_, self.n_common_, self.truncation_error_ = found
        self.prepare()
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
        self.ridge()
        rows = check_rows(EASE(), X, fitting=True)
        values = rows.astype(self.dtype)
        needed = ridge_memory(values, self.n_candidates, self.n_neighbors or rows.shape[1])
        return needed + values.nnz * (values.data.itemsize + 24)

    def rating_weight(self, ratings: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return what ratings add to a ranking score, for each unit of a weight.

        Parameters
        ----------
        ratings : ndarray
            On the scale of the fit.

        Returns
        -------
        ndarray of float32
            In the same places: 1 for the highest, `min_weight` for the lowest.
        """
        low, high = self.scale_
        share = (np.asarray(ratings, np.float64) - low) / (high - low) if high > low else np.ones(len(ratings))
        return (self.min_weight + (1 - self.min_weight) * share).astype(np.float32)

    def ridge(self) -> Ridge:
        """Check the parameters; return those of the regression."""
        check_choice("dtype", self.dtype, ("float32", "float64"))
        check_number("min_weight", self.min_weight, 0, 1)
        check_integer("n_candidates", self.n_candidates, 1, none=True)
        check_integer("n_neighbors", self.n_neighbors, 1, none=True)
        return Ridge(check_number("l2", self.l2, 1e-3), check_number("dropout", self.dropout, 0, 0.99))

    def weighted(self, X: sp.csr_array) -> sp.csr_array:
        """Return the weights of the ratings, to which the model is fitted.

        Parameters
        ----------
        X : csr_array, shape (n_users, n_items)
            Ratings.

        Returns
        -------
        csr_array
        """
        return sp.csr_array((self.rating_weight(X.data).astype(self.dtype), X.indices, X.indptr), shape=X.shape)


def _known(items: Any, n_items: int) -> sp.csr_array | None:
    """Return what is known of items with a row for each attribute; None where nothing is."""
    table = check_attributes(items, n_items)
    if table.size and not 0 <= table.min() <= table.max() <= 1:
        raise InputError(f"items from {table.min():g} to {table.max():g}: expected shares from 0 to 1.")
    return sp.csr_array(table.T) if table.size else None
