"""Models with an item × item matrix: `LinearItemModel` ranks, `LinearRater` predicts ratings as well."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.models.arrays import ArraySpec
from reelated.models.biases import Biases, clipped
from reelated.models.contracts import By
from reelated.models.contributions import ItemContributions
from reelated.models.row_model import RowModel, RowRater
from reelated.models.topn import SLICE, ListOptions, Terms, TopN, top_n_of_rows
from reelated.parallel import Progress, ordered_parallel_map, split_by_cost
from reelated.similarity import as_csc, as_kernel_csr

FEW = 64  # minimum number of pairs of one row: splitting fewer over threads costs more than it saves
_ALL = np.empty(0, np.bool_)
_SCORE = kernels.ScoreParams(False, False, False, 0.0)


class LinearItemModel(RowModel):
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
    max_neighbors_used: int | None = None
    numbers: ClassVar[tuple[By, ...]] = ("score",)

    def prepare(self) -> None:
        n_items = self.item_weights_.shape[0]
        limit = n_items if self.max_neighbors_used is None else min(int(self.max_neighbors_used), n_items)
        by_row = as_kernel_csr(self.item_weights_)
        columns = as_csc(by_row, n_items, "uint16" if n_items <= 2**16 else "int32")  # uint16 halves the memory traffic
        self._links = kernels.ItemGraph(by_row, columns, limit)
        self._zeros = np.zeros(n_items)

    def learned_numbers(self) -> list[npt.NDArray[Any]]:
        return [self.item_weights_.data, *super().learned_numbers()]

    @property
    def zero_rating(self) -> float:
        """The rating whose weight is 0: the lowest of the scale, or 0 if the scale has one value."""
        low, high = self.scale_
        return low if high > low else 0.0

    def rating_weight(self, ratings: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the weight `v` of ratings in the score.

        Parameters
        ----------
        ratings : ndarray
            On the scale of the fit.
        """
        return np.asarray(ratings, np.float32) - np.float32(self.zero_rating)

    def _bases(self, X: sp.csr_array, by: By) -> tuple[Any, Any, kernels.ScoreParams]:
        """Return item offsets, user offsets, and the formula that turns a sum into a score or predicted rating."""
        return self._zeros, np.zeros(X.shape[0]), _SCORE

    def checked_scorer(self, X: sp.csr_array, by: By, weights: npt.NDArray[np.float32] | None) -> "LinearScorer":
        indptr, indices, values = as_kernel_csr(X)  # a predicted rating is computed from the ratings themselves
        if by == "score":
            values = self.rating_weight(values) if weights is None else self.rating_weight(values) * weights
        terms = Terms(kernels.CSR(indptr, indices, values), *self._bases(X, by))
        return LinearScorer(X, terms, self._links, self.n_common_.data, self.scale_ if by == "rating" else None)

    def covariance(self, items: Any) -> tuple[npt.NDArray[np.float64], float]:
        links = self.item_weights_[items][:, items].toarray().astype(np.float64)
        links += np.eye(len(items))
        links /= np.linalg.norm(links, axis=1, keepdims=True)
        return links @ links.T, 0.5


class LinearRater(LinearItemModel, RowRater):
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
    @abstractmethod
    def offsets(self) -> Biases:
        """The offset that ratings are compared with."""

    @property
    def falls_back(self) -> bool:
        """Whether the prediction is the offset if no neighbour is rated."""
        return True

    def _bases(self, X: sp.csr_array, by: By) -> tuple[Any, Any, kernels.ScoreParams]:
        if by == "score":
            return super()._bases(X, by)
        params = kernels.ScoreParams(True, True, self.falls_back, float(self.prior_weight))
        return self.offset_, self.offsets.of_users(X), params


