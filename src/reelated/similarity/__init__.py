"""From ratings to the item × item similarity: pure functions of sparse matrices."""

from reelated.similarity.neighbors import (
    Measure,
    Plan,
    Similarity,
    as_kernel_csr,
    column_norms,
    plan,
    products_of,
    similarity,
)
from reelated.similarity.weighting import Weighting, weighted

__all__ = [
    "Measure",
    "Plan",
    "Similarity",
    "Weighting",
    "as_kernel_csr",
    "column_norms",
    "plan",
    "products_of",
    "similarity",
    "weighted",
]
