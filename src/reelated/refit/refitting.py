"""One refit: read the store, fit, validate, switch to the new version, then update the map."""

import logging
import time
from contextlib import suppress

import numpy as np
import scipy.sparse as sp

from reelated.errors import InputError, plural
from reelated.map import ItemMap
from reelated.ratings import Dataset
from reelated.recommender import Recommender
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.defaults import fit_model
from reelated.refit.versions import Attempt, Version, Versions
from reelated.store import Store, StoreUnavailable

log = logging.getLogger("reelated.refit")
HELD_BACK = 20_000  # maximum size of the hold-out set, which is a twentieth of all ratings
# a model with less than this share of the items or ratings of the one before is rejected
FEWER = 0.5


class Unsound(ValueError):
    """A fitted model that failed validation and must not be served."""


def refit(
    store: Store,
    versions: Versions,
    recommender: Recommender | None = None,
    *,
    instead_of: int | None = None,
    with_visitors: bool = False,
) -> Attempt | None:
    """Fit a model to the store, and serve it if it passes validation.

    Parameters
    ----------
    store : Store
        Source of the ratings.
    versions : Versions
        Folder of the models.
    recommender : Recommender, optional
        Recommender to fit; by default `Recommender()`.
    instead_of : int, optional
        Version to replace; if another one is served by then, nothing is done.
    with_visitors : bool, default False
        Whether to fit to the ratings of visitors, too.

    Returns
    -------
    Attempt or None
        Result of the refit; None if another process is refitting, or has replaced the version.
    """
    with versions.turn() as mine:
        served = versions.current()
        if not mine or (instead_of is not None and served is not None and served.number != instead_of):
            return None
        try:
            version = _refit(store, versions, recommender or Recommender(), with_visitors)
        except Unsound as error:
            return versions.tell("refused", str(error))
        except (InputError, StoreUnavailable, MemoryError) as error:
            return versions.tell("failed", str(error) or type(error).__name__)
        except OSError as error:
            return versions.tell("failed", f"The model cannot be written ({error}). Is there room on the disk?")
        told = f"Version {version.number}: {plural(version.ratings, 'rating')} of {plural(version.items, 'item')}."
        attempt = versions.tell("switched", told)
        draw_map(versions, version)
        return attempt


def _refit(store: Store, versions: Versions, recommender: Recommender, with_visitors: bool) -> Version:
    start = time.perf_counter()
    data, about = store.dataset(with_visitors=with_visitors)
    accuracy = accuracy_of(recommender, data)
    fitted = recommender.fit(data)
    ratings = data.ratings
    version = Version(
        number=0,
        made_at=int(time.time()),
        seconds=round(time.perf_counter() - start, 3),
        name=data.name,
        users=len(ratings.user_ids),
        items=len(ratings.item_ids),
        ratings=len(ratings),
        changes=about.changes,
        forgotten=about.forgotten,
        accuracy=accuracy,
    )
    check_sound(fitted, version, versions.current())
    return versions.add(fitted, version)


def draw_map(versions: Versions, version: Version) -> None:
    """Lay out the items of a served version, starting from their previous places; a failure is only logged."""
    start = None
    with suppress(InputError):  # there is no map yet
        start = ItemMap.load(versions.map_file)
    try:
        ItemMap.of(versions.load(version), start).save(versions.map_file)
    except InputError as error:  # openTSNE is optional, so this is no warning
        log.info("no new map of the items: %s", error)
    except (OSError, MemoryError) as error:
        log.warning("no new map of the items: %s", str(error) or type(error).__name__)


def check_sound(fitted: Recommender, version: Version, before: Version | None) -> None:
    """Raise `Unsound` for a model with values that are not finite, or with far less data than the one before.

    After an erasure of users the previous model must not stay, however small the new one is.
    """
    for model in fitted.models_.present:
        if not all(np.isfinite(numbers).all() for numbers in model.learned_numbers()):
            raise Unsound("The new model is not finite and is not served. The one before stays.")
    if before is None or version.forgotten > before.forgotten:
        return
    for what in ("items", "ratings"):
        now, then = getattr(version, what), getattr(before, what)
        if now < FEWER * then:
            raise Unsound(f"The new model knows {now:,} {what}, the one before {then:,}. It is not served.")


def accuracy_of(recommender: Recommender, data: Dataset) -> dict[str, float] | None:
    """Return RMSE and MAE on held-out ratings; None if there are too few, or no rater."""
    matrix = data.ratings.matrix
    held = np.sort(np.random.default_rng(0).permutation(matrix.nnz)[: min(matrix.nnz // 20, HELD_BACK)])
    if not len(held):
        return None
    rest = np.delete(np.arange(matrix.nnz), held)
    indptr = np.searchsorted(rest, matrix.indptr)
    X = sp.csr_array((matrix.data[rest], matrix.indices[rest], indptr.astype(matrix.indptr.dtype)), shape=matrix.shape)
    X.has_canonical_format = True  # deleting entries keeps the rows sorted: scipy need not check
    rater = recommender.unfitted_models(data)[0].rater
    if rater is None:
        return None
    items = Catalogue(data.items, data.ratings.item_ids, np.bincount(X.indices, minlength=X.shape[1]))
    fit_model(rater, X, data.ratings.scale[:2], items)
    users = np.searchsorted(matrix.indptr, held, side="right") - 1
    error = rater.predict_pairs(X, users, matrix.indices[held]) - matrix.data[held]
    error = error[np.isfinite(error)]
    if not len(error):
        return None
    return {"rmse": float(np.sqrt(np.mean(error**2))), "mae": float(np.mean(np.abs(error))), "n": len(error)}
