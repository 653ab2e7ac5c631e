"""Elicitation: which items to ask a new user about first."""

from typing import Any

import numpy as np
import numpy.typing as npt

from reelated.models import DrawnModel
from reelated.recommender import Recommender

CANDIDATES = 400
"""Number of candidates: the items with most ratings, which a new user is likely to know."""
Numbers = npt.NDArray[np.float64]


def most_telling(recommender: Recommender) -> npt.NDArray[np.int64]:
    """Return the indices of the candidates in the order of elicitation, chosen greedily.

    Each next item maximises the expected information gain ``p_i Σ_k p_k K_ik² / (K_ii + s)``, with ``p`` the
    probability that the user knows an item, ``K`` the covariance of ratings given the items before, and ``s`` noise.
    """
    known = recommender.catalogue_.by_popularity[:CANDIDATES]
    counts = recommender.catalogue_.counts[known].astype(np.float64)
    chance = counts / max(counts.max(initial=0.0), 1.0)
    covariance, noise = _covariance(recommender.models_, known)
    order: list[int] = []
    left = np.ones(len(known), np.bool_)
    for _ in known:  # O(CANDIDATES²) each
        certain = covariance.diagonal() + noise
        gain = np.where(left, chance * (chance @ covariance**2) / certain, -1.0)
        chosen = int(np.argmax(gain))
        left[chosen] = False
        order.append(chosen)
        # Condition on the rating of the chosen item, whatever its value: K ← K − K_i K_iᵀ / (K_ii + s).
        told = covariance[chosen]
        covariance = covariance - np.outer(told, told) / certain[chosen]
    return known[order]


def _covariance(pair: Any, items: npt.NDArray[np.int64]) -> tuple[Numbers, float]:
    """Return the covariance of ratings of these items, and the variance of the noise."""
    if isinstance(pair.rater, DrawnModel):
        return pair.rater.covariance(items)
    # Other models have no covariance: use the cosine between rows of the similarity, with a fixed noise.
    links = pair.ranker_or_rater.similarity_[items][:, items].toarray().astype(np.float64)
    links += np.eye(len(items))
    links /= np.linalg.norm(links, axis=1, keepdims=True)
    return links @ links.T, 0.5
