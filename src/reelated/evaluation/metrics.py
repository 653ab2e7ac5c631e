"""The measures, one definition each: of lists against what was rated, of predicted ratings, of lists as a whole.

`hits[u, k]` says whether the entry at rank `k + 1` of list `u` is relevant; a list shorter than `n` has no hits at its
end. `n_relevant[u]` is how many relevant entries the test part holds for list `u`, listed or not, found by the model
or unknown to it. A list without a relevant entry has no value: NaN, left out of means and counted.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Hits = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


def _over(values: npt.NDArray[np.floating | np.integer], by: npt.NDArray[np.floating | np.integer]) -> Numbers:
    """Divide; NaN where the divisor is 0."""
    return np.divide(values, by, out=np.full(len(values), np.nan), where=by > 0)


def _told(values: npt.ArrayLike, n_relevant: Counts) -> Numbers:
    return np.where(n_relevant > 0, values, np.nan)


def _discounts(n: int) -> Numbers:
    return 1 / np.log2(np.arange(2, n + 2))


def precision(hits: Hits, n_relevant: Counts) -> Numbers:
    """Return the share of the `n` places that hold a hit: Σ_k hit_k / n.

    Parameters
    ----------
    hits : ndarray of bool, shape (n_lists, n)
        Whether each place holds something relevant.
    n_relevant : ndarray of int, shape (n_lists,)
        How much is relevant to each list.

    Returns
    -------
    ndarray of float64, shape (n_lists,)
        NaN where nothing is relevant. Places that a short list leaves empty count as misses.
    """
    return _told(hits.sum(axis=1) / hits.shape[1], n_relevant)


def recall(hits: Hits, n_relevant: Counts) -> Numbers:
    """Return the share of all that is relevant that is listed: Σ_k hit_k / |relevant|.

    As in Microsoft's recommenders. It cannot reach 1 where more than `n` entries are relevant.

    Parameters
    ----------
    hits, n_relevant
        As for `precision`.

    Returns
    -------
    ndarray of float64, shape (n_lists,)
    """
    return _over(hits.sum(axis=1), n_relevant)


def recall_capped(hits: Hits, n_relevant: Counts) -> Numbers:
    """Return the share of what could have been listed that is: Σ_k hit_k / min(n, |relevant|).

    As in Liang et al. 2018, "Variational Autoencoders for Collaborative Filtering", §4.2.

    Parameters
    ----------
    hits, n_relevant
        As for `precision`.

    Returns
    -------
    ndarray of float64, shape (n_lists,)
    """
    return _over(hits.sum(axis=1), np.minimum(n_relevant, hits.shape[1]))


def ndcg(hits: Hits, n_relevant: Counts) -> Numbers:
    """Return the discounted gain, over that of the best possible list of `n`.

    Σ_k hit_k / log2(k + 1), over Σ 1 / log2(k + 1) for k = 1 … min(n, |relevant|); a hit gains 1 whatever its rating
    (Järvelin and Kekäläinen 2002, binary; the ideal is cut at `n`, as is the list).

    Parameters
    ----------
    hits, n_relevant
        As for `precision`.

    Returns
    -------
    ndarray of float64, shape (n_lists,)
    """
    discounts = _discounts(hits.shape[1])
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])
    return _over(hits @ discounts, ideal[np.minimum(n_relevant, hits.shape[1])])


def average_precision(hits: Hits, n_relevant: Counts) -> Numbers:
    """Return Σ_k hit_k · (hits among the first k / k) / |relevant|; its mean over lists is MAP.

    Divided by all that is relevant, as in Microsoft's recommenders, not by min(n, |relevant|).

    Parameters
    ----------
    hits, n_relevant
        As for `precision`.

    Returns
    -------
    ndarray of float64, shape (n_lists,)
    """
    precisions = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return _over((hits * precisions).sum(axis=1), n_relevant)


def reciprocal_rank(hits: Hits, n_relevant: Counts) -> Numbers:
    """Return 1 / the rank of the first hit, 0 where none is listed; its mean over lists is MRR (Voorhees 1999).

    Parameters
    ----------
    hits, n_relevant
        As for `precision`.

    Returns
    -------
    ndarray of float64, shape (n_lists,)
    """
    return _told(np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0.0), n_relevant)


def hit_rate(hits: Hits, n_relevant: Counts) -> Numbers:
    """Return 1 where at least one hit is listed, else 0; its mean is the share of lists with a hit.

    Parameters
    ----------
    hits, n_relevant
        As for `precision`.

    Returns
    -------
    ndarray of float64, shape (n_lists,)
    """
    return _told(hits.any(axis=1).astype(np.float64), n_relevant)


RANKING: dict[str, Callable[[Hits, Counts], Numbers]] = {
    "ndcg": ndcg,
    "map": average_precision,
    "precision": precision,
    "recall": recall,
    "recall_capped": recall_capped,
    "mrr": reciprocal_rank,
    "hit_rate": hit_rate,
}
"""The measures of a list against what was rated, by the names that results use."""


def rmse(predicted: Numbers, ratings: Numbers) -> float:
    """Return √ of the mean of (predicted − rating)², over all pairs alike.

    Parameters
    ----------
    predicted, ratings : ndarray of float64, shape (n_pairs,)
        What was predicted, and what was rated.

    Returns
    -------
    float
        NaN where there is no pair.
    """
    return float(np.sqrt(np.mean((predicted - ratings) ** 2))) if len(ratings) else np.nan


def mae(predicted: Numbers, ratings: Numbers) -> float:
    """Return the mean of |predicted − rating|, over all pairs alike.

    Parameters
    ----------
    predicted, ratings : ndarray of float64, shape (n_pairs,)
        What was predicted, and what was rated.

    Returns
    -------
    float
        NaN where there is no pair.
    """
    return float(np.mean(np.abs(predicted - ratings))) if len(ratings) else np.nan


def coverage(places: Counts) -> float:
    """Return the share of the catalogue that stands on at least one list.

    Parameters
    ----------
    places : ndarray of int, shape (n_entries,)
        On how many lists each entry of the training data stands.

    Returns
    -------
    float
    """
    return float(np.mean(places > 0))


def concentration(places: Counts, most: int = 10) -> float:
    """Return the share of all places that the most listed entries hold.

    Parameters
    ----------
    places : ndarray of int, shape (n_entries,)
        On how many lists each entry of the training data stands.
    most : int, default 10
        How many entries are the most listed.

    Returns
    -------
    float
        NaN where nothing is listed.
    """
    total = int(places.sum())
    return float(np.sort(places)[::-1][:most].sum() / total) if total else np.nan


def novelty(lists: npt.NDArray[np.int64], shares: Numbers) -> Numbers:
    """Return the mean of −log2(share) over each list, `share` = the part of the training users who rated an entry.

    The self-information of what is listed, in bits (Zhou et al. 2010, "Solving the apparent diversity-accuracy
    dilemma", Methods): 1 where half of the users rated it, 10 where one in a thousand did.

    Parameters
    ----------
    lists : ndarray of int, shape (n_lists, n)
        Entries; −1 where a list ends before `n`.
    shares : ndarray of float64, shape (n_entries,)
        The part of the training users who rated each; above 0.

    Returns
    -------
    ndarray of float64, shape (n_lists,)
        NaN for an empty list.
    """
    listed = lists >= 0
    bits = np.where(listed, -np.log2(shares)[lists], 0.0)
    return _over(bits.sum(axis=1), listed.sum(axis=1))
