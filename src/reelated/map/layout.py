"""From links between items to positions on a plane, so that similar items are close. Numbers only."""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from reelated.errors import check_integer, not_installed

Places = npt.NDArray[np.float64]
NEAREST = 10
"""Strongest links used per item; chosen by how many of the linked items end up close on the map."""
EARLY, LATE, AGAIN = 100, 250, 50
"""Iterations with early exaggeration, without it, and from an earlier layout, which more iterations would blur."""
FEW = 30
"""With fewer linked items the spectral layout alone is used; t-SNE would draw them into one point."""
LEAST = 4
"""With fewer linked items the links are ignored."""
TIE = 0.1
"""The weight of a link between unconnected components, as a share of the weight of one item's links."""
APART = 0.5
"""The minimum distance of two items, as a share of their distance if all were spread evenly."""


def lay_out(links: sp.csr_array, start: Places | None = None, *, seed: int = 0) -> Places:
    """Place items on a plane by t-SNE, close to those that they are most strongly linked to.

    Items without a positive link lie around the others. `start` is an earlier layout to stay close to, with NaN for new
    items.
    """
    graph, seed = near_graph(links), check_integer("seed", seed, 0)
    n_items, degree = graph.shape[0], np.diff(graph.indptr)
    linked = np.flatnonzero(degree) if np.count_nonzero(degree) >= LEAST else np.empty(0, np.int64)
    found, widest = np.empty((n_items, 2)), 1.0
    if len(linked):
        inner = tied(graph[linked][:, linked])
        places = spread(_placed(inner, None if start is None else np.asarray(start, np.float64)[linked], seed))
        found[linked] = places - places.mean(axis=0)
        widest = float(np.linalg.norm(found[linked], axis=1).max())
    around = np.setdiff1d(np.arange(n_items), linked)
    found[around] = sunflower(len(linked), len(around)) * widest
    return found


def check_library() -> Any:
    """Return openTSNE, or raise `InputError` with how to install it."""
    try:
        import openTSNE
    except ImportError:
        raise not_installed("openTSNE", "map") from None
    return openTSNE


def near_graph(links: sp.csr_array) -> sp.csr_array:
    """Return the strongest positive links of every item, normalised to the same total, and symmetric."""
    n_items = links.shape[0]
    rows = np.repeat(np.arange(n_items), np.diff(links.indptr))
    by_strength = np.lexsort((links.indices, -links.data, rows))
    rank = np.arange(len(rows)) - links.indptr[rows]
    kept = by_strength[(rank < NEAREST) & (links.data[by_strength] > 0)]
    rows, columns, values = rows[kept], links.indices[kept], links.data[kept].astype(np.float64)
    values /= np.bincount(rows, values, n_items)[rows]
    graph = sp.csr_array((values, (rows, columns)), shape=links.shape)
    return sp.csr_array(graph + graph.T)


def tied(graph: sp.csr_array) -> sp.csr_array:
    """Connect the components of a graph: link the best-connected item of each to that of the largest."""
    n_parts, part = connected_components(graph, directed=False)
    degree = np.diff(graph.indptr)
    order = np.lexsort((np.arange(len(part)), -degree, part))
    heads = order[np.searchsorted(part[order], np.arange(n_parts))]
    largest = np.argmax(np.bincount(part))
    others = np.delete(heads, largest)
    hub = np.full(len(others), heads[largest])
    ties = sp.csr_array((np.full(len(others), TIE), (others, hub)), shape=graph.shape)
    return sp.csr_array(graph + ties + ties.T)


def _placed(graph: sp.csr_array, known: Places | None, seed: int) -> Places:
    """Lay out linked items, starting from an earlier layout if it holds at least half of them."""
    if graph.shape[0] < FEW:
        return smooth(graph, seed)
    if known is not None and has_place(known).mean() >= 0.5:
        return _settled(graph, filled(graph, known), 0, AGAIN)
    return _settled(graph, smooth(graph, seed) * 1e-4, EARLY, LATE)


def smooth(graph: sp.csr_array, seed: int, n_rounds: int = 100) -> Places:
    """Return the spectral layout: each item is near the mean of those that it is linked to.

    The coordinates are the two smoothest eigenvectors of the random walk on the graph (Belkin & Niyogi 2003, §2),
    approximated by `n_rounds` power iterations.
    """
    weight = graph.sum(axis=1)[:, None]
    places = np.random.default_rng(seed).normal(size=(graph.shape[0], 2))
    for _ in range(n_rounds):
        places += (graph @ places) / weight
        places -= (weight * places).sum(axis=0) / weight.sum()
        first, second = places.T
        second -= first * ((weight[:, 0] * first * second).sum() / (weight[:, 0] * first**2).sum())
        places /= places.std(axis=0)
    return places


def filled(graph: sp.csr_array, known: Places) -> Places:
    """Put items without a position at the mean of those that they are linked to."""
    has = has_place(known)
    places = np.where(has[:, None], known, 0.0)
    weight = np.maximum(graph @ has.astype(np.float64), 1e-12)
    return np.where(has[:, None], places, (graph @ places) / weight[:, None])


def has_place(places: Places) -> npt.NDArray[np.bool_]:
    """Return which items have a position."""
    return np.asarray(np.isfinite(places).all(axis=1))


def _settled(graph: sp.csr_array, places: Places, early: int, late: int) -> Places:
    """Run t-SNE (van der Maaten 2014, "Accelerating t-SNE") on one thread, so that the result is reproducible."""
    library = check_library()
    affinities = library.affinity.PrecomputedAffinities(sp.csr_matrix(graph))
    moving = library.TSNEEmbedding(places, affinities, n_jobs=1, theta=0.8)
    if early:
        moving = moving.optimize(early, exaggeration=12, momentum=0.5)
    return np.array(moving.optimize(late, momentum=0.8), np.float64)


def spread(places: Places) -> Places:
    """Move overlapping items apart, so that each can be seen and touched."""
    n_items = len(places)
    reach = float(np.quantile(np.linalg.norm(places - places.mean(axis=0), axis=1), 0.9))
    least = APART * reach * np.sqrt(np.pi / n_items)
    # distinct positions, so that no distance below is 0
    places = places + sunflower(0, n_items) * least * 1e-3 / np.sqrt(n_items)
    for _ in range(30):
        pairs = cKDTree(places).query_pairs(least, output_type="ndarray")
        if not len(pairs):
            break
        away = places[pairs[:, 1]] - places[pairs[:, 0]]
        far = np.linalg.norm(away, axis=1)
        push = away * (0.4 * (least - far) / far)[:, None]
        for axis in (0, 1):
            places[:, axis] += np.bincount(pairs[:, 1], push[:, axis], n_items)
            places[:, axis] -= np.bincount(pairs[:, 0], push[:, axis], n_items)
    return places


def sunflower(inside: int, n: int) -> Places:
    """Return `n` positions spread evenly around a disc of radius 1 with `inside` others, like sunflower seeds."""
    turn = np.arange(n) * np.pi * (3 - np.sqrt(5))
    far = np.sqrt((inside + np.arange(n) + 0.5) / max(inside, 1))
    return np.column_stack([np.cos(turn) * far, np.sin(turn) * far])
