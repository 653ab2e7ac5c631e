"""What to ask a newcomer about first: known movies, each of which tells much that those before it did not."""

from typing import Any

import numpy as np
import numpy.typing as npt

from reelated.models import DrawnModel
from reelated.recommender import Recommender

CANDIDATES = 400
"""So many movies, those with most ratings, are what a newcomer may know."""
Numbers = npt.NDArray[np.float64]


def most_telling(recommender: Recommender) -> npt.NDArray[np.int64]:
    """Return the columns of the best known movies, in the order in which to ask about them.

    Greedy: next comes the movie for which the chance that it is known, times what its rating would tell of the tastes
    in all known movies, is largest; what it tells is then taken for told. With covariances `K` between ratings and
    noise `s`, a rating of `i` explains `Σ_k p_k K_ik² / (K_ii + s)`.
    """
    known = recommender.catalogue_.by_popularity[:CANDIDATES]
    counts = recommender.catalogue_.counts[known].astype(np.float64)
    chance = counts / max(counts.max(initial=0.0), 1.0)
    covariance, noise = _covariance(recommender.models_, known)
    order: list[int] = []
    left = np.ones(len(known), np.bool_)
    for _ in known:
        certain = covariance.diagonal() + noise
        gain = np.where(left, chance * (chance @ covariance**2) / certain, -1.0)
        chosen = int(np.argmax(gain))
        left[chosen] = False
        order.append(chosen)
        told = covariance[chosen]
        covariance = covariance - np.outer(told, told) / certain[chosen]
    return known[order]


def _covariance(pair: Any, items: npt.NDArray[np.int64]) -> tuple[Numbers, float]:
    """Return how ratings of these items go together, and the variance of their noise."""
    if isinstance(pair.rater, DrawnModel):
        return pair.rater.covariance(items)
    links = pair.ranker_or_rater.similarity_[items][:, items].toarray().astype(np.float64)
    links += np.eye(len(items))
    links /= np.linalg.norm(links, axis=1, keepdims=True)
    return links @ links.T, 0.5
