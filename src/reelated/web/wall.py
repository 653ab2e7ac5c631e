"""Elicitation: which items to ask a new user about first."""

import numpy as np
import numpy.typing as npt

from reelated.recommender import Recommender

CANDIDATES = 400
"""Number of candidates: the items with most ratings, which a new user is likely to know."""


def most_telling(recommender: Recommender) -> npt.NDArray[np.int64]:
    """Return the indices of the candidates in the order of elicitation, chosen greedily.

    Each next item maximises the expected information gain ``p_i Σ_k p_k K_ik² / (K_ii + s)``, with ``p`` the
    probability that the user knows an item, ``K`` the covariance of ratings given the items before, and ``s`` noise.
    """
    known = recommender.catalogue_.by_popularity[:CANDIDATES]
    counts = recommender.catalogue_.counts[known].astype(np.float64)
    chance = counts / max(counts.max(initial=0.0), 1.0)
    covariance, noise = recommender.engine.covariance(known)
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
