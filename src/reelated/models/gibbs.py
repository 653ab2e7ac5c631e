"""Gibbs sampling for `BPMF`: user factors given item factors, item factors given user factors, and their priors."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.parallel import Progress, parallel_concatenate, split_by_cost
from reelated.similarity import as_kernel_csr
from reelated.similarity.blocked import padded_length

Numbers = npt.NDArray[np.float64]
SLICE = 2e7
"""Number of multiplications in one slice of work: about a fiftieth of a second."""

OVERSAMPLING = 10
"""Number of directions computed in addition to those requested, for accuracy."""
MIN_DEVIATION = 1e-9
"""A feature with a smaller standard deviation counts as constant."""


class ImplicitFeatures(NamedTuple):
    """Features of users and items, computed from which items were rated, regardless of the ratings."""

    items: Numbers  # (n_items, n_implicit_factors); the features of a user are Σ items_j / √count
    users: Numbers  # (n_users, n_implicit_factors + 1): features and the logarithm of the count, minus `means`
    means: Numbers
    directions: Numbers  # the unscaled singular vectors, as features of the items
    min_ratings: float  # smallest and largest number of ratings of a user
    max_ratings: float


def implicit_features(X: sp.csr_array, n_implicit_factors: int, seed: int) -> ImplicitFeatures:
    """Compute the leading singular vectors of the 0/1 matrix of ratings, rows and columns weighted by 1 / √count."""
    n_implicit_factors = min(n_implicit_factors, X.shape[0] // 4, X.shape[1] // 4)
    user_counts, item_counts = np.diff(X.indptr), np.bincount(X.indices, minlength=X.shape[1])
    user_weights, item_weights = 1 / np.sqrt(np.maximum(user_counts, 1)), 1 / np.sqrt(np.maximum(item_counts, 1))
    rows = np.repeat(np.arange(X.shape[0]), user_counts)
    weighted = sp.csr_array((user_weights[rows] * item_weights[X.indices], X.indices, X.indptr), shape=X.shape)
    directions = np.zeros((X.shape[1], n_implicit_factors))
    if X.nnz and n_implicit_factors:
        directions = leading_directions(weighted, n_implicit_factors, seed)
    users = weighted @ directions
    items = directions * item_weights[:, None]
    deviation = users.std(axis=0)
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > MIN_DEVIATION)
    items, users = items * scale, users * scale
    positive = user_counts[user_counts > 0]
    min_ratings, max_ratings = (float(positive.min()), float(positive.max())) if len(positive) else (1.0, 1.0)
    users = np.column_stack([users, np.log(np.clip(user_counts, min_ratings, max_ratings))])
    means = users.mean(axis=0)
    return ImplicitFeatures(items, users - means, means, directions, min_ratings, max_ratings)


def leading_directions(matrix: sp.csr_array, n: int, seed: int) -> Numbers:
    """Return the first `n` right singular vectors as columns: scikit-learn's `randomized_svd` without its import."""
    from scipy import linalg

    tall = matrix.shape[0] >= matrix.shape[1]
    A = matrix if tall else matrix.T
    basis = np.random.RandomState(seed).normal(size=(A.shape[1], n + OVERSAMPLING))
    for _ in range(7 if n < 0.1 * min(A.shape) else 4):  # an LU factorisation keeps the columns linearly independent
        basis = linalg.lu(A @ basis, permute_l=True)[0]
        basis = linalg.lu(A.T @ basis, permute_l=True)[0]
    basis = linalg.qr(A @ basis, mode="economic")[0]
    left, _, right = linalg.svd(basis.T @ A, full_matrices=False)
    left = basis @ left
    directions = (right.T if tall else left)[:, :n]
    largest = np.abs(left if tall else right.T)[:, :n].argmax(axis=0)
    return directions * np.sign((left if tall else right.T)[largest, np.arange(n)])


