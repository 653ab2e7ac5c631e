"""One refit: read the store, fit, validate, switch to the new version, then update the map."""

import logging
import time
from contextlib import suppress

import numpy as np

from reelated.errors import InputError, library_errors, plural
from reelated.map import ItemMap
from reelated.ratings import Dataset
from reelated.ratings.matrix import filtered_csr
from reelated.recommender import Recommender
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.fitting import fit_model, unfitted_models
from reelated.refit.versions import RefitResult, Version, Versions
from reelated.store import Store, StoreUnavailable

log = logging.getLogger("reelated.refit")
MAX_HOLDOUT = 20_000  # maximum size of the hold-out set, which is a twentieth of all ratings
MIN_SHARE = 0.5  # a model with less than this share of the items or ratings of the previous model is rejected


class ModelRejected(ValueError):
    """A fitted model that failed validation and must not be served."""


def refit(
    store: Store,
    versions: Versions,
    recommender: Recommender | None = None,
    *,
    instead_of: int | None = None,
    with_visitors: bool | None = False,
) -> RefitResult | None:
    """Fit a model to the store, and serve it if it passes validation.

    Return None if another process is refitting, or if the served version is not `instead_of`. `with_visitors=None`
    includes the ratings of visitors if the served version was fitted to them.
    """
    with versions.lock() as is_locked:
        served = versions.current()
        if not is_locked or (instead_of is not None and served is not None and served.number != instead_of):
            return None
        if with_visitors is None:
            with_visitors = served is not None and served.with_visitors
        try:
            version = _refit(store, versions, recommender or Recommender(), with_visitors)
        except ModelRejected as error:
            return versions.record("refused", str(error))
        except (InputError, StoreUnavailable, MemoryError) as error:
            return versions.record("failed", str(error) or type(error).__name__)
        except OSError as error:
            return versions.record("failed", f"The model cannot be written ({error}). Is there room on the disk?")
        size = f"{plural(version.ratings, 'rating')} of {plural(version.items, 'item')}"
        result = versions.record("switched", f"Version {version.number}: {size}.")
        draw_map(versions, version)
        return result


def _refit(store: Store, versions: Versions, recommender: Recommender, with_visitors: bool) -> Version:
    start = time.perf_counter()
    last_user_key = store.last_user_key()  # read first, so that users added meanwhile count as new
    data, info = store.dataset(with_visitors=with_visitors)
    accuracy = holdout_accuracy(recommender, data)
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
        changes=info.changes,
        forgotten=info.forgotten,
        accuracy=accuracy,
        with_visitors=with_visitors,
        last_user_key=last_user_key,
    )
    check_model(fitted, version, versions.first_good(info.forgotten))
    return versions.add(fitted, version)


def draw_map(versions: Versions, version: Version) -> None:
    """Lay out the items of a served version, starting from their previous positions; a failure is only logged."""
    start = None
    with suppress(InputError):  # there is no map yet
        start = ItemMap.load(versions.map_file)
    try:
        ItemMap.of(versions.load(version), start).save(versions.map_file)
    except InputError as error:  # no warning, because openTSNE is optional
        log.info("no new map of the items: %s", error)
    except library_errors() as error:
        log.warning("no new map of the items: %s", str(error) or type(error).__name__)


def check_model(fitted: Recommender, version: Version, previous: Version | None) -> None:
    """Raise `ModelRejected` if values are not finite, or if the model has far less data than the previous one."""
    for model in fitted.models_.present:
        if not all(np.isfinite(array).all() for array in model.learned_numbers()):
            raise ModelRejected("The new model is not finite and is not served. The previous one stays.")
    # after an erasure the previous model must be replaced, however small the new one is
    if previous is None or version.forgotten > previous.forgotten:
        return
    for name in ("items", "ratings"):
        new, old = getattr(version, name), getattr(previous, name)
        if new < MIN_SHARE * old:
            raise ModelRejected(f"The new model knows {new:,} {name}, the previous one {old:,}. It is not served.")


def holdout_accuracy(recommender: Recommender, data: Dataset) -> dict[str, float] | None:
    """Return RMSE and MAE on held-out ratings; None if there are too few, or no rater."""
    matrix = data.ratings.matrix
    n_holdout = min(matrix.nnz // 20, MAX_HOLDOUT)
    rater = unfitted_models(recommender, data)[0].rater if n_holdout else None
    if rater is None:
        return None
    holdout = np.sort(np.random.default_rng(0).permutation(matrix.nnz)[:n_holdout])
    is_train = np.ones(matrix.nnz, np.bool_)
    is_train[holdout] = False
    X = filtered_csr(matrix, is_train)
    items = Catalogue(data.items, data.ratings.item_ids, np.bincount(X.indices, minlength=X.shape[1]))
    fit_model(rater, X, data.ratings.scale[:2], items)
    users = np.searchsorted(matrix.indptr, holdout, side="right") - 1
    error = rater.predict_pairs(X, users, matrix.indices[holdout]) - matrix.data[holdout]
    error = error[np.isfinite(error)]
    if not len(error):
        return None
    return {"rmse": float(np.sqrt(np.mean(error**2))), "mae": float(np.mean(np.abs(error))), "n": len(error)}
