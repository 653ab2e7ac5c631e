"""Numba kernels: arrays in, arrays out; no knowledge of ids or titles, no validation.

Every kernel is serial and releases the GIL; `parallel` runs slices of rows in parallel. A slice owns its rows and its
workspace, so results are bit-for-bit equal on any number of threads. Kernels that call each other live in one file
where they can: numba's cache does not notice a change in an imported file, so a change in any file drops all of it.
"""

from reelated._kernels.by_rows import similarity_rows
from reelated._kernels.columns import add_columns, transpose
from reelated._kernels.compiling import CSR
from reelated._kernels.drawn import Draws, gaussian_pairs, gaussian_parts, gaussian_rows
from reelated._kernels.entries import look_over
from reelated._kernels.everybody import Found, top_groups
from reelated._kernels.gaussian import Prior, cross_products, draw_rows, squared_error
from reelated._kernels.lanes import LANES
from reelated._kernels.measures import Rule
from reelated._kernels.ridge import Products, common_rows, cut_rows, gram_rows, near_rows
from reelated._kernels.scores import (
    Finish,
    Links,
    Parts,
    add_up,
    best,
    empty_sums,
    largest_of_each,
    parts_of,
    score_of,
    score_pairs,
    score_row,
    score_users,
    scores_of,
    top_rows,
)
from reelated._kernels.shelves import Shelves, gather, strongest
from reelated._kernels.tables import Table, add_corner, add_rows, cut_table
from reelated._kernels.triangle import (
    DEPTH,
    Block,
    Dense,
    Terms,
    add_dense,
    add_pairs,
    count_visits,
    dense_widths,
    fill_dense,
    harvest,
    list_visits,
    sort_rows,
)

__all__ = [
    "CSR",
    "DEPTH",
    "LANES",
    "Block",
    "Dense",
    "Draws",
    "Finish",
    "Found",
    "Links",
    "Parts",
    "Prior",
    "Products",
    "Rule",
    "Shelves",
    "Table",
    "Terms",
    "add_columns",
    "add_corner",
    "add_dense",
    "add_pairs",
    "add_rows",
    "add_up",
    "best",
    "common_rows",
    "count_visits",
    "cross_products",
    "cut_rows",
    "cut_table",
    "dense_widths",
    "draw_rows",
    "empty_sums",
    "fill_dense",
    "gather",
    "gaussian_pairs",
    "gaussian_parts",
    "gaussian_rows",
    "gram_rows",
    "harvest",
    "largest_of_each",
    "list_visits",
    "look_over",
    "near_rows",
    "parts_of",
    "score_of",
    "score_pairs",
    "score_row",
    "score_users",
    "scores_of",
    "similarity_rows",
    "sort_rows",
    "squared_error",
    "strongest",
    "top_groups",
    "top_rows",
    "transpose",
]
