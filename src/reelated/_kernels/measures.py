"""Similarities from sums over common raters."""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import tight


class Rule(NamedTuple):
    """The parameters of the similarity formula."""

    jaccard: bool
    pearson: bool
    shrinkage: float
    damping: float
    min_common: int
    positive_only: bool


@tight
def cosine(dot, common, i, j, sizes, norms, rule):
    """Return the cosine, or the Jaccard index, of `i` and `j` from the sum of products over common raters."""
    if rule.jaccard:
        return common / (sizes[i] + sizes[j] - common + rule.damping)
    below = norms[i] * norms[j] + rule.damping
    return dot / below if below > 0 else 0.0


@tight
def pearson(dot, common, moments, damping):
    """Return the correlation over common raters from Σxy and the moments Σx, Σy, Σx², Σy².

    A variance that is no larger than rounding error counts as 0, and the correlation is then 0.
    """
    x, y, xx, yy = np.float64(moments[0]), np.float64(moments[1]), np.float64(moments[2]), np.float64(moments[3])
    spread_x = common * xx - x * x
    spread_y = common * yy - y * y
    if spread_x <= ROUNDING * common * xx or spread_y <= ROUNDING * common * yy:
        return 0.0
    # numerator and denominator are both multiplied by `common`, which saves the divisions
    below = np.sqrt(spread_x) * np.sqrt(spread_y) + common * damping
    return min(max((common * np.float64(dot) - x * y) / below, -1.0), 1.0)


ROUNDING = 1e-5
"""The share of Σx² that a variance must exceed."""


@tight
def finish(value, common, rule):
    """Apply `min_common`, `positive_only` and shrinkage to a similarity."""
    if common < rule.min_common or (rule.positive_only and value < 0):
        return 0.0
    return value * (common / (common + rule.shrinkage)) if rule.shrinkage > 0 else value
