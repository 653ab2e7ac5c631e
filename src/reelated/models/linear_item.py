"""Models with an item × item matrix: `LinearItemModel` ranks, `LinearRater` predicts ratings as well."""

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.errors import InputError, check_choice, check_integer
from reelated.models.arrays import ArraySpec
from reelated.models.biases import Biases, clipped
from reelated.models.contracts import By
from reelated.models.contributions import ItemContributions, PairContributions
from reelated.models.estimator import Estimator
from reelated.models.topn import SLICE, ListOptions, Terms, TopN, top_n_of_rows
from reelated.models.validation import (
    check_columns,
    check_dense,
    check_item,
    check_item_mask,
    check_one_row,
    check_pairs,
    check_rows,
    check_weights,
)
from reelated.parallel import Progress, ordered_parallel_map, split_by_cost
from reelated.similarity import as_csc, as_kernel_csr

FEW = 64  # pairs of one row; splitting fewer over threads costs more than it saves
_ALL = np.empty(0, np.bool_)
_SCORE = kernels.ScoreParams(False, False, False, 0.0)


class LinearItemModel(Estimator):
    """A model with an item × item matrix.

    The score of item `i` is a sum over the items `j` that the row has rated, ``Σ_j s_ij v_j``. `rating_weight` gives
    `v`, which is multiplied by the `weights` of the ratings if these are given.

    Attributes
    ----------
    item_weights_ : scipy.sparse.csr_array, shape (n_items, n_items)
        Row `i` holds the items that predict `i`.
    n_common_ : scipy.sparse.csr_array of int32
        Number of users who rated both items, with the same sparsity.
    scale_ : tuple of float
        Lowest and highest rating.
    """

    item_weights_: sp.csr_array
    n_common_: sp.csr_array
    n_features_in_: int
    scale_: tuple[float, float]
    max_neighbors_used: int | None = None
    max_memory: int | str | None = None
    numbers: ClassVar[tuple[By, ...]] = ("score",)
    arrays: ClassVar[dict[str, ArraySpec]] = {}
    uses_side_info: ClassVar[bool] = False
    has_posterior: ClassVar[bool] = False

    def prepare(self) -> None:
        """Convert the fitted matrix for the kernels; called after a fit or a load."""
        n_items = self.item_weights_.shape[0]
        limit = n_items if self.max_neighbors_used is None else min(int(self.max_neighbors_used), n_items)
        by_row = as_kernel_csr(self.item_weights_)
        columns = as_csc(by_row, n_items, "uint16" if n_items <= 2**16 else "int32")  # uint16 halves the memory traffic
        self._links = kernels.ItemGraph(by_row, columns, limit)
        self._zeros = np.zeros(n_items)

    def learned_numbers(self) -> list[npt.NDArray[Any]]:
        """Return the learned arrays, so that a caller can check that they are finite."""
        return [self.item_weights_.data, *(getattr(self, name) for name in self.arrays)]

    @property
    def zero_rating(self) -> float:
        """The rating of weight 0: the lowest of the scale; 0 where the scale has one value."""
        low, high = self.scale_
        return low if high > low else 0.0

    def rating_weight(self, ratings: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the weight `v` of ratings in the score.

        Parameters
        ----------
        ratings : ndarray
            On the scale of the fit.

        Returns
        -------
        ndarray of float32
        """
        return np.asarray(ratings, np.float32) - np.float32(self.zero_rating)

    def _check_by(self, by: By | None) -> By:
        """Return the checked number; by default the first of the model."""
        return self.numbers[0] if by is None else check_choice("by", by, self.numbers)

    def _values(self, X: sp.csr_array, by: By, weights: Any = None) -> npt.NDArray[np.float32]:
        """Return `v` for each rating; a predicted rating is computed from the ratings themselves."""
        if by == "rating":
            if weights is not None:
                raise InputError("weights are for the score: leave them out for a predicted rating.")
            return X.data
        values = self.rating_weight(X.data)
        return values if weights is None else values * check_weights(weights, X)

    def _bases(self, X: sp.csr_array, by: By) -> tuple[Any, Any, kernels.ScoreParams]:
        """Return item offsets, user offsets, and how the sum becomes the number."""
        return self._zeros, np.zeros(X.shape[0]), _SCORE

    def _terms(self, X: sp.csr_array, by: By, weights: Any = None) -> Terms:
        indptr, indices, _ = as_kernel_csr(X)
        return Terms(kernels.CSR(indptr, indices, self._values(X, by, weights)), *self._bases(X, by))

    def recommend(
        self,
        X: Any,
        n: int = 10,
        *,
        by: By | None = None,
        item_mask: npt.NDArray[np.bool_] | None = None,
        exclude_seen: bool = True,
        weights: Any = None,
        progress: Progress | None = None,
    ) -> TopN:
        """Return the best items of every row.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings; the rows need not have been in the fit.
        n : int, default 10
            Maximum number of items of a row; fewer if fewer have a score.
        by : {"score", "rating"}, optional
            The number that rows are sorted by, a predicted rating before it is clipped to the scale; by default the
            first of the model's `numbers`.
        item_mask : ndarray of bool, shape (n_items,), optional
            The items to choose from; by default all.
        exclude_seen : bool, default True
            Whether items that the row has rated are left out.
        weights : array, shape (X.nnz,), optional
            Factors for the ratings of `X`, a canonical CSR, in the score; by default 1. Not for `by="rating"`.
        progress : callable, optional
            Called with the fraction done, from 0 to 1.

        Returns
        -------
        TopN
        """
        X, n, by = check_rows(self, X), check_integer("n", n, 0), self._check_by(by)
        mask = _ALL if item_mask is None else check_item_mask(self, item_mask)
        options = ListOptions(mask, not exclude_seen, min(n, X.shape[1]))
        return top_n_of_rows(self._terms(X, by, weights), self._links, options, progress)

    def score_items(self, X: Any, *, by: By | None = None, weights: Any = None) -> npt.NDArray[np.float64]:
        """Return the score, or the unclipped predicted rating, of every row and item; NaN where there is none.

        Parameters
        ----------
        X, by, weights
            As for `recommend`.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_items)

        Raises
        ------
        TooLarge
            The dense result would exceed `max_memory`.
        """
        X, by = check_rows(self, X), self._check_by(by)
        check_dense(self, X)
        rows, item_offset, user_offset, params = self._terms(X, by, weights)
        dense = np.empty(X.shape)
        for u in range(X.shape[0]):
            part = slice(rows.indptr[u], rows.indptr[u + 1])
            dense[u], _ = kernels.score_row(
                rows.indices[part], rows.data[part], self._links, item_offset, user_offset[u], params
            )
        return dense

    def score_pairs(
        self, X: Any, rows: Any, items: Any, *, by: By | None = None, weights: Any = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return the score, or the unclipped predicted rating, of pairs, and the number of neighbours used.

        Parameters
        ----------
        X
            As for `recommend`.
        rows, items : array of int, shape (n_pairs,)
            Row indices of `X` and item indices.
        by, weights
            As for `recommend`.

        Returns
        -------
        scores : ndarray of float64, shape (n_pairs,)
        n_neighbors_used : ndarray of int32, shape (n_pairs,)
        """
        X, by = check_rows(self, X), self._check_by(by)
        rows, items = check_pairs(X, rows, items)
        table, item_offset, user_offset, params = self._terms(X, by, weights)

        def pairs(start: int, stop: int) -> tuple[Any, Any]:
            return kernels.score_pairs(start, stop, table, rows, items, self._links, item_offset, user_offset, params)

        if X.shape[0] == 1 and len(items) <= FEW:
            return pairs(0, len(items))
        by_row = np.argsort(rows, kind="stable")
        rows, items = rows[by_row], items[by_row]
        begins = self._links.by_row.indptr
        slices = split_by_cost(begins[items + 1] - begins[items] + 1, SLICE) or [(0, 0)]
        parts = list(ordered_parallel_map(pairs, slices))
        scores, n_neighbors_used = np.empty(len(rows)), np.empty(len(rows), np.int32)
        scores[by_row], n_neighbors_used[by_row] = (np.concatenate(part) for part in zip(*parts, strict=True))
        return scores, n_neighbors_used

    def columns(self, X: Any, *, by: By | None = None, weights: Any = None) -> sp.csc_array:
        """Return the values `v` of the ratings by columns, as `score_users` reads them.

        Parameters
        ----------
        X, by, weights
            As for `recommend`.

        Returns
        -------
        csc_array of float32, shape (n_rows, n_items)
        """
        X, by = check_rows(self, X), self._check_by(by)
        return sp.csc_array(sp.csr_array((self._values(X, by, weights), X.indices, X.indptr), shape=X.shape))

    def score_users(
        self, X: Any, item: int, *, by: By | None = None, weights: Any = None, by_item: sp.csc_array | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return the score, or the unclipped predicted rating, of one item for every row.

        Only the raters of the item's neighbours are visited.

        Parameters
        ----------
        X
            As for `recommend`.
        item : int
            Item index.
        by, weights
            As for `recommend`.
        by_item : csc_array, optional
            Result of `columns` for the same arguments, to save computing it.

        Returns
        -------
        scores : ndarray of float64, shape (n_rows,)
            NaN where there is no score.
        n_neighbors_used : ndarray of int32, shape (n_rows,)
        """
        X, item, by = check_rows(self, X), check_item(self, item), self._check_by(by)
        by_item = self.columns(X, by=by, weights=weights) if by_item is None else check_columns(self, by_item, X)
        if self._links.max_neighbors_used < X.shape[1]:  # each row may use other neighbours
            return self.score_pairs(X, np.arange(X.shape[0]), np.full(X.shape[0], item), by=by, weights=weights)
        return kernels.score_users(item, self._links.by_row, as_kernel_csr(by_item), *self._bases(X, by))

    def audience(
        self,
        X: Any,
        item: int,
        n: int = 10,
        *,
        by: By | None = None,
        weights: Any = None,
        by_item: sp.csc_array | None = None,
    ) -> npt.NDArray[np.int64]:
        """Return the rows that have not rated an item and have the highest number, ties in ascending row index.

        Parameters
        ----------
        X, item
            As for `score_users`.
        n : int, default 10
            Maximum number of rows.
        by, weights, by_item
            As for `score_users`.

        Returns
        -------
        ndarray of int64
            Row indices, best first.
        """
        X, n = check_rows(self, X), check_integer("n", n, 0)
        by_item = self.columns(X, by=by, weights=weights) if by_item is None else by_item
        scores, _ = self.score_users(X, item, by=by, weights=weights, by_item=by_item)
        scores[by_item.indices[by_item.indptr[item] : by_item.indptr[item + 1]]] = np.nan
        return kernels.top_n(scores, min(n, len(scores)))

    def explain_pair(self, X: Any, item: int, *, by: By | None = None, weights: Any = None) -> PairContributions:
        """Return the contributions to one row's number for an item.

        Parameters
        ----------
        X : array or sparse matrix, shape (1, n_items)
            Ratings of one user.
        item : int
            Item index.
        by, weights
            As for `recommend`.

        Returns
        -------
        PairContributions
        """
        return self.explain_items(X, [check_item(self, item)], by=by, weights=weights).one(0)

    def explain_items(
        self, X: Any, items: Any, *, by: By | None = None, weights: Any = None, scores: Any = None
    ) -> ItemContributions:
        """Return the contributions to one row's numbers for several items.

        Parameters
        ----------
        X : array or sparse matrix, shape (1, n_items)
            Ratings of one user.
        items : sequence of int
            Item indices.
        by, weights
            As for `recommend`.
        scores : array, shape (n_items,), optional
            Result of `score_pairs` for these items, to save computing it.

        Returns
        -------
        ItemContributions
        """
        X, by = check_one_row(self, X), self._check_by(by)
        if scores is None:
            scores, _ = self.score_pairs(X, np.zeros(len(items), np.int32), items, by=by, weights=weights)
        scores = clipped(scores, self.scale_) if by == "rating" else scores
        items, terms = np.asarray(items, np.int32), self._terms(X, by, weights)
        reference, params, links = self._reference(terms), terms.params, self._links
        values, average = terms.rows.data - reference, params.rating and params.average
        parts = kernels.contributions(items, links, self.n_common_.data, X.indices, values, average, params.prior)
        return ItemContributions.of(scores, self._base(terms, items, parts, reference), parts, X)

    def _reference(self, terms: Terms) -> npt.NDArray[np.float64]:
        """Return the values that the one row's ratings are compared with in an explanation: 0 for a score."""
        return np.zeros(len(terms.rows.data))

    def _base(self, terms: Terms, items: Any, parts: kernels.Contributions, reference: Any) -> npt.NDArray[np.float64]:
        """Return the part of each number that no rating contributes."""
        return np.zeros(len(items))

    def covariance(self, items: Any) -> tuple[npt.NDArray[np.float64], float]:
        """Return a substitute for the covariance of ratings of some items: the cosine between rows of the matrix.

        Parameters
        ----------
        items : array of int, shape (n,)
            Item indices.

        Returns
        -------
        covariance : ndarray of float64, shape (n, n)
        noise : float
            Variance of the noise of a rating, a constant.
        """
        links = self.item_weights_[items][:, items].toarray().astype(np.float64)
        links += np.eye(len(items))
        links /= np.linalg.norm(links, axis=1, keepdims=True)
        return links @ links.T, 0.5


class LinearRater(LinearItemModel):
    """A model with an item × item matrix that predicts ratings.

    The predicted rating is ``o_ui + Σ_j s_ij (r_uj − o_uj)`` with the offset ``o_ui = offset_i + the user's offset``.
    `ItemKNN` divides the sum by ``Σ_j |s_ij|``.

    Attributes
    ----------
    offset_ : ndarray of float64, shape (n_items,)
        Expected rating of each item before its neighbours are considered.
    """

    offset_: npt.NDArray[np.float64]
    prior_weight: float = 0.0
    numbers: ClassVar[tuple[By, ...]] = ("rating",)
    arrays: ClassVar[dict[str, ArraySpec]] = {"offset_": ArraySpec("float64", ("n_items",))}

    @property
    def offsets(self) -> Biases:
        """The offset that ratings are compared with."""
        return Biases(self.offset_, None)

    @property
    def falls_back(self) -> bool:
        """Whether the offset is predicted where no neighbour is rated."""
        return bool(self.offset_.any()) or self.offsets.reg_user is not None

    def _bases(self, X: sp.csr_array, by: By) -> tuple[Any, Any, kernels.ScoreParams]:
        if by == "score":
            return super()._bases(X, by)
        params = kernels.ScoreParams(True, True, self.falls_back, float(self.prior_weight))
        return self.offset_, self.offsets.of_users(X), params

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the predicted rating of every row and item; `predict_pairs` predicts some.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_items)
            On the scale of the ratings; NaN where there is no prediction.

        Raises
        ------
        TooLarge
            The dense result would exceed `max_memory`.
        """
        return clipped(self.score_items(X, by="rating"), self.scale_)

    def predict_pairs(self, X: Any, rows: Any, items: Any) -> npt.NDArray[np.float64]:
        """Return the predicted ratings of pairs of a row and an item.

        A rating of the pair in `X` itself is not used: an item is never its own neighbour.

        Parameters
        ----------
        X, rows, items
            As for `score_pairs`.

        Returns
        -------
        ndarray of float64, shape (n_pairs,)
            On the scale of the ratings; NaN where there is no prediction.
        """
        return clipped(self.score_pairs(X, rows, items, by="rating")[0], self.scale_)

    def _reference(self, terms: Terms) -> npt.NDArray[np.float64]:
        """Return the offsets, or the user's mean m where there is none.

        A plain weighted average Σ s r / Σ s is explained as m + Σ s (r − m) / Σ s, so that a rating above the mean
        contributes positively and one below negatively.
        """
        values, params = terms.rows.data, terms.params
        if params.rating and params.fallback:
            return terms.user_offset[0] + terms.item_offset[terms.rows.indices]
        mean = values.mean(dtype=np.float64) if params.rating and len(values) else 0.0
        return np.full(len(values), mean)

    def _base(self, terms: Terms, items: Any, parts: kernels.Contributions, reference: Any) -> npt.NDArray[np.float64]:
        if terms.params.rating and terms.params.fallback:
            return terms.user_offset[0] + terms.item_offset[items]
        mean = reference[0] if len(reference) else 0.0
        return mean * np.divide(parts.total, parts.weight, out=np.zeros(len(items)), where=parts.weight > 0)