def sample_wishart(degrees: int, scale: Numbers, rng: np.random.Generator) -> Numbers:
    """Return the sample of `scipy.stats.wishart` (slow to import), by the Bartlett decomposition."""
    from scipy import linalg

    D = len(scale)
    below, A = np.tril_indices(D, -1), np.zeros((D, D))
    A[below] = rng.normal(size=len(below[0]))
    A[np.diag_indices(D)] = [np.sqrt(rng.chisquare(degrees - d)) for d in range(D)]
    root = linalg.cholesky(scale, lower=True) @ A
    product: Numbers = root @ root.T
    return product


def item_side_info(X: sp.csr_array, directions: Numbers, attributes: Numbers) -> Numbers:
    """Return the directions, the logarithm of the number of raters and the attributes of items, standardised."""
    raters = np.bincount(X.indices, minlength=X.shape[1])
    rated = raters > 0
    features = np.zeros((X.shape[1], directions.shape[1] + 1))
    if rated.any():
        columns = np.column_stack([directions, np.log(np.maximum(raters, 1))])
        features[rated] = standardize(columns[rated])
        # standardised over all items, unrated ones included: a regression is unreliable outside the range of its data
        features[~rated, -1] = features[rated, -1].min()
    return np.column_stack([features, standardize(attributes)])


def standardize(columns: Numbers) -> Numbers:
    """Scale columns to mean 0 and variance 1; a constant column becomes 0."""
    centered, deviation = columns - columns.mean(axis=0), columns.std(axis=0)
    return np.divide(centered, deviation, out=np.zeros_like(centered), where=deviation > MIN_DEVIATION)


class RegressionPrior:
    """The prior of the factors of all rows: Gaussian around `mean + side_info @ slopes`, with one precision matrix."""

    def __init__(self, side_info: Numbers, n_factors: int) -> None:
        self.side_info = np.ascontiguousarray(side_info)
        n, p = side_info.shape
        products = np.empty((p, p))
        kernels.cross_products(self.side_info, self.side_info, products)
        self._covariance = np.linalg.inv(products + np.eye(p))
        self._cholesky = np.linalg.cholesky(self._covariance)
        self.mean, self.slopes, self.precision = np.zeros(n_factors), np.zeros((p, n_factors)), np.eye(n_factors)
        self._regression = np.zeros((n, n_factors))

    def sample(self, factors: Numbers, rng: np.random.Generator) -> Numbers:
        """Sample the mean, the slopes and the precision given the rows' factors; return the rows' prior means."""
        (n, D), strength = factors.shape, 2.0
        residuals = factors - self._regression
        center = residuals.mean(axis=0)
        scatter = np.empty((D, D))
        kernels.cross_products(residuals - center, residuals - center, scatter)
        scatter += np.eye(D) + n * strength / (n + strength) * np.outer(center, center)
        inverse = np.linalg.inv(scatter)
        # the inverse of a symmetric matrix is symmetric only up to rounding
        self.precision = sample_wishart(D + n, (inverse + inverse.T) / 2, rng)
        root = np.linalg.inv(np.linalg.cholesky(self.precision)).T
        self.mean = n * center / (n + strength) + root @ rng.standard_normal(D) / np.sqrt(n + strength)
        products = np.empty((self.side_info.shape[1], D))
        kernels.cross_products(self.side_info, factors - self.mean, products)
        self.slopes = self._covariance @ products + self._cholesky @ rng.standard_normal(products.shape) @ root.T
        self._regression = self.side_info @ self.slopes
        return self._regression + self.mean


class Samples(NamedTuple):
    """The posterior samples, along the last axis of each array."""

    items: npt.NDArray[np.float32]
    rater_offsets: npt.NDArray[np.float32]
    mean: Numbers
    slopes: Numbers
    precision: Numbers
    alpha: Numbers


class SamplerParams(NamedTuple):
    """The number of factors and samples, and the random seed."""

    n_factors: int
    n_samples: int
    n_warmup: int
    seed: int


