"""Draw the picture of `docs/engine.md` from the arrays of the engine: `python tools/engine_picture.py`."""

from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.patches import Polygon, Rectangle

import reelated
from reelated import _kernels as kernels
from reelated.similarity import as_kernel_csr, blocked

FILE = Path(__file__).parents[1] / "docs" / "images" / "engine.svg"
INK, QUIET, MAIN, OTHER = "#1f2328", "#8c959f", "#2f6fb3", "#b4531a"
BLOCK = 48


def main() -> None:
    """Write the picture."""
    blocked.MAX_BLOCK_ITEMS = BLOCK  # by default, so few movies would be two blocks
    mpl.rcParams |= {"font.size": 9, "svg.fonttype": "path", "svg.hashsalt": "reelated", "text.color": INK}
    X = reelated.read("sample").ratings.matrix
    rank = np.empty(X.shape[1], np.int32)
    rank[np.argsort(-np.bincount(X.indices, minlength=X.shape[1]), kind="stable")] = np.arange(X.shape[1])
    layout = blocked.BlockLayout.choose(X.shape[1], 100, pearson=False)
    ratings = blocked.prepare(blocked._sort_rows(as_kernel_csr(X), rank), layout)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.9), layout="constrained")
    draw_rows(left, ratings, X.shape)
    draw_blocks(right, layout)
    figure.savefig(FILE, metadata={"Date": None})


def draw_rows(axes: plt.Axes, ratings: blocked.PreparedRatings, shape: tuple[int, int]) -> None:
    """Draw the sorted ratings with the dense block."""
    users = np.repeat(np.arange(shape[0]), np.diff(ratings.rows.indptr))
    picture = np.ones(shape)
    picture[users, ratings.rows.indices] = 0.35
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for chunk, width in enumerate(ratings.dense.widths):
        top, bottom = chunk * kernels.CHUNK_USERS, min((chunk + 1) * kernels.CHUNK_USERS, shape[0])
        axes.add_patch(Rectangle((0, top), width, bottom - top, color=MAIN, alpha=0.3, linewidth=0))
        axes.text(12, top + 24, f"{bottom - top} users × {min(width, shape[1])} movies, as a dense product", color=INK,
                  bbox={"color": "white", "alpha": 0.85, "pad": 2})  # fmt: skip
    axes.set(title="The ratings of the sample, sorted", xlabel="movies, by descending popularity →",
             ylabel="← users, by descending activity", xticks=[], yticks=[])  # fmt: skip


def draw_blocks(axes: plt.Axes, layout: blocked.BlockLayout) -> None:
    """Draw the pairs in blocks, and the additions in one block."""
    n = layout.n_padded
    axes.add_patch(Polygon([(0, 0), (n, n), (0, n)], color=QUIET, alpha=0.15, linewidth=0))
    for low, high in pairwise(layout.boundaries):
        axes.plot([0, low], [low, low], color=QUIET, linewidth=0.8)
        if low <= n * 0.55 < high:
            corners = [(0, low), (low, low), (high, high), (0, high)]
            axes.add_patch(Polygon(corners, color=MAIN, alpha=0.45, linewidth=0))
            walked, item = np.unique((np.linspace(0, 1, 13) ** 2 * low * 0.93).astype(int)), (low + high) / 2
            axes.plot(walked, np.full(len(walked), item), "o", color=INK, markersize=3)
            axes.plot([low + (high - low) * 0.3], [item], "s", color=OTHER, markersize=5)
            place, line = (low + (high - low) * 0.3, item), {"arrowstyle": "-", "color": OTHER}
            axes.annotate("one movie of the block\nthat a user rated", place,
                          (n * 0.66, n * 0.36), color=OTHER, arrowprops=line)  # fmt: skip
            axes.annotate("and every more popular one they rated:\none addition each", (walked[4], item),
                          (n * 0.03, n * 0.27), arrowprops={"arrowstyle": "-", "color": INK})  # fmt: skip
    text = "a block: one table of sums and counts,\nthen the strongest pairs go to buffers"
    axes.text(n * 0.03, n * 0.93, text, va="bottom")
    axes.text(n * 0.55, n * 0.12, "the other half is symmetric\nand not computed")
    axes.set(title=f"The pairs of movies, in blocks of {BLOCK}", xlabel="the more popular movie of a pair →",
             ylabel="← the less popular one", xlim=(0, n), ylim=(n, 0), xticks=[], yticks=[])  # fmt: skip


if __name__ == "__main__":
    main()
