"""`BPMF`: one BPMF over all items, learned from everybody, conditioned on what a person gave."""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import TooLarge, check_integer, check_memory, show_bytes
from reelated.models.biases import check_bounds, observed
from reelated.models.gibbs import Settings, known_of_items, sample, tastes_of
from reelated.models.posterior import DrawnModel
from reelated.models.validation import check_attributes, check_rows
from reelated.parallel import Progress

Numbers = npt.NDArray[np.float64]


class BPMF(DrawnModel):
    """Predict ratings as if all that a person could give were drawn from one BPMF over the items.

    A rating is ``μ + a_i + b_u + v_i · z_u`` and noise. People `(b, z)` are BPMF, so their ratings of any items
    are too, with covariance ``q_iᵀ Λ⁻¹ q_j + [i = j] / α``, `q = (1, v)`. A prediction is the conditional mean given
    the stars at hand, ``Σ_j w_ij (r_j − usual_j)`` beyond what is usual for the item, with
    ``w_ij = α q_iᵀ (Λ + α Σ_j q_j q_jᵀ)⁻¹ q_j``: item–item, linear in the stars, explained exactly, and with a
    variance. What is usual depends on which items a person rated, too. Factors and precisions are not fitted but
    drawn from their posterior, and the predictions of `n_samples` draws averaged, which is what guards a small data set
    against over-fitting (Salakhutdinov and Mnih 2008, "Bayesian probabilistic matrix factorization using MCMC").

    Parameters
    ----------
    n_factors : int, default 16
        The length of `v`.
    n_samples : int, default 60
        How many draws are kept.
    n_warmup : int, default 15
        How many are thrown away before.
    n_tastes : int, default 30
        Directions of who rated what that tell of people and items, one for every four of them at the most; 0 looks
        at nothing but stars and counts.
    random_state : int, default 0
        The seed of the draws.
    max_memory : int, str or None, default None
        The most bytes that the fit may take, such as "2GB"; more is refused beforehand.

    Attributes
    ----------
    units_ : ndarray of float64, shape (2,)
        The mean and standard deviation of the ratings, in which all that follows is measured.
    item_factors_ : ndarray of float32, shape (n_items, n_factors + 1, n_samples)
        For every item and draw `a_i` and `v_i`.
    user_mean_ : ndarray of float64, shape (n_factors + 1, n_samples)
        The mean of `(b, z)`.
    activity_slope_ : ndarray of float64, shape (n_factors + 1, n_samples)
        What it gains with the logarithm of the number of ratings.
    implicit_slope_ : ndarray of float64, shape (n_tastes, n_factors + 1, n_samples)
        What it gains with a person's tastes, `Σ taste_j / √(number of ratings)`.
    implicit_factors_ : ndarray of float64, shape (n_items, n_tastes)
        What rating an item at all tells.
    precision_ : ndarray of float64, shape (n_factors + 1, n_factors + 1, n_samples)
        Λ.
    alpha_ : ndarray of float64, shape (n_samples,)
        α, the precision of the noise.
    counts_ : ndarray of float64, shape (2,)
        The least and the largest number of ratings of a person in the fit.
    scale_ : tuple of float
        The lowest and the highest rating; predictions are cut to them.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[5, 4, 0, 1], [4, 5, 1, 0], [1, 0, 5, 4], [0, 1, 4, 5]])
    >>> model = BPMF(n_factors=2).fit(X)
    >>> liked, disliked = model.predict_pairs(X, [0, 2], [2, 1])
    >>> low, high = model.predict_intervals(X, [0], [2], level=0.8)
    >>> bool(low[0] <= liked <= high[0])
    True
    """

    def __init__(
        self,
        *,
        n_factors: int = 16,
        n_samples: int = 60,
        n_warmup: int = 15,
        n_tastes: int = 30,
        random_state: int = 0,
        max_memory: int | str | None = None,
    ) -> None:
        self.n_factors = n_factors
        self.n_samples = n_samples
        self.n_warmup = n_warmup
        self.n_tastes = n_tastes
        self.random_state = random_state
        self.max_memory = max_memory

    # ------------------------------------------------------------------------------------------------ fit
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        scale: tuple[float, float] | None = None,
        items: Any = None,
        progress: Progress | None = None,
    ) -> "BPMF":
        """Draw from what the ratings leave open.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_users, n_items)
            Ratings. A stored zero of a sparse matrix is a rating; a zero of a dense array is none.
        y : ignored
            For scikit-learn's sake.
        scale : (low, high), optional
            Lowest and highest possible rating; by default those seen.
        items : array or sparse matrix, shape (n_items, n_attributes), optional
            What else is known of the items, such as genres and years: those that are rarely rated borrow from
            others like them.
        progress : callable, optional
            Called with the share that is done.

        Returns
        -------
        BPMF
            This estimator.

        Raises
        ------
        InputError
            A parameter or `items` is out of its range.
        TooLarge
            More than `max_memory` may be needed.
        """
        settings = self._settings()
        X = check_rows(self, X, fitting=True)
        attributes = check_attributes(items, X.shape[1])
        limit, needed = check_memory("max_memory", self.max_memory), self._bytes(X, attributes.shape[1])
        if limit is not None and needed > limit:
            raise TooLarge(
                f"{X.shape[1]:,} items and {X.shape[0]:,} rows need {show_bytes(needed)}.",
                parameter="max_memory",
                value=self.max_memory,
                remedy="Raise it, or ask for fewer n_samples or n_factors.",
            )
        self.scale_ = observed(X) if scale is None else check_bounds(scale)
        ratings = X.data.astype(np.float64)
        self.units_ = np.array([ratings.mean(), ratings.std() or 1.0] if X.nnz else [0.0, 1.0])
        beyond = sp.csr_array(((ratings - self.rating_mean_) / self.rating_std_, X.indices, X.indptr), X.shape)
        tastes = tastes_of(X, int(self.n_tastes), settings.seed)
        known = known_of_items(X, tastes.shown, attributes)
        drawn = sample(beyond, (tastes.people, known), settings, progress)
        self.item_factors_, self.precision_, self.alpha_ = drawn.items, drawn.precision, drawn.alpha
        self.implicit_slope_, self.activity_slope_ = drawn.slopes[:-1], drawn.slopes[-1]
        self.user_mean_ = drawn.mean - np.tensordot(tastes.means, drawn.slopes, axes=1)
        self.implicit_factors_ = np.ascontiguousarray(tastes.items)
        self.counts_ = np.array([tastes.fewest, tastes.most])
        self.prepare()
        return self

    def plan(self, X: Any) -> int:
        """Return the most bytes that a fit to `X` may take beside `X` itself, without attributes of items.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_users, n_items)
            Ratings.

        Returns
        -------
        int
        """
        self._settings()
        return self._bytes(check_rows(BPMF(), X, fitting=True), 0)

    def _bytes(self, X: sp.csr_array, n_attributes: int) -> int:
        """Return what a fit takes: ratings thrice, tables of rows five times, the draws once more when laid out."""
        D, n_known = self.n_factors + 1, self.n_tastes + 1
        tables = X.shape[0] * (5 * D + 4 * n_known) + X.shape[1] * (5 * D + 4 * (n_known + n_attributes))
        return 48 * X.nnz + 8 * tables + 12 * X.shape[1] * self.n_samples * D

    def _settings(self) -> Settings:
        check_integer("n_tastes", self.n_tastes, 0)
        return Settings(
            check_integer("n_factors", self.n_factors, 0),
            check_integer("n_samples", self.n_samples, 1),
            check_integer("n_warmup", self.n_warmup, 0),
            check_integer("random_state", self.random_state, 0),
        )