def sample(
    X: sp.csr_array, side_info: tuple[Numbers, Numbers], params: SamplerParams, progress: Progress | None = None
) -> Samples:
    """Sample the posterior of `x_ui = a_i + b_u + v_i · z_u + noise`, given side information on users and items.

    User vectors `(b_u, z_u)` and item vectors `(a_i, v_i)` are Gaussian around linear functions of their side
    information, with Wishart priors on the precisions; the noise is Gaussian too (Salakhutdinov and Mnih 2008; with
    side information Porteous et al. 2010).
    """
    rng, D = np.random.default_rng(params.seed), params.n_factors + 1
    user_prior, item_prior = (RegressionPrior(table, D) for table in side_info)
    users, items = np.zeros((X.shape[0], D)), 0.1 * rng.standard_normal((X.shape[1], D))
    items[:, 0] = 0.0
    by_user, by_item = as_kernel_csr(X), as_kernel_csr(X.T.tocsr())
    alpha, samples = 1.25, []
    rounds = params.n_warmup + params.n_samples
    for done in range(rounds):
        means = user_prior.sample(users, rng)
        prior = user_prior.mean, user_prior.slopes, user_prior.precision, alpha
        _sample_rows(by_user, items, kernels.GaussianPrior(means, user_prior.precision, alpha), rng, users)
        previous, means = items.copy(), item_prior.sample(items, rng)
        given = kernels.GaussianPrior(means, item_prior.precision, alpha)
        error, sums_of_raters = _sample_rows(by_item, users, given, rng, items)
        # user factors are not kept: a prediction computes them from the given row
        if done >= params.n_warmup:
            offsets = rater_offsets(previous, sums_of_raters, np.diff(by_item.indptr), user_prior.mean)
            samples.append((previous.astype(np.float32), offsets.astype(np.float32), *prior))
        alpha = float(rng.gamma(1 + X.nnz / 2) / (1 + error / 2))
        if progress:
            progress((done + 1) / rounds)
    return Samples(*(np.stack(part, axis=-1) for part in zip(*samples, strict=True)))


def marginal_precision(user_features: Numbers, samples: Samples) -> Numbers:
    """Return the precision of user vectors if the centred features in `user_features` are unknown."""
    features = np.empty((user_features.shape[1], user_features.shape[1]))
    kernels.cross_products(user_features, user_features, features)
    features /= max(len(user_features), 1)
    slopes, precision = (np.moveaxis(part, -1, 0) for part in (samples.slopes, samples.precision))
    marginal = np.linalg.inv(np.linalg.inv(precision) + slopes.transpose(0, 2, 1) @ features @ slopes)
    return np.ascontiguousarray(np.moveaxis((marginal + marginal.transpose(0, 2, 1)) / 2, 0, -1))


def rater_offsets(items: Numbers, sums_of_raters: Numbers, counts: npt.NDArray[np.int64], mean: Numbers) -> Numbers:
    """Return each item's mean expected rating over its raters, as the offset for a new user."""
    deviation = np.where(counts[:, None] > 0, sums_of_raters / np.maximum(counts, 1)[:, None] - mean, 0.0)
    offsets: Numbers = items[:, 0] + deviation[:, 0] + np.einsum("if,if->i", items[:, 1:], deviation[:, 1:])
    return offsets


def _sample_rows(
    rows: kernels.CSR, others: Numbers, prior: kernels.GaussianPrior, rng: np.random.Generator, out: Numbers
) -> tuple[float, Numbers]:
    """Sample the factors of all rows on several threads; return the squared error and each row's sum of `others`."""
    # all noise is drawn here, so that the samples do not depend on the number of threads
    noise, D = rng.standard_normal(out.shape), out.shape[1]
    cost = (np.diff(rows.indptr) + D) * float(D * D)
    factors = np.zeros((len(others), padded_length(D - 1)))
    factors[:, : D - 1] = others[:, 1:]
    offsets_and_factors = np.ascontiguousarray(others[:, 0]), factors
    errors, sums = parallel_concatenate(
        lambda start, stop: kernels.sample_rows(start, stop, rows, offsets_and_factors, prior, noise, out),
        split_by_cost(cost, SLICE),
    )
    return float(errors.sum()), sums
