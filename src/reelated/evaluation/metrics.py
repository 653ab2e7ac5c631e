"""Definitions of all metrics: of ranked lists, of predicted ratings, and of all lists together.

`hits[u, k]` is True where the entry at rank `k + 1` of list `u` is relevant; a list shorter than `n` is padded with
False. `n_relevant[u]` is the number of relevant entries in the test part for list `u`, including those that are not
listed or not known to the model. A list without a relevant entry has the value NaN: it is left out of means, and the
number of such lists is reported.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Hits = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


def _divide(values: npt.NDArray[np.floating | np.integer], divisor: npt.NDArray[np.floating | np.integer]) -> Numbers:
    return np.divide(values, divisor, out=np.full(len(values), np.nan), where=divisor > 0)


def _where_relevant(values: npt.ArrayLike, n_relevant: Counts) -> Numbers:
    """Replace the values of lists without a relevant entry by NaN."""
    return np.where(n_relevant > 0, values, np.nan)


def precision(hits: Hits, n_relevant: Counts) -> Numbers:
    """Return Σ_k hit_k / n: the share of the `n` places that hold a hit. Empty places count as misses."""
    return _where_relevant(hits.sum(axis=1) / hits.shape[1], n_relevant)


def recall(hits: Hits, n_relevant: Counts) -> Numbers:
    """Return Σ_k hit_k / |relevant|, the share of the relevant entries that are listed.

    As in Microsoft's recommenders. It cannot reach 1 where more than `n` entries are relevant.
    """
    return _divide(hits.sum(axis=1), n_relevant)


def recall_capped(hits: Hits, n_relevant: Counts) -> Numbers:
    """Return Σ_k hit_k / min(n, |relevant|): recall, which is 1 if all entries of a list are hits.

    Liang et al. 2018, "Variational Autoencoders for Collaborative Filtering", §4.2.
    """
    return _divide(hits.sum(axis=1), np.minimum(n_relevant, hits.shape[1]))


def ndcg(hits: Hits, n_relevant: Counts) -> Numbers:
    """Return the discounted gain of the list divided by that of the best possible list of `n`.

    Σ_k hit_k / log2(k + 1), over Σ 1 / log2(k + 1) for k = 1 … min(n, |relevant|). A hit gains 1 whatever its rating
    (Järvelin and Kekäläinen 2002, binary; the ideal list is cut at `n` too).
    """
    discounts = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])
    return _divide(hits @ discounts, ideal[np.minimum(n_relevant, hits.shape[1])])


def average_precision(hits: Hits, n_relevant: Counts) -> Numbers:
    """Return Σ_k hit_k · (hits among the first k / k) / |relevant|; its mean over lists is MAP.

    The divisor is the number of all relevant entries, as in Microsoft's recommenders, not min(n, |relevant|).
    """
    precisions = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    return _divide((hits * precisions).sum(axis=1), n_relevant)


def reciprocal_rank(hits: Hits, n_relevant: Counts) -> Numbers:
    """Return 1 / rank of the first hit, 0 without a hit; its mean over lists is MRR (Voorhees 1999)."""
    return _where_relevant(np.where(hits.any(axis=1), 1 / (hits.argmax(axis=1) + 1), 0.0), n_relevant)


def hit_rate(hits: Hits, n_relevant: Counts) -> Numbers:
    """Return 1 if the list holds a hit, else 0; its mean is the share of lists with a hit."""
    return _where_relevant(hits.any(axis=1).astype(np.float64), n_relevant)


RANKING: dict[str, Callable[[Hits, Counts], Numbers]] = {
    "ndcg": ndcg,
    "map": average_precision,
    "precision": precision,
    "recall": recall,
    "recall_capped": recall_capped,
    "mrr": reciprocal_rank,
    "hit_rate": hit_rate,
}
"""Metrics of a ranked list, by the names used in results."""


def rmse(predicted: Numbers, ratings: Numbers) -> float:
    """Return √(mean of (predicted − rating)²), each pair weighing the same; NaN without pairs."""
    return float(np.sqrt(np.mean((predicted - ratings) ** 2))) if len(ratings) else np.nan


def mae(predicted: Numbers, ratings: Numbers) -> float:
    """Return the mean of |predicted − rating|, each pair weighing the same; NaN without pairs."""
    return float(np.mean(np.abs(predicted - ratings))) if len(ratings) else np.nan


def coverage(places: Counts) -> float:
    """Return the share of the catalogue's entries that are on at least one list, given the number of lists of each."""
    return float(np.mean(places > 0))


def top_share(places: Counts, n: int) -> float:
    """Return the share of all places that the `n` most listed entries hold; NaN where nothing is listed."""
    total = int(places.sum())
    return float(np.sort(places)[::-1][:n].sum() / total) if total else np.nan


def novelty(lists: npt.NDArray[np.int64], shares: Numbers) -> Numbers:
    """Return the mean of −log2(share) over each list padded with −1: self-information in bits; NaN for an empty list.

    `shares` holds the share of the training users who rated each entry, above 0: half of the users give 1 bit, one in a
    thousand 10 bits (Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma", Methods).
    """
    listed = lists >= 0
    bits = np.where(listed, -np.log2(shares)[lists], 0.0)
    return _divide(bits.sum(axis=1), listed.sum(axis=1))
