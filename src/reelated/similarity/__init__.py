"""From ratings to the item × item similarity: pure functions of sparse matrices."""

from reelated.similarity.csr import (
    as_csc,
    as_item_matrix,
    as_kernel_csr,
    row_costs,
    sizes_and_norms,
    take_prefixes,
    take_rows,
)
from reelated.similarity.neighbors import Similarity, SimilarityParams, SimilarityPlan, plan, similarity
from reelated.similarity.ridge import (
    MAX_GRAM_BYTES,
    Ridge,
    as_gram_matrix,
    fit_ridge,
    ridge_memory,
    solve_dense_ridge,
    solve_local_ridge,
)
from reelated.similarity.weighting import Weighting, degree_factors, normalize_items, normalize_users, weighted

__all__ = ["MAX_GRAM_BYTES", "Ridge", "Similarity", "SimilarityParams", "SimilarityPlan", "Weighting", "as_csc"]
__all__ += ["as_gram_matrix", "as_item_matrix", "as_kernel_csr", "degree_factors", "fit_ridge", "normalize_items"]
__all__ += ["normalize_users", "plan", "ridge_memory", "row_costs", "similarity", "sizes_and_norms"]
__all__ += ["solve_dense_ridge", "solve_local_ridge", "take_prefixes", "take_rows", "weighted"]
