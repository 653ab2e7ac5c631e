"""From ratings to the item × item similarity: pure functions of sparse matrices."""

from reelated.similarity.linear import (
    SQUARE,
    Ridge,
    all_products,
    all_weights,
    near_weights,
    plan_linear,
    solve_all,
    solve_near,
)
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
    take_rows,
)
from reelated.similarity.weighting import Weighting, weighted

__all__ = [
    "SQUARE",
    "Measure",
    "Plan",
    "Ridge",
    "Similarity",
    "Weighting",
    "all_products",
    "all_weights",
    "as_kernel_csr",
    "by_column",
    "near_weights",
    "plan",
    "plan_linear",
    "products_of",
    "similarity",
    "sizes_and_norms",
    "solve_all",
    "solve_near",
    "take_rows",
    "weighted",
]
