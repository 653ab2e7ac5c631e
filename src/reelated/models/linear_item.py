"""What every model with an item × item matrix can do: score, predict, recommend, find an audience, explain."""

from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from reelated import _kernels as kernels
from reelated.errors import InputError, check_choice, check_integer
from reelated.models.biases import Biases, clipped
from reelated.models.explanation import Explanation, Explanations
from reelated.models.lists import SLICE, Terms, TopN, Wanted, best_of_rows
from reelated.models.rows import (
    check_allowed,
    check_columns,
    check_dense,
    check_item,
    check_pairs,
    check_rows,
    check_weights,
)
from reelated.parallel import Progress, ordered_parallel_map, split_by_cost
from reelated.similarity import as_csc, as_kernel_csr

By = Literal["score", "rating"]
FEW = 64
"""Pairs of one row that are not worth cutting into slices."""
_ALL = np.empty(0, np.bool_)
_RELEVANCE = kernels.ScoreParams(False, False, False, 0.0)


class LinearItemModel(BaseEstimator):
    """A fitted item × item matrix at work.

    Both numbers of a row and an item `i` come from the same sum over the items `j` that the row has rated,
    ``Σ_j s_ij v_j``. What a rating is worth, `v`, is the model's own: `rating_weight` gives it for the score. Where
    ratings have `weights`, such as by their age, these multiply it.

    Attributes
    ----------
    similarity_ : scipy.sparse.csr_array, shape (n_items, n_items)
        Row `i` holds the items that predict `i`.
    n_common_ : scipy.sparse.csr_array of int32
        In the same places: how many people rated both.
    offset_ : ndarray of float64, shape (n_items,)
        What is expected of a rating of each item before the neighbours are looked at; zeros where nothing is.
    scale_ : tuple of float
        The lowest and the highest rating.
    """

    similarity_: sp.csr_array
    n_common_: sp.csr_array
    offset_: npt.NDArray[np.float64]
    scale_: tuple[float, float]
    prior_weight: float = 0.0
    max_neighbors_used: int | None = None
    max_memory: int | str | None = None
    arrays: ClassVar[tuple[str, ...]] = ("offset_",)
    """What a fit learns of every item beside the matrix: arrays of one number each."""
    uses_side_info: ClassVar[bool] = False
    """Whether a fit takes `items`, what else is known of them, so that the rarely rated borrow from others."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def prepare(self) -> None:
        """Lay out the fitted matrix for the kernels, by rows and by columns; called after a fit or a load."""
        every = self.similarity_.shape[0]
        max_neighbors_used = every if self.max_neighbors_used is None else min(int(self.max_neighbors_used), every)
        by_row = as_kernel_csr(self.similarity_)
        columns = as_csc(by_row, every, "uint16" if every <= 2**16 else "int32")  # less to read in making lists
        self._links = kernels.ItemGraph(by_row, columns, max_neighbors_used)
        self._nothing = np.zeros(every)

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
        raise NotImplementedError

    @property
    def offsets(self) -> Biases:
        """What a rating is measured against."""
        return Biases(self.offset_, None)

    @property
    def falls_back(self) -> bool:
        """Whether a rating is predicted where no neighbour is rated: from the offsets, if there are any."""
        return bool(self.offset_.any()) or self.offsets.reg_user is not None

    @property
    def zero_rating(self) -> float:
        """The rating that is worth nothing: the lowest; 0 where all ratings are the same."""
        low, high = self.scale_
        return low if high > low else 0.0

    def rating_weight(self, ratings: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return what ratings add to a ranking score, for each unit of a link.

        Parameters
        ----------
        ratings : ndarray
            On the scale of the fit.

        Returns
        -------
        ndarray of float32
            In the same places: how far above the lowest.
        """
        return np.asarray(ratings, np.float32) - np.float32(self.zero_rating)

    def _worth_of(self, X: sp.csr_array, by: By, weights: Any = None) -> npt.NDArray[np.float32]:
        """Return `v` of one of the two numbers for each rating; a rating is predicted from the ratings themselves."""
        if check_choice("by", by, ("score", "rating")) == "rating":
            return X.data
        values = self.rating_weight(X.data)
        return values if weights is None else values * check_weights(weights, X)

    def _bases(self, X: sp.csr_array, by: By) -> tuple[Any, Any, kernels.ScoreParams]:
        """Return item offsets, user offsets and the finish of one of the two numbers."""
        if check_choice("by", by, ("score", "rating")) == "score":
            return self._nothing, np.zeros(X.shape[0]), _RELEVANCE
        finish = kernels.ScoreParams(True, True, self.falls_back, float(self.prior_weight))
        return self.offset_, self.offsets.of_users(X), finish

    def _terms(self, X: sp.csr_array, by: By, weights: Any = None) -> Terms:
        """Return what one of the two numbers is made of."""
        indptr, indices, _ = as_kernel_csr(X)
        return Terms(kernels.CSR(indptr, indices, self._worth_of(X, by, weights)), *self._bases(X, by))

    def recommend(
        self,
        X: Any,
        n: int = 10,
        *,
        by: By = "score",
        allowed: npt.NDArray[np.bool_] | None = None,
        keep_seen: bool = False,
        weights: Any = None,
        progress: Progress | None = None,
    ) -> TopN:
        """Return the best items of every row.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings of the people asked about; they need not have been in the fit.
        n : int, default 10
            Most items of a row; fewer come only where fewer have a score.
        by : {"score", "rating"}, default "score"
            The number that rows are sorted by: the score, or the predicted rating before it is clipped to the scale.
        allowed : ndarray of bool, shape (n_items,), optional
            The items to choose from.
        keep_seen : bool, default False
            Whether items of the row itself may be among them.
        weights : array, shape (X.nnz,), optional
            What multiplies the worth of each rating of `X`, a canonical CSR, for the score; by default 1.
        progress : callable, optional
            Called with the share that is done.

        Returns
        -------
        TopN
        """
        X, n = check_rows(self, X), check_integer("n", n, 0)
        chosen = _ALL if allowed is None else check_allowed(self, allowed)
        wanted = Wanted(chosen, keep_seen, min(n, X.shape[1]))
        return best_of_rows(self._terms(X, by, weights), self._links, wanted, progress)

    def score_items(self, X: Any, *, by: By = "score", weights: Any = None) -> npt.NDArray[np.float64]:
        """Return the score or the unclipped predicted rating of every row and item; NaN where there is none.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings.
        by : {"score", "rating"}, default "score"
            Which number: the ranking score Σ_j s_ij v_uj, or the predicted rating before it is clipped to the scale.
        weights : array, shape (X.nnz,), optional
            What multiplies the worth of each rating of `X`, a canonical CSR, for the score; by default 1.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_items)

        Raises
        ------
        TooLarge
            The dense result would exceed `max_memory`.
        """
        X = check_rows(self, X)
        check_dense(self, X)
        rows, item_offset, user_offset, finish = self._terms(X, by, weights)
        dense = np.empty(X.shape)
        for u in range(X.shape[0]):
            part = slice(rows.indptr[u], rows.indptr[u + 1])
            dense[u], _ = kernels.score_row(
                rows.indices[part], rows.data[part], self._links, item_offset, user_offset[u], finish
            )
        return dense

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the predicted rating of every row and item; `predict_pairs` is the way to ask for some.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_items)
            NaN where nothing can be said.

        Raises
        ------
        TooLarge
            The dense result would exceed `max_memory`.
        """
        return clipped(self.score_items(X, by="rating"), self.scale_)

    def predict_pairs(self, X: Any, rows: Any, items: Any) -> npt.NDArray[np.float64]:
        """Return the predicted ratings of pairs of a row and an item.

        A rating that `X` itself holds for the pair is not used: an item is never its own neighbour.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings of the people asked about.
        rows, items : array of int, shape (n_pairs,)
            Numbers of rows of `X` and of items.

        Returns
        -------
        ndarray of float64, shape (n_pairs,)
            On the scale of the ratings; NaN where nothing can be said.
        """
        return clipped(self.score_pairs(X, rows, items, by="rating")[0], self.scale_)

    def score_pairs(
        self, X: Any, rows: Any, items: Any, *, by: By = "score", weights: Any = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return the score or the predicted rating of pairs, and how many rated neighbours each is made from.

        A predicted rating is not clipped to the scale; `predict_pairs` clips it.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings.
        rows, items : array of int, shape (n_pairs,)
            Numbers of rows of `X` and of items.
        by : {"score", "rating"}, default "score"
            Which number.
        weights : array, shape (X.nnz,), optional
            What multiplies the worth of each rating of `X`, a canonical CSR, for the score; by default 1.

        Returns
        -------
        scores : ndarray of float64, shape (n_pairs,)
        n_neighbors_used : ndarray of int32, shape (n_pairs,)
        """
        X = check_rows(self, X)
        rows, items = check_pairs(X, rows, items)
        table, item_offset, user_offset, finish = self._terms(X, by, weights)

        def pairs(start: int, stop: int) -> tuple[Any, Any]:
            return kernels.score_pairs(start, stop, table, rows, items, self._links, item_offset, user_offset, finish)

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

    def columns(self, X: Any, *, by: By = "score", weights: Any = None) -> sp.csc_array:
        """Return what the ratings of `X` are worth to one of the two numbers, by columns: what `score_users` reads.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings.
        by : {"score", "rating"}, default "score"
            Which number.
        weights : array, shape (X.nnz,), optional
            What multiplies the worth of each rating of `X`, a canonical CSR, for the score; by default 1.

        Returns
        -------
        csc_array of float32, shape (n_rows, n_items)
        """
        X = check_rows(self, X)
        return sp.csc_array(sp.csr_array((self._worth_of(X, by, weights), X.indices, X.indptr), shape=X.shape))

    def score_users(
        self, X: Any, item: int, *, by: By = "score", weights: Any = None, by_item: sp.csc_array | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return one of the two numbers of one item for every row, through the raters of its neighbours only.

        A predicted rating is not clipped to the scale.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings.
        item : int
            The item's number.
        by : {"score", "rating"}, default "score"
            Which number.
        weights : array, shape (X.nnz,), optional
            What multiplies the worth of each rating of `X`, a canonical CSR, for the score; by default 1.
        by_item : csc_array, optional
            What `columns` returned for the same arguments, where the caller has it: saves the time of making it.

        Returns
        -------
        scores : ndarray of float64, shape (n_rows,)
            NaN where nothing can be said.
        n_neighbors_used : ndarray of int32, shape (n_rows,)
        """
        X, item = check_rows(self, X), check_item(self, item)
        by_item = self.columns(X, by=by, weights=weights) if by_item is None else check_columns(self, by_item, X)
        if self._links.max_neighbors_used < X.shape[1]:  # which neighbours count differs from row to row
            return self.score_pairs(X, np.arange(X.shape[0]), np.full(X.shape[0], item), by=by, weights=weights)
        return kernels.score_users(item, self._links.by_row, as_kernel_csr(by_item), *self._bases(X, by))

    def audience(
        self,
        X: Any,
        item: int,
        n: int = 10,
        *,
        by: By = "score",
        weights: Any = None,
        by_item: sp.csc_array | None = None,
    ) -> npt.NDArray[np.int64]:
        """Return the rows that have not rated an item and score it highest, ties in ascending row number.

        Parameters
        ----------
        X, item
            As for `score_users`.
        n : int, default 10
            Most rows.
        by, weights, by_item
            As for `score_users`.

        Returns
        -------
        ndarray of int64
            Row numbers, best first.
        """
        X, n = check_rows(self, X), check_integer("n", n, 0)
        by_item = self.columns(X, by=by, weights=weights) if by_item is None else by_item
        scores, _ = self.score_users(X, item, by=by, weights=weights, by_item=by_item)
        scores[by_item.indices[by_item.indptr[item] : by_item.indptr[item + 1]]] = np.nan
        return kernels.top_n(scores, min(n, len(scores)))

    def explain_pair(self, X: Any, item: int, *, by: By = "score", weights: Any = None) -> Explanation:
        """Return the parts that one person's score for an item is the sum of.

        Parameters
        ----------
        X : array or sparse matrix, shape (1, n_items)
            The person's row.
        item : int
            The item's number.
        by : {"score", "rating"}, default "score"
            Which number.
        weights : array, shape (X.nnz,), optional
            What multiplies the worth of each rating of `X`, a canonical CSR, for the score; by default 1.

        Returns
        -------
        Explanation
        """
        return self.explain_items(X, [check_item(self, item)], by=by, weights=weights).one(0)

    def explain_items(
        self, X: Any, items: Any, *, by: By = "score", weights: Any = None, scores: Any = None
    ) -> Explanations:
        """Return for each of several items the parts that one person's score for it is the sum of.

        Parameters
        ----------
        X : array or sparse matrix, shape (1, n_items)
            The person's row.
        items : sequence of int
            The items' numbers.
        by : {"score", "rating"}, default "score"
            Which number.
        weights : array, shape (X.nnz,), optional
            What multiplies the worth of each rating of `X`, a canonical CSR, for the score; by default 1.
        scores : array, shape (n_items,), optional
            What `score_pairs` returned for these items, where the caller has it.

        Returns
        -------
        Explanations
        """
        X = check_rows(self, X)
        if X.shape[0] != 1:
            raise InputError(f"X of {X.shape[0]} rows: expected the one row of the person asked about.")
        if scores is None:
            scores, _ = self.score_pairs(X, np.zeros(len(items), np.int32), items, by=by, weights=weights)
        scores = clipped(scores, self.scale_) if by == "rating" else scores
        items, terms = np.asarray(items, np.int32), self._terms(X, by, weights)
        usual, finish = self._usual(terms), terms.finish
        values = terms.rows.data - usual
        average, links = finish.rating and finish.average, self._links
        parts = kernels.contributions(items, links, self.n_common_.data, X.indices, values, average, finish.prior)
        return Explanations.of(scores, self._base(terms, items, parts, usual), parts, X)

    def _usual(self, terms: Terms) -> npt.NDArray[np.float64]:
        """Return what the one row's ratings are measured against when they are explained.

        A plain weighted average Σ s r / Σ s is told around the person's own mean m, as m + Σ s (r − m) / Σ s, so that
        a rating above it pushes up and one below it pushes down.
        """
        values, finish = terms.rows.data, terms.finish
        if finish.rating and finish.fallback:
            return terms.user_offset[0] + terms.item_offset[terms.rows.indices]
        mean = values.mean(dtype=np.float64) if finish.rating and len(values) else 0.0
        return np.full(len(values), mean)

    def _base(self, terms: Terms, items: Any, parts: kernels.Contributions, usual: Any) -> npt.NDArray[np.float64]:
        """Return what would be said of items without the parts."""
        if terms.finish.rating and terms.finish.fallback:
            return terms.user_offset[0] + terms.item_offset[items]
        mean = usual[0] if len(usual) else 0.0
        return mean * np.divide(parts.total, parts.weight, out=np.zeros(len(items)), where=parts.weight > 0)
