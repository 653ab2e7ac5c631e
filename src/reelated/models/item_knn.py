"""`ItemKNN`: item-based nearest neighbours."""

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import Advice, InputError, check_choice, check_flag, check_integer, check_memory, check_number
from reelated.models.arrays import ArraySpec
from reelated.models.bias import BiasModel
from reelated.models.biases import Biases, column_means
from reelated.models.contracts import By
from reelated.models.linear_item import LinearRater
from reelated.models.validation import check_rows
from reelated.parallel import Progress
from reelated.similarity import (
    SimilarityParams,
    Weighting,
    normalize_items,
    normalize_users,
    plan,
    similarity,
    weighted,
)

SimilarityName = Literal["cosine", "adjusted-cosine", "pearson", "jaccard", "residual-cosine", "residual-pearson"]


class ItemKNN(LinearRater):
    """Predict ratings and rank items from the most similar items that the user has rated.

    The predicted rating is the weighted average ``Σ_j s_ij r_uj / Σ_j |s_ij|`` over the rated neighbours `j` of `i`
    (Sarwar et al. 2001, §3.2.1). If the similarity is computed from ratings minus an offset `o`, it is
    ``o_ui + Σ_j s_ij (r_uj − o_uj) / (Σ_j |s_ij| + prior_weight)``. The ranking score is ``Σ_j s_ij (r_uj − low)``
    with the lowest rating `low` of the scale, so that an item with the lowest rating adds nothing.

    Parameters
    ----------
    similarity : str, default "cosine"
        "cosine" of the ratings; "adjusted-cosine": of the ratings minus each user's mean; "pearson": minus each item's
        mean; "residual-cosine": minus the regularised biases of both (see `BiasModel`); "jaccard": of the sets of
        raters. Columns are zero-filled, as in scikit-learn. "residual-pearson" is the correlation of the ratings minus
        the same biases, over the users who rated both items (Herlocker et al. 2002, §3.1, between items).
    n_neighbors : int or None, default 100
        Maximum number of neighbours kept for an item; None keeps all.
    max_neighbors_used : int or None, default None
        Maximum number of rated neighbours used in a prediction, the most similar ones; None uses all.
    weighting : {None, "tf-idf", "bm25"}, default None
        Weighting of the ratings before the cosine, with items as documents and users as terms.
    user_normalization, item_normalization : float, default 0.0
        Exponents from 0 to 1, as for `EASE`: users with many ratings count less in the cosine, and items with
        many ratings have lower scores. `user_normalization` applies to the cosine only. `item_normalization` changes
        predicted ratings only through `prior_weight`.
    shrinkage : float, default 0.0
        Multiplies a similarity by ``c / (c + shrinkage)``, `c` = number of users who rated both.
    damping : float, default 0.0
        Added to the denominator of a similarity.
    min_common : int, default 1
        Minimum number of users who rated both; with fewer, the similarity is 0.
    positive_only : bool, default True
        Drop negative similarities.
    prior_weight : float, default 0.0
        Shrinks predictions from few neighbours towards the offset: the similarity of an additional neighbour rated
        exactly as expected. Only for similarities with an offset.
    dtype : {"float32", "float64"}, default "float32"
        Type of the similarities and of their computation.
    max_memory : int, str or None, default None
        Memory limit of the fit in bytes, or text such as "2GB"; a fit that may exceed it raises `TooLarge`.

    Attributes
    ----------
    item_weights_ : scipy.sparse.csr_array, shape (n_items, n_items)
        Row `i` holds the items that predict `i`; no diagonal.
    n_common_ : scipy.sparse.csr_array of int32
        Number of users who rated both items, with the same sparsity.
    offset_ : ndarray of float64, shape (n_items,)
        The item's part of the offset `o`; 0 for similarities without an offset.
    scale_ : tuple of float
        Lowest and highest rating; predictions are clipped to them.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[5, 4, 0], [4, 5, 1], [1, 0, 5]])
    >>> knn = ItemKNN(n_neighbors=None).fit(X)
    >>> knn.predict_pairs(X, [0], [2])
    array([4.6...])
    """

    numbers: ClassVar[tuple[By, ...]] = ("score", "rating")
    arrays = LinearRater.arrays | {"offset_": ArraySpec("float64", ("n_items",), "finite where rated")}

    def __init__(
        self,
        similarity: SimilarityName = "cosine",
        *,
        n_neighbors: int | None = 100,
        max_neighbors_used: int | None = None,
        weighting: Weighting | None = None,
        user_normalization: float = 0.0,
        item_normalization: float = 0.0,
        shrinkage: float = 0.0,
        damping: float = 0.0,
        min_common: int = 1,
        positive_only: bool = True,
        prior_weight: float = 0.0,
        dtype: Literal["float32", "float64"] = "float32",
        max_memory: int | str | None = None,
    ) -> None:
        self.similarity = similarity
        self.n_neighbors = n_neighbors
        self.max_neighbors_used = max_neighbors_used
        self.weighting = weighting
        self.user_normalization = user_normalization
        self.item_normalization = item_normalization
        self.shrinkage = shrinkage
        self.damping = damping
        self.min_common = min_common
        self.positive_only = positive_only
        self.prior_weight = prior_weight
        self.dtype = dtype
        self.max_memory = max_memory

    def fit(
        self, X: Any, y: Any = None, *, scale: tuple[float, float] | None = None, progress: Progress | None = None
    ) -> "ItemKNN":
        measure, dtype = self.similarity_params(), np.dtype(check_choice("dtype", self.dtype, ("float32", "float64")))
        limit = check_memory("max_memory", self.max_memory)
        X = self._start_fit(X, scale)
        self.offset_ = self._item_offsets(X)
        values = normalize_users(weighted(self.centered(X, dtype), self.weighting), self.user_normalization)
        links, self.n_common_ = similarity(values, measure, max_memory=limit, progress=progress)
        degrees = np.bincount(X.indices, minlength=X.shape[1])
        self.item_weights_ = normalize_items(links, degrees, self.item_normalization)
        self.prepare()
        return self

    def plan(self, X: Any) -> int:
        measure, rows = self.similarity_params(), check_rows(ItemKNN(), X, fitting=True)
        values = rows.astype(self.dtype)
        per_rating = values.data.itemsize + 24  # the centred ratings and temporary arrays
        return plan(values, measure).bytes + values.nnz * per_rating

    def similarity_params(self) -> SimilarityParams:
        """Check the parameters; return the parameters of the similarity."""
        name = check_choice("similarity", self.similarity, _SIMILARITIES)
        check_choice("weighting", self.weighting, (None, "tf-idf", "bm25"))
        check_number("item_normalization", self.item_normalization, 0, 1)
        check_number("user_normalization", self.user_normalization, 0, 1)
        for parameter in ("weighting", "user_normalization"):
            if (value := getattr(self, parameter)) and name != "cosine":
                expected = f"with similarity={name!r}, ratings cannot be weighted."
                raise InputError(expected, parameter=parameter, value=value, remedy=Advice.COSINE)
        if check_number("prior_weight", self.prior_weight, 0) and name in ("cosine", "jaccard"):
            expected = f"with similarity={name!r}, there is no bias to shrink to."
            remedy = "Use 'residual-cosine', 'residual-pearson', 'pearson' or 'adjusted-cosine'."
            raise InputError(expected, parameter="prior_weight", value=self.prior_weight, remedy=remedy)
        check_integer("max_neighbors_used", self.max_neighbors_used, 1, none=True)
        return SimilarityParams(
            jaccard=name == "jaccard",
            shrinkage=check_number("shrinkage", self.shrinkage, 0),
            damping=check_number("damping", self.damping, 0),
            min_common=check_integer("min_common", self.min_common, 1),
            positive_only=check_flag("positive_only", self.positive_only),
            n_neighbors=check_integer("n_neighbors", self.n_neighbors, 1, none=True),
            pearson=name == "residual-pearson",
        )

    @property
    def offsets(self) -> Biases:
        empty = np.nan if self.similarity == "adjusted-cosine" else 0.0
        return Biases(self.offset_, _SIMILARITIES[self.similarity], empty)

    @property
    def falls_back(self) -> bool:
        return self.similarity not in ("cosine", "jaccard")

    def _item_offsets(self, X: sp.csr_array) -> npt.NDArray[np.float64]:
        if self.similarity in ("residual-cosine", "residual-pearson"):
            return BiasModel().fit(X).offsets.items
        if self.similarity == "pearson":  # an unrated item has no mean
            return np.where(np.bincount(X.indices, minlength=X.shape[1]) > 0, column_means(X, X.data, 0.0), np.nan)
        return np.zeros(X.shape[1])

    def centered(self, X: sp.csr_array, dtype: Any) -> sp.csr_array:
        """Return the ratings minus their offset, from which the similarity is computed.

        Parameters
        ----------
        dtype : dtype
            Type of the result.
        """
        if self.similarity in ("cosine", "jaccard"):
            return X.astype(dtype, copy=False)
        return self.offsets.residuals(X, dtype)


_SIMILARITIES: dict[str, float | None] = {
    "cosine": None,
    "adjusted-cosine": 0.0,
    "pearson": None,
    "jaccard": None,
    "residual-cosine": 12.0,
    "residual-pearson": 12.0,
}
"""Similarity → `reg_user` of the user biases in the offset; None: no user biases."""
