"""From ratings to the item × item similarity: pure functions of sparse matrices."""

from reelated.similarity.linear import Ridge, all_weights, near_weights, plan_linear
from reelated.similarity.neighbors import (
    Measure,
    Plan,
    Similarity,
    as_kernel_csr,
    by_column,
    plan,
    products_of,
    similarity,
    sizes_and_norms,
)
from reelated.similarity.weighting import Weighting, weighted

__all__ = [
    "Measure",
    "Plan",
    "Ridge",
    "Similarity",
    "Weighting",
    "all_weights",
    "as_kernel_csr",
    "by_column",
    "near_weights",
    "plan",
    "plan_linear",
    "products_of",
    "similarity",
    "sizes_and_norms",
    "weighted",
]
