"""The loops that numba compiles: arrays in, arrays out; they know nothing of people or movies and check nothing.

Everything is serial and releases the interpreter's lock; `_threads` runs slices side by side. A slice owns its rows and
its workspace, so results are the same, bit for bit, on any number of threads. Kernels that call each other live in one
file where they can: numba's cache does not see changes in another, so that of all files goes when one changes.
"""

from reelated._kernels.compiling import CSR
from reelated._kernels.scores import (
    Finish,
    Links,
    add_up,
    best,
    empty_sums,
    score_of,
    score_pairs,
    score_row,
    score_users,
    scores_of,
    top_rows,
)
from reelated._kernels.similarity import (
    LANES,
    Block,
    Heaps,
    Rule,
    add_pairs,
    count_visits,
    gather,
    harvest,
    list_visits,
    similarity_rows,
    sort_rows,
    strongest,
)

__all__ = [
    "CSR",
    "LANES",
    "Block",
    "Finish",
    "Heaps",
    "Links",
    "Rule",
    "add_pairs",
    "add_up",
    "best",
    "count_visits",
    "empty_sums",
    "gather",
    "harvest",
    "list_visits",
    "score_of",
    "score_pairs",
    "score_row",
    "score_users",
    "scores_of",
    "similarity_rows",
    "sort_rows",
    "strongest",
    "top_rows",
]
