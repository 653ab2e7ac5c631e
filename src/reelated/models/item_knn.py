"""`ItemKNN`: each item is predicted from the items most like it."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import Advice, InputError, check_choice, check_flag, check_integer, check_memory, check_number
from reelated.models.arrays import ArraySpec
from reelated.models.bias import BiasModel
from reelated.models.biases import Biases, check_bounds, column_means, observed
from reelated.models.linear_item import LinearRater
from reelated.models.validation import check_rows
from reelated.parallel import Progress
from reelated.similarity import SimilarityParams, Weighting, plan, similarity, weighted

SimilarityName = Literal["cosine", "adjusted-cosine", "pearson", "jaccard", "residual-cosine", "residual-pearson"]


class ItemKNN(LinearRater):
    """Predict an item from the items most like it that the person has rated.

    The predicted rating is the weighted average ``Σ_j s_ij r_uj / Σ_j |s_ij|`` over the rated neighbours `j` of `i`
    (Sarwar et al. 2001, §3.2.1). Where the similarity is taken of ratings less an offset `o`, so is the average:
    ``o_ui + Σ_j s_ij (r_uj − o_uj) / (Σ_j |s_ij| + prior_weight)``. The ranking score is ``Σ_j s_ij (r_uj − low)``,
    `low` being the lowest rating of the scale, which so adds nothing.

    Parameters
    ----------
    similarity : str, default "cosine"
        "cosine" of the ratings; "adjusted-cosine": less each person's mean; "pearson": less each item's mean;
        "residual-cosine": less the regularised biases of both (see `BiasModel`); "jaccard": of who rated what.
        Columns are zero-filled, as in scikit-learn. "residual-pearson" alone is the correlation over those who rated
        both, of their ratings less the same biases (Herlocker et al. 2002, §3.1, between items).
    n_neighbors : int or None, default 100
        Most neighbours kept for an item; None keeps all.
    max_neighbors_used : int or None, default None
        Of the neighbours that a person has rated, use this many at the most, the strongest; None uses all.
    weighting : {None, "tf-idf", "bm25"}, default None
        Weight ratings before the cosine, with items as documents and people as terms.
    shrinkage : float, default 0.0
        Multiply a similarity by ``c / (c + shrinkage)``, `c` = people who rated both.
    damping : float, default 0.0
        Add to a similarity's denominator.
    min_common : int, default 1
        Fewer people who rated both than this: not similar.
    positive_only : bool, default True
        Drop negative similarities.
    prior_weight : float, default 0.0
        The similarity of an imagined neighbour that was rated just as expected: it draws predictions that rest on
        little towards the offset. Only for similarities of ratings less an offset.
    dtype : {"float32", "float64"}, default "float32"
        In which the similarities are summed and kept.
    max_memory : int, str or None, default None
        The most bytes that the fit may take, such as "2GB"; more is refused beforehand.

    Attributes
    ----------
    item_weights_ : scipy.sparse.csr_array, shape (n_items, n_items)
        Row `i` holds the items that predict `i`; no diagonal.
    n_common_ : scipy.sparse.csr_array of int32
        In the same places: how many people rated both.
    offset_ : ndarray of float64, shape (n_items,)
        The item's part of the offset `o`; zeros where there is none.
    scale_ : tuple of float
        The lowest and the highest rating; predictions are cut to them.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[5, 4, 0], [4, 5, 1], [1, 0, 5]])
    >>> knn = ItemKNN(n_neighbors=None).fit(X)
    >>> knn.predict_pairs(X, [0], [2])
    array([4.6...])
    """

    numbers = ("score", "rating")
    arrays = LinearRater.arrays | {"offset_": ArraySpec("float64", ("n_items",), "finite where rated")}

    def __init__(
        self,
        similarity: SimilarityName = "cosine",
        *,
        n_neighbors: int | None = 100,
        max_neighbors_used: int | None = None,
        weighting: Weighting | None = None,
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
        self.shrinkage = shrinkage
        self.damping = damping
        self.min_common = min_common
        self.positive_only = positive_only
        self.prior_weight = prior_weight
        self.dtype = dtype
        self.max_memory = max_memory

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        scale: tuple[float, float] | None = None,
        progress: Progress | None = None,
    ) -> "ItemKNN":
        """Compute the neighbours of every item.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_users, n_items)
            Ratings. A stored zero of a sparse matrix is a rating; a zero of a dense array is none.
        y : ignored
            For scikit-learn's sake.
        scale : (low, high), optional
            Lowest and highest possible rating; by default those seen.
        progress : callable, optional
            Called with the share that is done.

        Returns
        -------
        ItemKNN
            This estimator.

        Raises
        ------
        InputError
            A parameter is out of its range, or a combination means nothing.
        TooLarge
            More than `max_memory` may be needed.
        """
        measure, dtype = self.similarity_params(), np.dtype(check_choice("dtype", self.dtype, ("float32", "float64")))
        limit = check_memory("max_memory", self.max_memory)
        X = check_rows(self, X, fitting=True)
        self.scale_ = observed(X) if scale is None else check_bounds(scale)
        self.offset_ = self._item_offsets(X)
        values = weighted(self.centered(X, dtype), self.weighting)
        self.item_weights_, self.n_common_ = similarity(values, measure, max_memory=limit, progress=progress)
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
        measure, rows = self.similarity_params(), check_rows(ItemKNN(), X, fitting=True)
        values = rows.astype(self.dtype)
        made = values.data.itemsize + 24  # what the similarity is taken of, and what making it takes in passing
        return plan(values, measure).bytes + values.nnz * made

    def similarity_params(self) -> SimilarityParams:
        """Check the parameters; return those of the similarity."""
        name = check_choice("similarity", self.similarity, _SIMILARITIES)
        weighting = check_choice("weighting", self.weighting, (None, "tf-idf", "bm25"))
        if weighting is not None and name != "cosine":
            raise InputError(
                f"with similarity={name!r}, weightings are for ratings as they are.",
                parameter="weighting",
                value=weighting,
                remedy=Advice.COSINE,
            )
        if check_number("prior_weight", self.prior_weight, 0) and name in ("cosine", "jaccard"):
            raise InputError(
                f"with similarity={name!r}, there is no bias to shrink to.",
                parameter="prior_weight",
                value=self.prior_weight,
                remedy="Use 'residual-cosine', 'residual-pearson', 'pearson' or 'adjusted-cosine'.",
            )
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
        """What a rating is measured against under the chosen similarity."""
        empty = np.nan if self.similarity == "adjusted-cosine" else 0.0
        return Biases(self.offset_, _SIMILARITIES[self.similarity], empty)

    @property
    def falls_back(self) -> bool:
        """Whether a rating is predicted where no neighbour is rated: from what it is measured against."""
        return self.similarity not in ("cosine", "jaccard")

    def _item_offsets(self, X: sp.csr_array) -> npt.NDArray[np.float64]:
        if self.similarity in ("residual-cosine", "residual-pearson"):
            return BiasModel().fit(X).offsets.items
        if self.similarity == "pearson":  # of an item that nobody rated there is no mean
            return np.where(np.bincount(X.indices, minlength=X.shape[1]) > 0, column_means(X, X.data, 0.0), np.nan)
        return np.zeros(X.shape[1])

    def centered(self, X: sp.csr_array, dtype: Any) -> sp.csr_array:
        """Return the ratings less their offset, from which the similarity is computed.

        Parameters
        ----------
        X : csr_array, shape (n_users, n_items)
            Ratings.
        dtype : dtype
            Type of the result.

        Returns
        -------
        csr_array
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
"""The similarities, and the `reg_user` of the person's part of the offset where there is one."""