class LinearScorer(NamedTuple):
    """The scorer of a linear model. `scale` clips the explained predicted ratings; None for scores."""

    matrix: sp.csr_array
    terms: Terms
    links: kernels.ItemGraph
    common: npt.NDArray[np.int32]
    scale: tuple[float, float] | None

    def top(
        self, n: int, item_mask: Any = None, *, exclude_seen: bool = True, progress: Progress | None = None
    ) -> TopN:
        options = ListOptions(_ALL if item_mask is None else item_mask, not exclude_seen, min(n, self.matrix.shape[1]))
        return top_n_of_rows(self.terms, self.links, options, progress)

    def pairs(self, rows: Any, items: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        rows, items = np.asarray(rows, np.int32), np.asarray(items, np.int32)
        if self.matrix.shape[0] == 1 and len(items) <= FEW:
            return kernels.score_pairs(0, len(items), self.terms.rows, rows, items, self.links, *self.terms[1:])
        by_row = np.argsort(rows, kind="stable")
        rows, items = rows[by_row], items[by_row]

        def pairs(start: int, stop: int) -> tuple[Any, Any]:
            return kernels.score_pairs(start, stop, self.terms.rows, rows, items, self.links, *self.terms[1:])

        begins = self.links.by_row.indptr
        slices = split_by_cost(begins[items + 1] - begins[items] + 1, SLICE) or [(0, 0)]
        parts = list(ordered_parallel_map(pairs, slices))
        scores, n_neighbors_used = np.empty(len(rows)), np.empty(len(rows), np.int32)
        scores[by_row], n_neighbors_used[by_row] = (np.concatenate(part) for part in zip(*parts, strict=True))
        return scores, n_neighbors_used

    def columns(self) -> sp.csc_array:
        return sp.csc_array(
            sp.csr_array((self.terms.rows.data, self.matrix.indices, self.matrix.indptr), shape=self.matrix.shape)
        )

    def users(
        self, item: int, by_item: sp.csc_array | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return the score or rating of one item for every row, from the raters of the item's neighbours."""
        n_rows, n_items = self.matrix.shape
        if self.links.max_neighbors_used < n_items:  # each row may use different neighbours
            return self.pairs(np.arange(n_rows), np.full(n_rows, item))
        columns = as_kernel_csr(self.columns() if by_item is None else by_item)
        return kernels.score_users(item, self.links.by_row, columns, *self.terms[1:])

    def contributions(self, items: Any, scores: Any = None) -> ItemContributions:
        items, (rows, item_offset, user_offset, params) = np.asarray(items, np.int32), self.terms
        scores = self.pairs(np.zeros(len(items), np.int32), items)[0] if scores is None else scores
        scores = scores if self.scale is None else clipped(scores, self.scale)
        average, mean = params.rating and params.average, 0.0
        has_offset = params.rating and params.fallback
        values = rows.data.astype(np.float64)
        if has_offset:
            values -= user_offset[0] + item_offset[rows.indices]
        elif average and len(values):
            # a plain weighted average Σ s r / Σ s is explained as m + Σ s (r − m) / Σ s with the mean m, so that a
            # rating above the mean contributes positively and one below negatively
            values -= (mean := rows.data.mean(dtype=np.float64))
        parts = kernels.contributions(items, self.links, self.common, rows.indices, values, average, params.prior)
        bases = np.zeros(len(items))
        if has_offset:
            bases += user_offset[0] + item_offset[items]
        elif average:
            bases += mean * np.divide(parts.total, parts.weight, out=np.zeros(len(items)), where=parts.weight > 0)
        return ItemContributions(scores, bases, parts, self.matrix.indices, self.matrix.data)

    def dense(self) -> npt.NDArray[np.float64]:
        rows, item_offset, user_offset, params = self.terms
        dense = np.empty(self.matrix.shape)
        for u in range(len(dense)):
            part = slice(rows.indptr[u], rows.indptr[u + 1])
            dense[u], _ = kernels.score_row(
                rows.indices[part], rows.data[part], self.links, item_offset, user_offset[u], params
            )
        return dense
