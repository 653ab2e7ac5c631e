"""Gibbs sampling of the factors behind `BPMF`: people given items, items given people, and what is behind both."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.stats import wishart
from sklearn.utils.extmath import randomized_svd

from reelated import _kernels as kernels
from reelated.parallel import Progress, ordered_parallel_map, split_by_cost
from reelated.similarity import as_kernel_csr

Numbers = npt.NDArray[np.float64]
SLICE = 2e7
"""Multiplications of one slice of work: about a fiftieth of a second."""

FLAT = 1e-9
"""What hardly varies tells nothing."""


class Tastes(NamedTuple):
    """What may be told of people from which items they rated, whatever they gave.

    Attributes
    ----------
    items : ndarray of float64, shape (n_items, n_tastes)
        A person is `Σ items_j / √count` over the items that they rated.
    people : ndarray of float64, shape (n_users, n_tastes + 1)
        Those of the fit, and the logarithm of their number of ratings, less `means`.
    means : ndarray of float64, shape (n_tastes + 1,)
    shown : ndarray of float64, shape (n_items, n_tastes)
        The same directions as something known of the items.
    fewest, most : float
        The least and the largest number of ratings of a person.
    """

    items: Numbers
    people: Numbers
    means: Numbers
    shown: Numbers
    fewest: float
    most: float


def tastes_of(X: sp.csr_array, n_tastes: int, seed: int) -> Tastes:
    """Find the main directions of who rated what, each person and item weighted by 1 / √count.

    In a small table there are fewer than asked for: one for every four people and every four items.
    """
    n_tastes = min(n_tastes, X.shape[0] // 4, X.shape[1] // 4)
    of_users, of_items = np.diff(X.indptr), np.bincount(X.indices, minlength=X.shape[1])
    by_user, by_item = 1 / np.sqrt(np.maximum(of_users, 1)), 1 / np.sqrt(np.maximum(of_items, 1))
    rows = np.repeat(np.arange(X.shape[0]), of_users)
    chosen = sp.csr_array((by_user[rows] * by_item[X.indices], X.indices, X.indptr), shape=X.shape)
    shown = np.zeros((X.shape[1], n_tastes))
    if X.nnz and n_tastes:
        shown = randomized_svd(sp.csr_matrix(chosen), n_tastes, random_state=seed)[2].T
    people = chosen @ shown
    items = shown * by_item[:, None]
    spread = people.std(axis=0)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > FLAT)
    items, people = items * scale, people * scale
    rated = of_users[of_users > 0]
    fewest, most = (float(rated.min()), float(rated.max())) if len(rated) else (1.0, 1.0)
    people = np.column_stack([people, np.log(np.clip(of_users, fewest, most))])
    means = people.mean(axis=0)
    return Tastes(items, people - means, means, shown, fewest, most)


def known_of_items(X: sp.csr_array, shown: Numbers, attributes: Numbers) -> Numbers:
    """Return the directions, the logarithm of the number of raters and the attributes of items, standardised.

    An item that nobody rated stands in the middle of the directions, and is as rare as the rarest of the others: far
    outside of what was seen, slopes tell nothing.
    """
    raters = np.bincount(X.indices, minlength=X.shape[1])
    rated = raters > 0
    told = np.zeros((X.shape[1], shown.shape[1] + 1))
    if rated.any():
        columns = np.column_stack([shown, np.log(np.maximum(raters, 1))])
        told[rated] = standardised(columns[rated])
        told[~rated, -1] = told[rated, -1].min()
    return np.column_stack([told, standardised(attributes)])


def standardised(columns: Numbers) -> Numbers:
    """Return columns with mean 0 and variance 1; one that hardly varies becomes 0."""
    beyond, spread = columns - columns.mean(axis=0), columns.std(axis=0)
    return np.divide(beyond, spread, out=np.zeros_like(beyond), where=spread > FLAT)


class Behind:
    """What is behind the numbers of many rows: they are around `mean + known @ slopes` with one precision."""

    def __init__(self, known: Numbers, n_numbers: int) -> None:
        self.known = np.ascontiguousarray(known)
        n, p = known.shape
        products = np.empty((p, p))
        kernels.cross_products(self.known, self.known, products)
        self._spread = np.linalg.inv(products + np.eye(p))
        self._lower = np.linalg.cholesky(self._spread)
        self.mean, self.slopes, self.precision = np.zeros(n_numbers), np.zeros((p, n_numbers)), np.eye(n_numbers)
        self._around = np.zeros((n, n_numbers))

    def draw(self, numbers: Numbers, rng: np.random.Generator) -> Numbers:
        """Draw all three given the rows' numbers, and return the rows' prior means."""
        (n, D), strength = numbers.shape, 2.0
        rest = numbers - self._around
        middle = rest.mean(axis=0)
        scatter = np.empty((D, D))
        kernels.cross_products(rest - middle, rest - middle, scatter)
        scatter += np.eye(D) + n * strength / (n + strength) * np.outer(middle, middle)
        half = np.linalg.inv(scatter)
        self.precision = np.atleast_2d(wishart.rvs(D + n, (half + half.T) / 2, random_state=rng))
        root = np.linalg.inv(np.linalg.cholesky(self.precision)).T
        self.mean = n * middle / (n + strength) + root @ rng.standard_normal(D) / np.sqrt(n + strength)
        towards = np.empty((self.known.shape[1], D))
        kernels.cross_products(self.known, numbers - self.mean, towards)
        self.slopes = self._spread @ towards + self._lower @ rng.standard_normal(towards.shape) @ root.T
        self._around = self.known @ self.slopes
        return self._around + self.mean


class Sampled(NamedTuple):
    """The draws that are kept, side by side in the last axis of each array."""

    items: npt.NDArray[np.float32]
    mean: Numbers
    slopes: Numbers
    precision: Numbers
    alpha: Numbers


class Settings(NamedTuple):
    """How much to draw."""

    n_factors: int
    n_samples: int
    n_warmup: int
    seed: int


def sample(
    X: sp.csr_array, known: tuple[Numbers, Numbers], settings: Settings, progress: Progress | None = None
) -> Sampled:
    """Draw from the posterior of `x_ui = a_i + b_u + v_i · z_u + noise`, given what is known of people and items.

    People `(b_u, z_u)` and items `(a_i, v_i)` are BPMF around linear functions of what is known, with Wishart
    precisions, and so is the noise (Salakhutdinov and Mnih 2008; with side information Porteous et al. 2010).
    """
    rng, D = np.random.default_rng(settings.seed), settings.n_factors + 1
    of_people, of_items = (Behind(table, D) for table in known)
    people, items = np.zeros((X.shape[0], D)), 0.1 * rng.standard_normal((X.shape[1], D))
    items[:, 0] = 0.0
    by_user, by_item = as_kernel_csr(X), as_kernel_csr(X.T.tocsr())
    alpha, kept = 1.25, []
    rounds = settings.n_warmup + settings.n_samples
    for done in range(rounds):
        around = of_people.draw(people, rng)
        if done >= settings.n_warmup:
            kept.append((items.astype(np.float32), of_people.mean, of_people.slopes, of_people.precision, alpha))
        _draw(by_user, items, kernels.GaussianPrior(around, of_people.precision, alpha), rng, people)
        around = of_items.draw(items, rng)
        _draw(by_item, people, kernels.GaussianPrior(around, of_items.precision, alpha), rng, items)
        error = kernels.squared_error(by_user, people, items)
        alpha = float(rng.gamma(1 + X.nnz / 2) / (1 + error / 2))
        if progress:
            progress((done + 1) / rounds)
    return Sampled(*(np.stack(part, axis=-1) for part in zip(*kept, strict=True)))


def _draw(
    rows: kernels.CSR, others: Numbers, prior: kernels.GaussianPrior, rng: np.random.Generator, out: Numbers
) -> None:
    """Draw the numbers of all rows, on several threads."""
    noise, D = rng.standard_normal(out.shape), out.shape[1]
    cost = (np.diff(rows.indptr) + D) * float(D * D)

    def part(start: int, stop: int) -> None:
        kernels.sample_rows(start, stop, rows, others, prior, noise, out)

    for _ in ordered_parallel_map(part, split_by_cost(cost, SLICE)):
        pass
