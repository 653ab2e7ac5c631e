"""`ItemMap`: positions of all items in two dimensions by t-SNE; the next map starts from these positions."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from reelated.atomic import atomic_write
from reelated.errors import InputError, check_integer, import_optional, library_errors
from reelated.ratings import Ids
from reelated.recommender import Recommender

Places = npt.NDArray[np.float64]
N_LINKS = 10
"""Number of the strongest links used per item; with this number, many linked items are close on the map."""
EARLY_ITERATIONS, ITERATIONS, UPDATE_ITERATIONS = 100, 250, 50
"""Iterations with early exaggeration, without it, and from an earlier layout, which more iterations would blur."""
MIN_TSNE_ITEMS = 30
"""With fewer linked items only the spectral layout is used; t-SNE would contract them to one point."""
MIN_LINKED_ITEMS = 4
"""With fewer linked items the links are ignored."""
BRIDGE_WEIGHT = 0.1
"""The weight of a link between unconnected components, as a share of the weight of one item's links."""
MIN_DISTANCE = 0.5
"""The minimum distance of two items, as a share of their distance if all were spread evenly."""


def lay_out(links: sp.csr_array, start: Places | None = None, *, seed: int = 0) -> Places:
    """Place items by t-SNE; `start` is an earlier layout to stay close to, with NaN for new items."""
    graph, seed = neighbor_graph(links), check_integer("seed", seed, 0)
    n_items, degree = graph.shape[0], np.diff(graph.indptr)
    linked = np.flatnonzero(degree) if np.count_nonzero(degree) >= MIN_LINKED_ITEMS else np.empty(0, np.int64)
    places, radius = np.empty((n_items, 2)), 1.0
    if len(linked):
        inner = connect_components(graph[linked][:, linked])
        known = None if start is None else np.asarray(start, np.float64)[linked]
        centred = separate(_place_linked(inner, known, seed))
        places[linked] = centred - centred.mean(axis=0)
        radius = float(np.linalg.norm(places[linked], axis=1).max())
    unlinked = np.setdiff1d(np.arange(n_items), linked)
    places[unlinked] = sunflower(len(linked), len(unlinked)) * radius
    return places


def neighbor_graph(links: sp.csr_array) -> sp.csr_array:
    """Return the strongest positive links of every item, normalised to the same total, and symmetric."""
    n_items = links.shape[0]
    rows = np.repeat(np.arange(n_items), np.diff(links.indptr))
    by_strength = np.lexsort((links.indices, -links.data, rows))
    rank = np.arange(len(rows)) - links.indptr[rows]
    strongest = by_strength[(rank < N_LINKS) & (links.data[by_strength] > 0)]
    rows, columns, values = rows[strongest], links.indices[strongest], links.data[strongest].astype(np.float64)
    values /= np.bincount(rows, values, n_items)[rows]
    graph = sp.csr_array((values, (rows, columns)), shape=links.shape)
    return sp.csr_array(graph + graph.T)


def connect_components(graph: sp.csr_array) -> sp.csr_array:
    """Link the best-connected item of each component to the best-connected item of the largest component."""
    n_components, component = connected_components(graph, directed=False)
    degree = np.diff(graph.indptr)
    order = np.lexsort((np.arange(len(component)), -degree, component))
    hubs = order[np.searchsorted(component[order], np.arange(n_components))]
    largest = np.argmax(np.bincount(component))
    others = np.delete(hubs, largest)
    main = np.full(len(others), hubs[largest])
    bridges = sp.csr_array((np.full(len(others), BRIDGE_WEIGHT), (others, main)), shape=graph.shape)
    return sp.csr_array(graph + bridges + bridges.T)


def _place_linked(graph: sp.csr_array, known: Places | None, seed: int) -> Places:
    """Lay out linked items, starting from an earlier layout if it holds at least half of them."""
    if graph.shape[0] < MIN_TSNE_ITEMS:
        return spectral_layout(graph, seed)
    if known is not None and has_place(known).mean() >= 0.5:
        return _tsne(graph, fill_missing(graph, known), 0, UPDATE_ITERATIONS)
    return _tsne(graph, spectral_layout(graph, seed) * 1e-4, EARLY_ITERATIONS, ITERATIONS)


def spectral_layout(graph: sp.csr_array, seed: int, n_rounds: int = 100) -> Places:
    """Return the two smoothest eigenvectors of the random walk on the graph (Belkin & Niyogi 2003, §2)."""
    weight = graph.sum(axis=1)[:, None]
    places = np.random.default_rng(seed).normal(size=(graph.shape[0], 2))
    for _ in range(n_rounds):
        places += (graph @ places) / weight
        places -= (weight * places).sum(axis=0) / weight.sum()
        first, second = places.T
        second -= first * ((weight[:, 0] * first * second).sum() / (weight[:, 0] * first**2).sum())
        places /= places.std(axis=0)
    return places


def fill_missing(graph: sp.csr_array, known: Places) -> Places:
    """Put each item without a position at the mean position of the items that it is linked to."""
    placed = has_place(known)
    places = np.where(placed[:, None], known, 0.0)
    weight = np.maximum(graph @ placed.astype(np.float64), 1e-12)
    return np.where(placed[:, None], places, (graph @ places) / weight[:, None])


