"""What every model with an item × item matrix can do: score, predict, recommend, find an audience, explain."""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from reelated import _kernels as kernels
from reelated._threads import Progress, in_order, slices_of
from reelated.errors import InputError, TooLarge, check_choice, check_integer, check_memory, show_bytes
from reelated.models.baseline import Offsets
from reelated.models.explanation import Explanation
from reelated.models.lists import SLICE, Asked, TopN, best_of_rows
from reelated.models.rows import check_allowed, check_columns, check_item, check_pairs, check_rows
from reelated.similarity import as_kernel_csr

By = Literal["relevance", "rating"]
FEW = 64
"""Pairs that are not worth cutting into slices."""
_ALL = np.empty(0, np.bool_)
_RELEVANCE = kernels.Finish(False, False, 0.0, 0.0, 0.0)


class ItemItemModel(BaseEstimator):
    """A fitted item × item matrix at work.

    Attributes
    ----------
    similarity_ : scipy.sparse.csr_array, shape (n_items, n_items)
        Row `i` holds the items that predict `i`.
    common_ : scipy.sparse.csr_array of int32
        In the same places: how many people rated both.
    offset_ : ndarray of float64, shape (n_items,)
        What is expected of a rating of each item before the neighbours are looked at; zeros where nothing is.
    scale_ : tuple of float
        The lowest and the highest rating.
    """

    similarity_: sp.csr_array
    common_: sp.csr_array
    offset_: npt.NDArray[np.float64]
    scale_: tuple[float, float]
    baseline_weight: float
    max_used: int | None
    max_memory: int | str | None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def prepare(self) -> None:
        """Lay out the fitted matrix for the kernels, by rows and by columns; called after a fit or a load."""
        every = self.similarity_.shape[0]
        max_used = every if self.max_used is None else min(int(self.max_used), every)
        by_row, by_column = as_kernel_csr(self.similarity_), as_kernel_csr(self.similarity_.T.tocsr())
        if every <= 2**16:  # less to read in the walk that makes lists
            by_column = by_column._replace(indices=by_column.indices.astype(np.uint16))
        self._links = kernels.Links(by_row, by_column, max_used)
        self._lowest = np.full(every, self.worth_nothing)

    @property
    def offsets(self) -> Offsets:
        """What a rating is measured against."""
        return Offsets(self.offset_, None)

    @property
    def falls_back(self) -> bool:
        """Whether a rating is predicted where no neighbour is rated: from the offsets, if there are any."""
        return bool(self.offset_.any()) or self.offsets.reg_user is not None

    @property
    def worth_nothing(self) -> float:
        """The rating that adds nothing to a ranking score: the lowest; 0 where all ratings are the same."""
        low, high = self.scale_
        return low if high > low else 0.0

    def _terms(self, X: sp.csr_array, by: By) -> tuple[Any, Any, kernels.Finish]:
        """Return item offsets, user offsets and the finish of one of the two numbers."""
        if check_choice("by", by, ("relevance", "rating")) == "relevance":
            return self._lowest, np.zeros(X.shape[0]), _RELEVANCE
        low, high = map(float, self.scale_)
        finish = kernels.Finish(True, self.falls_back, low, high, float(self.baseline_weight))
        return self.offset_, self.offsets.of_users(X), finish

    def recommend(
        self,
        X: Any,
        n: int = 10,
        *,
        by: By = "relevance",
        allowed: npt.NDArray[np.bool_] | None = None,
        keep_seen: bool = False,
        progress: Progress | None = None,
    ) -> TopN:
        """Return the best items of every row.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings of the people asked about; they need not have been in the fit.
        n : int, default 10
            Most items of a row; fewer come only where fewer have a score.
        by : {"relevance", "rating"}, default "relevance"
            The number that rows fall by.
        allowed : ndarray of bool, shape (n_items,), optional
            The items to choose from.
        keep_seen : bool, default False
            Whether items of the row itself may be among them.
        progress : callable, optional
            Called with the share that is done.

        Returns
        -------
        TopN
        """
        X, n = check_rows(self, X), check_integer("n", n, 0)
        chosen = _ALL if allowed is None else check_allowed(self, allowed)
        asked = Asked(*self._terms(X, by), chosen, keep_seen, min(n, X.shape[1]))
        return best_of_rows(X, self._links, asked, progress)

    def score_items(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the ranking score of every row and item: Σ_j s_ij (x_uj − low); NaN where no neighbour is rated.

        `low` is the lowest rating of the scale, which so adds nothing.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_items)

        Raises
        ------
        TooLarge
            The dense result would exceed `max_memory`.
        """
        return self._dense(X, "relevance")

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
        return self._dense(X, "rating")

    def _dense(self, X: Any, by: By) -> npt.NDArray[np.float64]:
        X = check_rows(self, X)
        limit, needed = check_memory("max_memory", self.max_memory), X.shape[0] * X.shape[1] * 8
        if limit is not None and needed > limit:
            raise TooLarge(
                f"max_memory={self.max_memory!r}: {X.shape[0]:,} rows × {X.shape[1]:,} items need "
                f"{show_bytes(needed)}. Ask for fewer rows, or for pairs with predict_pairs."
            )
        item_offset, user_offset, finish = self._terms(X, by)
        rows, dense = as_kernel_csr(X), np.empty(X.shape)
        for u in range(X.shape[0]):
            part = slice(rows.indptr[u], rows.indptr[u + 1])
            dense[u], _ = kernels.score_row(
                rows.indices[part], rows.data[part], self._links, item_offset, user_offset[u], finish
            )
        return dense

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
        return self.score_pairs(X, rows, items, by="rating")[0]

    def score_pairs(
        self, X: Any, rows: Any, items: Any, *, by: By = "relevance"
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return one of the two numbers for pairs, and how many rated neighbours stand behind each.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings.
        rows, items : array of int, shape (n_pairs,)
            Numbers of rows of `X` and of items.
        by : {"relevance", "rating"}, default "relevance"
            Which number.

        Returns
        -------
        scores : ndarray of float64, shape (n_pairs,)
        support : ndarray of int32, shape (n_pairs,)
        """
        X = check_rows(self, X)
        rows, items = check_pairs(X, rows, items)
        item_offset, user_offset, finish = self._terms(X, by)
        by_row, table = np.argsort(rows, kind="stable"), as_kernel_csr(X)
        rows, items = rows[by_row], items[by_row]

        def pairs(start: int, stop: int) -> tuple[np.ndarray, ...]:
            return kernels.score_pairs(start, stop, table, rows, items, self._links, item_offset, user_offset, finish)

        begins = self._links.by_row.indptr
        few = len(items) <= FEW
        slices = [(0, len(items))] if few else slices_of(begins[items + 1] - begins[items] + 1, SLICE)
        parts = list(in_order(pairs, slices))
        scores, support = np.empty(len(rows)), np.empty(len(rows), np.int32)
        scores[by_row], support[by_row] = (np.concatenate(part) for part in zip(*parts, strict=True))
        return scores, support

    def score_users(
        self, X: Any, item: int, *, by: By = "relevance", by_item: sp.csc_array | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return one of the two numbers of one item for every row, through the raters of its neighbours only.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings.
        item : int
            The item's number.
        by : {"relevance", "rating"}, default "relevance"
            Which number.
        by_item : csc_array, optional
            The same ratings by columns, where the caller has them: saves the time of making them.

        Returns
        -------
        scores : ndarray of float64, shape (n_rows,)
            NaN where nothing can be said.
        support : ndarray of int32, shape (n_rows,)
        """
        X, item = check_rows(self, X), check_item(self, item)
        by_item = sp.csc_array(X) if by_item is None else check_columns(self, by_item, X)
        if self._links.max_used < X.shape[1]:  # which neighbours count differs from row to row
            return self.score_pairs(X, np.arange(X.shape[0]), np.full(X.shape[0], item), by=by)
        item_offset, user_offset, finish = self._terms(X, by)
        return kernels.score_users(item, self._links.by_row, as_kernel_csr(by_item), item_offset, user_offset, finish)

    def audience(
        self, X: Any, item: int, n: int = 10, *, by: By = "relevance", by_item: sp.csc_array | None = None
    ) -> npt.NDArray[np.int64]:
        """Return the rows that have not rated an item and score it highest, ties in ascending row number.

        Parameters
        ----------
        X, item
            As for `score_users`.
        n : int, default 10
            Most rows.
        by, by_item
            As for `score_users`.

        Returns
        -------
        ndarray of int64
            Row numbers, best first.
        """
        X, n = check_rows(self, X), check_integer("n", n, 0)
        by_item = sp.csc_array(X) if by_item is None else by_item
        scores, _ = self.score_users(X, item, by=by, by_item=by_item)
        scores[by_item.indices[by_item.indptr[item] : by_item.indptr[item + 1]]] = np.nan
        return kernels.best(scores, min(n, len(scores)))

    def explain_pair(self, X: Any, item: int, *, by: By = "relevance") -> Explanation:
        """Return the parts that one person's score for an item is the sum of.

        Parameters
        ----------
        X : array or sparse matrix, shape (1, n_items)
            The person's row.
        item : int
            The item's number.
        by : {"relevance", "rating"}, default "relevance"
            Which number.

        Returns
        -------
        Explanation
        """
        return next(self.explain_items(X, [check_item(self, item)], by=by))

    def explain_items(self, X: Any, items: Any, *, by: By = "relevance") -> Iterator[Explanation]:
        """Yield for each of several items the parts that one person's score for it is the sum of.

        Parameters
        ----------
        X : array or sparse matrix, shape (1, n_items)
            The person's row.
        items : sequence of int
            The items' numbers.
        by : {"relevance", "rating"}, default "relevance"
            Which number.

        Yields
        ------
        Explanation
        """
        X = check_rows(self, X)
        if X.shape[0] != 1:
            raise InputError(f"X of {X.shape[0]} rows: expected the one row of the person asked about.")
        scores, _ = self.score_pairs(X, np.zeros(len(items), np.int32), items, by=by)
        by_row, max_used = self._links.by_row, self._links.max_used
        place = np.full(X.shape[1], -1)
        place[X.indices] = np.arange(X.nnz)
        for item, score in zip(items, scores.tolist(), strict=True):
            part = slice(*by_row.indptr[item : item + 2])
            mine = place[by_row.indices[part]]
            theirs = np.flatnonzero(mine >= 0)
            if len(theirs) > max_used:
                theirs = theirs[kernels.strongest(by_row.data[part][theirs], max_used)]
            mine = mine[theirs]
            given, similarity = X.data[mine].astype(np.float64), by_row.data[part][theirs].astype(np.float64)
            base, contributions = self._parts(X, item, X.indices[mine], given, similarity, by)
            clip = float(score - base - contributions.sum()) if np.isfinite(score) else 0.0
            common = self.common_.data[part][theirs]
            yield Explanation(score, base, X.indices[mine], given, similarity, contributions, common, clip)

    def _parts(
        self, X: sp.csr_array, item: int, items: Any, given: Any, similarity: Any, by: By
    ) -> tuple[float, npt.NDArray[np.float64]]:
        """Return the base and what each rated neighbour adds to it.

        A plain weighted average Σ s r / Σ s is told around the person's own mean m, as m + Σ s (r − m) / Σ s, so that
        a rating above it pushes up and one below it pushes down.
        """
        if by == "relevance":
            return 0.0, similarity * (given - self.worth_nothing)
        user_offset, weight = float(self.offsets.of_users(X)[0]), np.abs(similarity).sum() + self.baseline_weight
        base, usual = user_offset + self.offset_[item], user_offset + self.offset_[items]
        if not self.falls_back:
            usual = np.full(len(items), X.data.mean(dtype=np.float64) if X.nnz else 0.0)
            base = float(usual[0] * similarity.sum() / weight) if weight > 0 else 0.0
        return float(base), similarity * (given - usual) / weight if weight > 0 else np.zeros(len(items))
