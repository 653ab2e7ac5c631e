"""Elicitation: which items to ask a new user to rate first."""

import numpy as np
import numpy.typing as npt

from reelated.recommender.state import State

CANDIDATES = 400
"""Number of candidates: the items with the most ratings, which a new user is likely to know."""


def elicitation_order(recommender: State) -> npt.NDArray[np.int64]:
    """Return the indices of the candidates, the most informative first, chosen greedily.

    Each next item maximises the expected information gain ``p_i Σ_k p_k K_ik² / (K_ii + s)``, where ``p`` is the
    probability that the user knows an item, ``K`` the covariance of ratings given the items before it, and ``s`` the
    variance of the noise.
    """
    candidates = recommender.catalogue_.by_popularity[:CANDIDATES]
    counts = recommender.catalogue_.counts[candidates].astype(np.float64)
    p_known = counts / max(counts.max(initial=0.0), 1.0)
    covariance, noise = recommender.engine.covariance(candidates)
    order: list[int] = []
    left = np.ones(len(candidates), np.bool_)
    for _ in candidates:  # O(CANDIDATES²) each
        variance = covariance.diagonal() + noise
        gain = np.where(left, p_known * (p_known @ covariance**2) / variance, -1.0)
        chosen = int(np.argmax(gain))
        left[chosen] = False
        order.append(chosen)
        # Condition on the rating of the chosen item, whatever its value: K ← K − K_i K_iᵀ / (K_ii + s).
        row = covariance[chosen]
        covariance = covariance - np.outer(row, row) / variance[chosen]
    return candidates[order]
