"""A model on disk: one folder of plain arrays, tables and JSON; no pickle, ids inside, memory-mapped."""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

import reelated
from reelated.errors import InputError
from reelated.models import MODELS
from reelated.ratings import Ids, Ratings, Scale
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.lists import Pair
from reelated.recommender.recommender import Recommender

FORMAT = 1
MANIFEST = "model.json"


def save(recommender: Recommender, path: Path, *, ratings: bool) -> Path:
    """Write everything beside the target, then put it in place: there is never half a model."""
    if path.exists() and not (path / MANIFEST).is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{path} exists and is not a saved model: choose another folder.")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        _write(recommender, beside, ratings)
        _swap(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return path


def _swap(beside: Path, path: Path) -> None:
    """Put a finished folder in the place of another."""
    old = beside.with_name(beside.name + "-old")
    if path.exists():
        os.replace(path, old)
    os.replace(beside, path)
    shutil.rmtree(old, ignore_errors=True)


def _write(recommender: Recommender, folder: Path, with_ratings: bool) -> None:
    kept = recommender.ratings_ if with_ratings else None
    catalogue = recommender.catalogue_
    models = {
        name: _write_model(folder, name, model)
        for name, model in recommender.models_._asdict().items()
        if model is not None
    }
    catalogue.movies.write_ipc(folder / "movies.arrow")
    pl.DataFrame({"movie_id": catalogue.movie_ids.values}).write_ipc(folder / "movie_ids.arrow")
    np.save(folder / "counts.npy", catalogue.counts)
    if kept is not None:
        pl.DataFrame({"user_id": kept.user_ids.values}).write_ipc(folder / "user_ids.arrow")
        _write_csr(folder, "ratings", kept.matrix)
        for name in ("timestamps", "order"):
            if (values := getattr(kept, name)) is not None:
                np.save(folder / f"ratings.{name}.npy", values)
    manifest = {
        "format": FORMAT,
        "reelated": reelated.__version__,
        "name": recommender.name_,
        "notes": recommender.notes_,
        "scale": recommender.scale_,
        "by": recommender.by,
        "fill": recommender.fill,
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
    """Write the learned attributes of a model, those that end in `_`; return what belongs into the manifest."""
    kind = next(kind for kind, cls in MODELS.items() if type(model) is cls)
    entry: dict[str, Any] = {
        "kind": kind,
        "params": _plain(model.get_params()),
        "values": {},
        "arrays": [],
        "tables": [],
    }
    for attribute, value in vars(model).items():
        if not attribute.endswith("_") or attribute.startswith("_"):
            continue
        if isinstance(value, np.ndarray):
            np.save(folder / f"{name}.{attribute}.npy", value)
            entry["arrays"].append(attribute)
        elif isinstance(value, sp.csr_array):
            _write_csr(folder, f"{name}.{attribute}", value)
            entry["tables"].append(attribute)
        else:
            entry["values"][attribute] = _plain(value)
    return entry


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


def load(path: Path) -> Recommender:
    """Open a saved model, checking that every file is there, whole, and fits the others."""
    manifest = _read_manifest(path)
    try:
        return _assemble(path, manifest)
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, OSError, AttributeError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path} is a damaged model ({error}). Fit and save it again.") from error


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
    for name, size in files.items():
        if not (path / name).is_file() or (path / name).stat().st_size != size:
            raise InputError(f"{path} is a damaged model: {name} is missing or not whole. Fit and save it again.")
    return manifest  # type: ignore[no-any-return]


def _assemble(path: Path, manifest: dict[str, Any]) -> Recommender:
    movie_ids = Ids(_column(path / "movie_ids.arrow"), "movie")
    catalogue = Catalogue(pl.read_ipc(path / "movies.arrow"), movie_ids, _array(path / "counts.npy"))
    scale, n_items = Scale(*manifest["scale"]), len(movie_ids)
    models = {name: _read_model(path, name, entry, n_items) for name, entry in manifest["models"].items()}
    pair = Pair(models.get("ranker"), models["rater"])
    ratings = _read_ratings(path, movie_ids, scale) if manifest["ratings"] else None
    made = Recommender(pair.ranker, pair.rater, by=manifest["by"], fill=manifest["fill"])
    made.name_, made.notes_ = manifest["name"], tuple(manifest["notes"])
    return made._learned(pair, catalogue, scale, ratings)


def _column(path: Path) -> pl.Series:
    return pl.read_ipc(path).to_series()


def _array(path: Path) -> np.ndarray:
    """Map an array from disk; copy-on-write, so that the kernels need no second version for read-only arrays."""
    return np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))


def _read_csr(path: Path, name: str, shape: tuple[int, int]) -> sp.csr_array:
    """Map a sparse matrix; refuse numbers out of range, which the kernels would follow out of bounds."""
    indptr, indices, data = (_array(path / f"{name}.{part}.npy") for part in ("indptr", "indices", "data"))
    whole = len(indptr) == shape[0] + 1 and indptr[0] == 0 and indptr[-1] == len(indices) == len(data)
    if (
        not whole
        or (np.diff(indptr) < 0).any()
        or (len(indices) and not 0 <= indices.min() <= indices.max() < shape[1])
    ):
        raise InputError(f"{path} is a damaged model: {name} does not fit the rest. Fit and save it again.")
    matrix = sp.csr_array((data, indices, indptr), shape=shape)
    matrix.has_canonical_format = True
    return matrix


def _read_model(path: Path, name: str, entry: dict[str, Any], n_items: int) -> Any:
    model = MODELS[entry["kind"]](**entry["params"])
    for attribute, value in entry["values"].items():
        setattr(model, attribute, tuple(value) if isinstance(value, list) else value)
    for attribute in entry["arrays"]:
        setattr(model, attribute, _array(path / f"{name}.{attribute}.npy"))
    for attribute in entry["tables"]:
        setattr(model, attribute, _read_csr(path, f"{name}.{attribute}", (n_items, n_items)))
    if model.n_features_in_ != n_items or len(model.offset_) != n_items:
        raise InputError(f"{path} is a damaged model: {name} is of another size. Fit and save it again.")
    model.prepare()
    return model


def _read_ratings(path: Path, movie_ids: Ids, scale: Scale) -> Ratings:
    user_ids = Ids(_column(path / "user_ids.arrow"), "user")
    matrix = _read_csr(path, "ratings", (len(user_ids), len(movie_ids)))
    beside = {}
    for name in ("timestamps", "order"):
        if (path / f"ratings.{name}.npy").exists():
            beside[name] = _array(path / f"ratings.{name}.npy")
    return Ratings(user_ids, movie_ids, matrix, scale, **beside)