def has_place(places: Places) -> npt.NDArray[np.bool_]:
    """Return which items have a position."""
    return np.asarray(np.isfinite(places).all(axis=1))


def _tsne(graph: sp.csr_array, places: Places, early_iterations: int, iterations: int) -> Places:
    """Run t-SNE (van der Maaten 2014, "Accelerating t-SNE") on one thread, so that the result is reproducible."""
    library = import_optional("openTSNE", "map")
    affinities = library.affinity.PrecomputedAffinities(sp.csr_matrix(graph))
    embedding = library.TSNEEmbedding(places, affinities, n_jobs=1, theta=0.8)
    if early_iterations:
        embedding = embedding.optimize(early_iterations, exaggeration=12, momentum=0.5)
    return np.array(embedding.optimize(iterations, momentum=0.8), np.float64)


def separate(places: Places) -> Places:
    """Move overlapping items apart, so that each can be seen and clicked."""
    n_items = len(places)
    radius = float(np.quantile(np.linalg.norm(places - places.mean(axis=0), axis=1), 0.9))
    minimum = MIN_DISTANCE * radius * np.sqrt(np.pi / n_items)
    # distinct positions, so that no distance below is 0
    places = places + sunflower(0, n_items) * minimum * 1e-3 / np.sqrt(n_items)
    for _ in range(30):
        pairs = cKDTree(places).query_pairs(minimum, output_type="ndarray")
        if not len(pairs):
            break
        difference = places[pairs[:, 1]] - places[pairs[:, 0]]
        distance = np.linalg.norm(difference, axis=1)
        push = difference * (0.4 * (minimum - distance) / distance)[:, None]
        for axis in (0, 1):
            places[:, axis] += np.bincount(pairs[:, 1], push[:, axis], n_items)
            places[:, axis] -= np.bincount(pairs[:, 0], push[:, axis], n_items)
    return places


def sunflower(n_inside: int, n: int) -> Places:
    """Return `n` positions spread evenly around a disc of radius 1 with `n_inside` others, like sunflower seeds."""
    angle = np.arange(n) * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt((n_inside + np.arange(n) + 0.5) / max(n_inside, 1))
    return np.column_stack([np.cos(angle) * radius, np.sin(angle) * radius])


@dataclass(frozen=True)
class ItemMap:
    """The positions of items in two dimensions.

    Attributes
    ----------
    item_ids : Ids
        The items, ascending.
    places : ndarray of float64, shape (n_items, 2)
        The position of each; only relative distances have a meaning.
    """

    item_ids: Ids
    places: Places

    @classmethod
    def of(cls, rec: Recommender, start: "ItemMap | None" = None, *, seed: int = 0) -> "ItemMap":
        """Lay out the items of a fitted recommender by the similarities behind its lists.

        Parameters
        ----------
        rec : Recommender
            A fitted recommender.
        start : ItemMap, optional
            An earlier map; its items stay near their positions, so that users find them again.
        seed : int, default 0
            The random seed of a first map.

        Raises
        ------
        InputError
            The recommender is not fitted, or openTSNE is not installed.
        """
        item_ids = rec.item_ids
        known = start.places_of(item_ids) if start is not None else None
        return cls(item_ids, lay_out(rec.models_.linear.item_weights_, known, seed=seed))

    def places_of(self, item_ids: Ids) -> Places:
        """Return the positions of some items.

        Parameters
        ----------
        item_ids : Ids
            Any items.

        Returns
        -------
        ndarray of float64, shape (len(item_ids), 2)
            NaN for items that are not on this map.
        """
        places = np.full((len(item_ids), 2), np.nan)
        if item_ids.type_name == self.item_ids.type_name:
            indices = self.item_ids.indices_of(item_ids.values)
            places[indices >= 0] = self.places[indices[indices >= 0]]
        return places

    def save(self, path: str | Path) -> None:
        """Write the map as an Arrow table `item_id x y`; an existing file is replaced atomically.

        Parameters
        ----------
        path : str or Path
            The file.
        """
        x, y = self.places.T.astype(np.float32)
        with atomic_write(Path(path)) as temporary:
            pl.DataFrame({"item_id": self.item_ids.values, "x": x, "y": y}).write_ipc(temporary)

    @classmethod
    def load(cls, path: str | Path) -> "ItemMap":
        """Read a map.

        Parameters
        ----------
        path : str or Path
            A file written by `save`.

        Raises
        ------
        InputError
            The file is missing or damaged.
        """
        try:
            table = pl.read_ipc(path)
            ids, places = table["item_id"], table.select("x", "y").to_numpy().astype(np.float64)
            valid_ids = ids.dtype in (pl.Int64, pl.String) and ids.is_sorted() and ids.n_unique() == len(ids)
            if not valid_ids or ids.null_count() or not np.isfinite(places).all():
                raise ValueError("unexpected content")
        except library_errors() as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{path} is not a map, or is damaged ({reason}). Draw it again.") from None
        return cls(Ids(ids, "item"), places)
