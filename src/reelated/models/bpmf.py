"""`BPMF`: Bayesian probabilistic matrix factorisation with side information."""

from copy import copy
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.errors import check_fits, check_integer, check_number
from reelated.models.arrays import ArraySpec
from reelated.models.biases import clipped
from reelated.models.contracts import By
from reelated.models.gibbs import SamplerParams, implicit_features, item_side_info, marginal_precision, sample
from reelated.models.posterior import PosteriorScorer, pad_to_simd
from reelated.models.row_model import RowRater
from reelated.models.validation import check_attributes, check_pairs, check_rows
from reelated.parallel import Progress, shared_pool

Numbers = npt.NDArray[np.float64]


class BPMF(RowRater):
    """Predict ratings by Bayesian probabilistic matrix factorisation, as the mean over posterior samples.

    A rating is ``μ + a_i + b_u + v_i · z_u`` plus noise. The user vectors `(b, z)` are Gaussian, so a user's ratings
    are jointly Gaussian with covariance ``q_iᵀ Λ⁻¹ q_j + [i = j] / α``, where `q = (1, v)`. A prediction is the
    conditional mean given the user's ratings: the expected rating of the item plus ``Σ_j w_ij (r_j − expected_j)``,
    with ``w_ij = α q_iᵀ (Λ + α Σ_j q_j q_jᵀ)⁻¹ q_j``. It is linear in the ratings, so its contributions are exact, and
    it has a variance. The expected ratings also depend on which items the user rated. Averaging over `n_samples`
    posterior samples prevents over-fitting on small data (Salakhutdinov and Mnih 2008, "Bayesian probabilistic matrix
    factorization using MCMC").

    Parameters
    ----------
    n_factors : int, default 16
        The length of `v`.
    n_samples : int, default 60
        Number of posterior samples.
    n_warmup : int, default 15
        Number of samples that are discarded before the first one that is kept.
    n_implicit_factors : int, default 30
        Number of implicit factors, which describe which users rated which items, regardless of the values; at most
        a quarter of the number of users and of items. 0 uses only ratings and their counts.
    random_state : int, default 0
        Random seed of the sampling.
    max_memory : int, str or None, default None
        Memory limit of the fit in bytes, or text such as "2GB"; a fit that may exceed it raises `TooLarge`.

    Attributes
    ----------
    rating_moments_ : ndarray of float64, shape (2,)
        Mean and standard deviation of the ratings; the other arrays refer to standardised ratings.
    item_factors_ : ndarray of float32, shape (n_items, n_factors + 1, n_samples)
        Offset `a_i` and factors `v_i` of every item, for each posterior sample.
    user_mean_ : ndarray of float64, shape (n_factors + 1, n_samples)
        Prior mean of the user vector `(b, z)`.
    activity_slope_ : ndarray of float64, shape (n_factors + 1, n_samples)
        Change of the prior mean with the logarithm of the number of ratings.
    implicit_slope_ : ndarray of float64, shape (n_implicit_factors, n_factors + 1, n_samples)
        Change of the prior mean with the user's implicit features, `Σ implicit_factors_[j] / √(number of ratings)`.
    implicit_factors_ : ndarray of float64, shape (n_items, n_implicit_factors)
        Implicit factors of the items.
    precision_ : ndarray of float64, shape (n_factors + 1, n_factors + 1, n_samples)
        Λ, the prior precision of the user vectors.
    alpha_ : ndarray of float64, shape (n_samples,)
        α, the precision of the noise.
    new_user_offsets_ : ndarray of float32, shape (n_items, n_samples)
        Offset of every item for a new user: its mean expected rating over its raters.
    new_user_mean_ : ndarray of float64, shape (n_factors + 1, n_samples)
        Prior mean of the vector of a new user, whose number and choice of ratings are unknown: the mean over all users.
    new_user_precision_ : ndarray of float64, shape (n_factors + 1, n_factors + 1, n_samples)
        Prior precision of the vector of a new user, from the covariance over all users.
    counts_ : ndarray of float64, shape (2,)
        Smallest and largest number of ratings of a user in the fit.
    scale_ : tuple of float
        Lowest and highest rating; predictions are clipped to them.

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

    arrays: ClassVar[dict[str, ArraySpec]] = {
        "rating_moments_": ArraySpec("float64", (2,), "a mean and a positive deviation"),
        "item_factors_": ArraySpec("float32", ("n_items", "D", "n_samples")),
        "user_mean_": ArraySpec("float64", ("D", "n_samples")),
        "activity_slope_": ArraySpec("float64", ("D", "n_samples")),
        "implicit_slope_": ArraySpec(
            "float64", ("n_implicit_factors", "D", "n_samples"), optional="n_implicit_factors"
        ),
        "implicit_factors_": ArraySpec("float64", ("n_items", "n_implicit_factors"), optional="n_implicit_factors"),
        "precision_": ArraySpec("float64", ("D", "D", "n_samples"), "positive definite"),
        "alpha_": ArraySpec("float64", ("n_samples",), "positive"),
        "new_user_offsets_": ArraySpec("float32", ("n_items", "n_samples")),
        "new_user_mean_": ArraySpec("float64", ("D", "n_samples")),
        "new_user_precision_": ArraySpec("float64", ("D", "D", "n_samples"), "positive definite"),
        "counts_": ArraySpec("float64", (2,), "positive and ascending"),
    }
    numbers: ClassVar[tuple[By, ...]] = ("rating",)
    uses_side_info = True
    has_posterior = True

    def __init__(
        self,
        *,
        n_factors: int = 16,
        n_samples: int = 60,
        n_warmup: int = 15,
        n_implicit_factors: int = 30,
        random_state: int = 0,
        max_memory: int | str | None = None,
    ) -> None:
        self.n_factors = n_factors
        self.n_samples = n_samples
        self.n_warmup = n_warmup
        self.n_implicit_factors = n_implicit_factors
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
        """Sample the posterior by Gibbs sampling.

        Parameters
        ----------
        X, y, scale
            As for `ItemKNN.fit`.
        items : array or sparse matrix, shape (n_items, n_attributes), optional
            Attributes of the items, such as genres and years; they improve the predictions for rarely rated items.

        Raises
        ------
        InputError
            A parameter is invalid, or `items` has the wrong shape or values.
        TooLarge
            The fit may need more than `max_memory`.
        """
        # SciPy has a BLAS of its own, and a limit of threads applies only to libraries that are loaded before it is set
        import scipy.linalg  # noqa: F401
        from threadpoolctl import threadpool_limits

        params = self._sampler_params()
        X = self._start_fit(X, scale)
        attributes = check_attributes(items, X.shape[1])
        what, needed = f"{X.shape[1]:,} items and {X.shape[0]:,} rows need", self._bytes(X, attributes.shape[1])
        check_fits(what, needed, self.max_memory, "Raise it, or lower n_samples or n_factors.")
        ratings = X.data.astype(np.float64)
        self.rating_moments_ = np.array([ratings.mean(), ratings.std() or 1.0] if X.nnz else [0.0, 1.0])
        standardized = sp.csr_array(((ratings - self.rating_mean_) / self.rating_std_, X.indices, X.indptr), X.shape)
        # the matrices are small: threads of BLAS would wait for each other longer than they compute
        with threadpool_limits(1, "blas"), shared_pool():
            implicit = implicit_features(X, int(self.n_implicit_factors), params.seed)
            side_info = item_side_info(X, implicit.directions, attributes)
            samples = sample(standardized, (implicit.users, side_info), params, progress)
        self.item_factors_, self.precision_, self.alpha_ = samples.items, samples.precision, samples.alpha
        self.implicit_slope_, self.activity_slope_ = samples.slopes[:-1], samples.slopes[-1]
        self.user_mean_ = samples.mean - np.tensordot(implicit.means, samples.slopes, axes=1)
        self.new_user_offsets_, self.new_user_mean_ = samples.rater_offsets, samples.mean
        self.new_user_precision_ = marginal_precision(implicit.users, samples)
        self.implicit_factors_ = np.ascontiguousarray(implicit.items)
        self.counts_ = np.array([implicit.min_ratings, implicit.max_ratings])
        self.prepare()
        return self

    def plan(self, X: Any) -> int:
        self._sampler_params()
        return self._bytes(check_rows(BPMF(), X, fitting=True), 0)

    def _bytes(self, X: sp.csr_array, n_attributes: int) -> int:
        """Estimate peak memory: 5 copies of the ratings, 5 of each factor table, 2 of the samples."""
        D, n_features = self.n_factors + 1, self.n_implicit_factors + 1
        tables = X.shape[0] * (5 * D + 4 * n_features) + X.shape[1] * (5 * D + 4 * (n_features + n_attributes))
        return 72 * X.nnz + 8 * tables + 12 * X.shape[1] * self.n_samples * (D + 1)

    def _sampler_params(self) -> SamplerParams:
        check_integer("n_implicit_factors", self.n_implicit_factors, 0)
        return SamplerParams(
            check_integer("n_factors", self.n_factors, 0),
            check_integer("n_samples", self.n_samples, 1),
            check_integer("n_warmup", self.n_warmup, 0),
            check_integer("random_state", self.random_state, 0),
        )

    # --------------------------------------------------------------------------------------- prediction
    @property
    def rating_mean_(self) -> float:
        """Mean of the ratings of the fit."""
        return float(self.rating_moments_[0])

    @property
    def rating_std_(self) -> float:
        """Standard deviation of the ratings of the fit."""
        return float(self.rating_moments_[1])

    def prepare(self) -> None:
        self.__dict__.pop("for_new_users", None)  # drop the model cached for an earlier fit
        self._samples = kernels.PosteriorSamples(
            item_factors=pad_to_simd(self.item_factors_),
            offsets=pad_to_simd(self.item_factors_[:, 0]),
            user_mean=pad_to_simd(self.user_mean_),
            activity_slope=pad_to_simd(self.activity_slope_),
            implicit_slope=pad_to_simd(np.swapaxes(self.implicit_slope_, 0, 1)),
            implicit_factors=self.implicit_factors_,
            precision=pad_to_simd(self.precision_),
            alpha=pad_to_simd(self.alpha_),
            n_samples=len(self.alpha_),
            min_ratings=float(self.counts_[0]),
            max_ratings=float(self.counts_[1]),
        )

    @cached_property
    def for_new_users(self) -> "BPMF":
        """The model for new users, whose number and choice of ratings are not informative.

        A new user's vector has the distribution over all users of the fit. The offset of an item is its mean expected
        rating over its raters, because a prediction assumes that the user has chosen to rate the item.
        """
        model, samples = copy(self), self._samples
        n_groups, D, _, lanes = samples.implicit_slope.shape
        model._samples = samples._replace(
            offsets=pad_to_simd(self.new_user_offsets_),
            user_mean=pad_to_simd(self.new_user_mean_),
            activity_slope=np.zeros_like(samples.activity_slope),
            implicit_slope=np.empty((n_groups, D, 0, lanes)),
            implicit_factors=np.empty((len(samples.implicit_factors), 0)),
            precision=pad_to_simd(self.new_user_precision_),
        )
        return model

    def predict_intervals(self, X: Any, rows: Any, items: Any, *, level: float = 0.8) -> tuple[Numbers, Numbers]:
        """Return the prediction intervals of pairs of a row and an item.

        Parameters
        ----------
        level : float, default 0.8
            Probability that a rating lies in its interval.

        Returns
        -------
        low, high : ndarray of float64, shape (n_pairs,)
            Clipped to the scale of the ratings.
        """
        from scipy.special import ndtri

        quantile = float(ndtri(0.5 + check_number("level", level, 0, 1) / 2))
        scorer = self.checked_scorer(check_rows(self, X))
        mean, deviation, _ = scorer.moments(*check_pairs(scorer.matrix, rows, items), with_deviation=True)
        # not quantile * deviation: level=1 gives inf * 0 = NaN
        margin = np.multiply(quantile, deviation, out=np.zeros(len(mean)), where=deviation > 0)
        return clipped(mean - margin, self.scale_), clipped(mean + margin, self.scale_)

    def covariance(self, items: Any) -> tuple[Numbers, float]:
        # the mean of q_iᵀ Λ⁻¹ q_j over the samples, for standardised ratings
        factors = np.moveaxis(self.item_factors_[np.asarray(items)], 2, 0).astype(np.float64)
        factors[:, :, 0] = 1.0
        precision = np.moveaxis(self.precision_, 2, 0)
        solved = np.linalg.solve(precision, factors.transpose(0, 2, 1))  # samples × D × items
        flat = factors.transpose(1, 0, 2).reshape(factors.shape[1], -1)
        return flat @ solved.reshape(flat.shape[1], -1) / len(factors), float(np.mean(1 / self.alpha_))

    def checked_scorer(self, X: sp.csr_array, by: By = "rating", weights: Any = None) -> "PosteriorScorer":
        return PosteriorScorer(X, self._samples, self.rating_moments_, self.scale_)
