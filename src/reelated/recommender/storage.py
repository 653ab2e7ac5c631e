"""A model on disk: one folder of plain arrays, tables and JSON; no pickle, ids inside, memory-mapped."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from reelated._version import __version__
from reelated.errors import InputError, check_choice, check_flag, check_noun, check_number
from reelated.models import MODELS, DrawnModel, LinearItemModel
from reelated.models.biases import check_bounds
from reelated.ratings import Ids, Ratings, Scale
from reelated.recommender.answering import NAMES, FittedRecommender
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.engine import Models
from reelated.recommender.recency import check_recency

FORMAT = 4
MANIFEST = "model.json"


def save(recommender: FittedRecommender, path: Path, *, ratings: bool) -> Path:
    """Write everything beside the target, then put it in place: there is never half a model."""
    path = path.absolute()
    beside = folder_beside(path)
    try:
        _write(recommender, beside, ratings)
        _swap(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return path


def folder_beside(path: Path) -> Path:
    """Make a new folder beside the one that a model will be saved in, or say why it cannot be."""
    if path.exists() and not (path / MANIFEST).is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{path} exists and is not a saved model: choose another folder.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): choose another folder.") from None


def _swap(beside: Path, path: Path) -> None:
    """Put a finished folder in the place of another, which comes back if that fails."""
    old = beside.with_name(beside.name + "-old")
    if path.exists():
        os.replace(path, old)
    try:
        os.replace(beside, path)
    except BaseException:
        if old.exists():
            os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write(recommender: FittedRecommender, folder: Path, with_ratings: bool) -> None:
    kept = recommender.ratings_ if with_ratings else None
    catalogue = recommender.catalogue_
    models = {
        name: _write_model(folder, name, model)
        for name, model in recommender.models_._asdict().items()
        if model is not None
    }
    catalogue.items.write_ipc(folder / "items.arrow")
    pl.DataFrame({"item_id": catalogue.item_ids.values}).write_ipc(folder / "item_ids.arrow")
    np.save(folder / "counts.npy", catalogue.counts)
    if kept is not None:
        pl.DataFrame({"user_id": kept.user_ids.values}).write_ipc(folder / "user_ids.arrow")
        _write_csr(folder, "ratings", kept.matrix)
        for name in ("timestamps", "order"):
            if (values := getattr(kept, name)) is not None:
                np.save(folder / f"ratings.{name}.npy", values)
    manifest = {
        "format": FORMAT,
        "reelated": __version__,
        "name": recommender.name_,
        "noun": recommender.noun_,
        "notes": recommender.notes_,
        "scale": recommender.scale_,
        "feedback": recommender.feedback_,
        "by": recommender.by,
        "fill_with_popular": recommender.fill_with_popular,
        "recency_half_life": recommender.recency_half_life,
        "recency_floor": recommender.recency_floor,
        "models": models,
        "ratings": kept is not None,
        "files": {file.name: file.stat().st_size for file in sorted(folder.iterdir())},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
    folder.chmod(0o755 & ~_umask())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write_model(folder: Path, name: str, model: Any) -> dict[str, Any]:
    """Write what a model has learned; return what belongs into the manifest."""
    if isinstance(model, LinearItemModel):
        _write_csr(folder, f"{name}.item_weights_", model.item_weights_)
        np.save(folder / f"{name}.n_common_.npy", model.n_common_.data)  # in the same places
    for array in model.arrays:
        np.save(folder / f"{name}.{array}.npy", getattr(model, array))
    kind = next(kind for kind, cls in MODELS.items() if type(model) is cls)
    return {"kind": kind, "params": _plain(model.get_params()), "scale": _plain(model.scale_)}


def _write_csr(folder: Path, name: str, matrix: sp.csr_array) -> None:
    for part in ("indptr", "indices", "data"):
        np.save(folder / f"{name}.{part}.npy", getattr(matrix, part))


def _plain(value: Any) -> Any:
    """Turn NumPy's numbers into JSON's."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value.item() if isinstance(value, np.generic) else value


def load(path: Path, make: Callable[..., Any]) -> Any:
    """Open a saved model as the recommender that `make` returns; check every file."""
    manifest = _read_manifest(path)
    try:
        return _assemble(path, manifest, make)
    except InputError:
        raise
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error
    except pl.exceptions.PolarsError as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, why: str) -> InputError:
    """Return the error of a model that cannot be used."""
    return InputError(f"{path} is a damaged model ({why}). Fit and save it again.")


def _read_manifest(path: Path) -> dict[str, Any]:
    if not (path / MANIFEST).is_file():
        what = "is not a saved model: it has no model.json" if path.exists() else "does not exist"
        raise InputError(f"{path} {what}. Expected a folder that Recommender.save wrote.")
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        found, files = manifest["format"], manifest["files"]
    except (ValueError, KeyError, TypeError, OSError):
        raise InputError(f"{path / MANIFEST} cannot be read as a model's manifest. Fit and save it again.") from None
    if found != FORMAT:
        raise InputError(f"{path} is of model format {found}: this Reelated reads {FORMAT}. Fit and save it again.")
    for name, size in files.items() if isinstance(files, dict) else [("the list of files", -1)]:
        if not (path / name).is_file() or (path / name).stat().st_size != size:
            raise damaged(path, f"{name} is missing or not whole")
    return manifest


