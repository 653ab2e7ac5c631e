"""Numba kernels: arrays in, arrays out; no knowledge of ids or titles, no validation.

Every kernel is serial and, unless it takes only microseconds, releases the GIL; `parallel` runs slices of rows in
parallel. A slice owns its rows and its workspace, so results are bit-for-bit equal on any number of threads. A change
in any file invalidates all cached code.
"""

from reelated._kernels.batch_topn import SumOrder, TopNOutput, topn_groups
from reelated._kernels.block_accumulator import BlockAccumulator, add_dense_block, add_sparse_rows, finalize
from reelated._kernels.blocked_gram import (
    CHUNK_USERS,
    Block,
    DenseBlock,
    SimilarityInputs,
    add_dense_products,
    add_sparse_products,
    dense_widths,
    fill_dense_block,
    list_user_blocks,
    select_neighbors,
    sort_rows,
)
from reelated._kernels.bpmf import (
    bpmf_contributions,
    bpmf_items,
    bpmf_pairs,
    bpmf_rows,
    bpmf_user,
    find_pairs,
)
from reelated._kernels.csr import CSR, add_column_stats, check_csr, copy_prefixes, csr_to_csc
from reelated._kernels.gibbs import GaussianPrior, cross_products, sample_rows
from reelated._kernels.kernel import on_compile
from reelated._kernels.local_ridge import GramMatrix, PairSums, local_ridge_rows
from reelated._kernels.posterior import PosteriorSamples
from reelated._kernels.ridge import count_common, gram_rows, truncate_rows
from reelated._kernels.scoring import (
    Contributions,
    ItemGraph,
    ScoreParams,
    contributions,
    score_pairs,
    score_row,
    score_users,
    topn_rows,
)
from reelated._kernels.simd import LANES
from reelated._kernels.similarity import SimilarityFormula, similarity_rows
from reelated._kernels.topk import NeighborBuffers, merge_buffers, top_n, top_n_per_segment

__all__ = ["CHUNK_USERS", "CSR", "LANES", "Block", "BlockAccumulator", "Contributions", "DenseBlock", "GaussianPrior"]
__all__ += ["GramMatrix", "ItemGraph", "NeighborBuffers", "PairSums", "PosteriorSamples", "ScoreParams"]
__all__ += ["SimilarityFormula", "SimilarityInputs", "SumOrder", "TopNOutput", "add_column_stats", "add_dense_block"]
__all__ += ["add_dense_products", "add_sparse_products", "add_sparse_rows", "bpmf_contributions", "bpmf_items"]
__all__ += ["bpmf_pairs", "bpmf_rows", "bpmf_user", "check_csr", "contributions", "copy_prefixes", "count_common"]
__all__ += ["cross_products", "csr_to_csc", "dense_widths", "fill_dense_block", "finalize", "find_pairs", "gram_rows"]
__all__ += ["list_user_blocks", "local_ridge_rows", "merge_buffers", "on_compile", "sample_rows", "score_pairs"]
__all__ += ["score_row", "score_users", "select_neighbors", "similarity_rows", "sort_rows", "top_n"]
__all__ += ["top_n_per_segment", "topn_groups", "topn_rows", "truncate_rows"]