def _assemble(path: Path, manifest: dict[str, Any], make: Callable[..., Any]) -> Any:
    item_ids = _read_ids(path, "item")
    n_items = len(item_ids)
    catalogue = Catalogue(pl.read_ipc(path / "items.arrow"), item_ids, _array(path / "counts.npy", "i", n_items))
    if len(catalogue.titles) != n_items:
        raise damaged(path, "items.arrow does not hold every item once")
    scale = Scale(*(check_number("scale", value) for value in manifest["scale"]))
    models = {name: _read_model(path, name, entry, n_items) for name, entry in manifest["models"].items()}
    pair = Models(models.get("ranker"), models.get("rater"))
    if pair == (None, None):
        raise damaged(path, "it holds no model")
    ratings = _read_ratings(path, item_ids, scale) if manifest["ratings"] else None
    recency_half_life, recency_floor = check_recency(manifest["recency_half_life"], manifest["recency_floor"])
    made = make(
        pair.ranker,
        pair.rater,
        by=check_choice("by", manifest["by"], NAMES),
        fill_with_popular=check_flag("fill_with_popular", manifest["fill_with_popular"]),
        recency_half_life=recency_half_life,
        recency_floor=recency_floor,
    )
    made.feedback_ = check_choice("feedback", manifest.get("feedback", "explicit"), ("explicit", "implicit"))
    made.noun_ = check_noun(manifest["noun"])
    made.name_, made.notes_ = str(manifest["name"]), tuple(map(str, manifest["notes"]))
    return made.set_fitted(pair, catalogue, scale, ratings)


def _read_ids(path: Path, kind: str) -> Ids:
    """Read ids; they must ascend, for they are looked up by halving."""
    values = pl.read_ipc(path / f"{kind}_ids.arrow").to_series()
    ascend = values.is_sorted() and values.n_unique() == len(values) and not values.null_count()
    if values.dtype not in (pl.Int64, pl.String) or not ascend:
        raise damaged(path, f"the {kind} ids are not distinct integers or texts in ascending order")
    return Ids(values, kind)


def _mapped(path: Path, kinds: str) -> np.ndarray:
    """Map an array from disk; copy-on-write, so that the kernels need no second version for read-only arrays."""
    array = np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))
    if array.dtype.kind not in kinds:
        raise damaged(path.parent, f"{path.name} holds something else than expected")
    return array


def _array(path: Path, kinds: str, length: int | None = None) -> np.ndarray:
    """Map an array of one dimension."""
    array = _mapped(path, kinds)
    if array.ndim != 1 or (length is not None and len(array) != length):
        raise damaged(path.parent, f"{path.name} holds something else than expected")
    return array


def _read_csr(path: Path, name: str, shape: tuple[int, int]) -> sp.csr_array:
    """Map a sparse matrix; refuse numbers out of range, which the kernels would follow out of bounds."""
    kinds = {"indptr": "i", "indices": "i", "data": "if"}
    indptr, indices, data = (_array(path / f"{name}.{part}.npy", kind) for part, kind in kinds.items())
    whole = len(indptr) == shape[0] + 1 and indptr[0] == 0 and indptr[-1] == len(indices) == len(data)
    if (
        not whole
        or (np.diff(indptr) < 0).any()
        or (len(indices) and not 0 <= indices.min() <= indices.max() < shape[1])
        or not np.isfinite(data).all()
    ):
        raise damaged(path, f"{name} does not fit the rest")
    matrix = sp.csr_array((data, indices, indptr), shape=shape)
    matrix.has_canonical_format = True
    return matrix


def _read_model(path: Path, name: str, entry: dict[str, Any], n_items: int) -> Any:
    model = MODELS[entry["kind"]](**entry["params"])
    model.plan(sp.csr_array((1, n_items), dtype=np.float32))  # checks the parameters
    model.n_features_in_, model.scale_ = n_items, check_bounds(entry["scale"])
    if isinstance(model, DrawnModel):
        for array in model.arrays:
            setattr(model, array, _mapped(path / f"{name}.{array}.npy", "f"))
        model.prepare()
        return model
    for array in model.arrays:
        setattr(model, array, _array(path / f"{name}.{array}.npy", "f", n_items))
    model.item_weights_ = _read_csr(path, f"{name}.item_weights_", (n_items, n_items))
    pattern = model.item_weights_.indptr, model.item_weights_.indices
    common = _array(path / f"{name}.n_common_.npy", "i", len(pattern[1]))
    model.n_common_ = sp.csr_array((common, pattern[1], pattern[0]), shape=(n_items, n_items))
    model.prepare()
    return model


def _read_ratings(path: Path, item_ids: Ids, scale: Scale) -> Ratings:
    user_ids = _read_ids(path, "user")
    matrix = _read_csr(path, "ratings", (len(user_ids), len(item_ids)))
    beside: dict[str, Any] = {}
    for name in ("timestamps", "order"):
        if (path / f"ratings.{name}.npy").exists():
            beside[name] = _array(path / f"ratings.{name}.npy", "i", matrix.nnz)
    return Ratings(user_ids, item_ids, matrix, scale, **beside)
