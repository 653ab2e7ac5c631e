"""A model on disk: one folder of plain arrays, tables and JSON, memory-mapped, with the ids and without pickles."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from reelated._version import __version__
from reelated.errors import InputError, check_choice, check_flag, check_memory, check_noun, check_number, library_errors
from reelated.models import MODELS, LinearItemModel
from reelated.models.arrays import ArraySpec
from reelated.models.biases import check_bounds
from reelated.ratings import Feedback, Ids, Ratings, Scale
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.engine import Models
from reelated.recommender.fitting import check_models, set_fitted
from reelated.recommender.model_folder import CHECKSUMS, MANIFEST, ModelFolder, naming, reason_of, write_checksums
from reelated.recommender.state import State
from reelated.recommender.weights import model_scale

FORMAT = 7
SETTINGS = ("by", "fill_with_popular", "recency_half_life", "recency_floor")
"""Parameters of the recommender that the manifest holds."""
ITEM_SCHEMA = {"item_id": pl.Int64, "title": pl.String, "year": pl.Int32, "genres": pl.List(pl.String)}
"""Columns that every table of items has; item ids may be text."""


def save(recommender: State, path: Path, *, ratings: bool) -> Path:
    """Write the folder beside the target and rename it, so that no incomplete model is ever visible."""
    path = path.absolute()
    beside = folder_beside(path)
    try:
        _write(recommender, beside, ratings)
        _swap(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return path


def folder_beside(path: Path) -> Path:
    """Make a new folder beside the target folder of a model, or raise with the reason."""
    if path.exists() and not (path / MANIFEST).is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{path} exists and is not a saved model: choose another folder.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): choose another folder.") from None


def _swap(beside: Path, path: Path) -> None:
    """Replace a folder by a finished one; restore the old one if that fails."""
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


def _write(recommender: State, folder: Path, with_ratings: bool) -> None:
    kept = recommender.ratings_ if with_ratings else None
    catalogue = recommender.catalogue_
    models = {
        name: _write_model(folder, name, model)
        for name, model in recommender.models_._asdict().items()
        if model is not None
    }
    catalogue.items.write_ipc(folder / "items.arrow")
    pl.DataFrame({"item_id": catalogue.item_ids.values}).write_ipc(folder / "item_ids.arrow")
    _write_array(folder, "counts", catalogue.counts.astype(np.int64))
    if kept is not None:
        pl.DataFrame({"user_id": kept.user_ids.values}).write_ipc(folder / "user_ids.arrow")
        _write_csr(folder, "ratings", kept.matrix)
        for name in ("timestamps", "order"):
            if (values := getattr(kept, name)) is not None:
                _write_array(folder, f"ratings.{name}", values)
    manifest = {
        "format": FORMAT,
        "reelated": __version__,
        "name": recommender.name_,
        "noun": recommender.noun_,
        "verb": recommender.verb_,
        "notes": recommender.notes_,
        "scale": recommender.scale_,
        "feedback": recommender.feedback_,
        **{name: getattr(recommender, name) for name in SETTINGS},
        "models": models,
        "ratings": kept is not None,
        "files": sorted(file.name for file in folder.iterdir()),
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False, default=np.generic.item)  # JSON has no NumPy numbers
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    write_checksums(folder)
    folder.chmod(0o755 & ~_umask())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write_model(folder: Path, name: str, model: Any) -> dict[str, Any]:
    """Write the learned arrays of a model; return its entry for the manifest."""
    if isinstance(model, LinearItemModel):
        _write_csr(folder, f"{name}.item_weights_", model.item_weights_)
        _write_array(folder, f"{name}.n_common_", model.n_common_.data)  # with the same sparsity
    for array in model.arrays:
        _write_array(folder, f"{name}.{array}", getattr(model, array))
    kind = next(kind for kind, cls in MODELS.items() if type(model) is cls)
    return {"kind": kind, "params": model.get_params(), "scale": model.scale_}


def _write_csr(folder: Path, name: str, matrix: sp.csr_array) -> None:
    for part in ("indptr", "indices", "data"):
        _write_array(folder, f"{name}.{part}", getattr(matrix, part))


def _write_array(folder: Path, name: str, array: npt.NDArray[Any]) -> None:
    np.save(folder / f"{name}.npy", np.ascontiguousarray(array))


def load(path: Path, make: Callable[..., Any]) -> Any:
    """Open a saved model as the recommender that `make` returns; check every checksum and value."""
    if not (path / MANIFEST).is_file():
        what = f"is not a saved model: it has no {MANIFEST}" if path.exists() else "does not exist"
        raise InputError(f"{path} {what}. Expected a folder that Recommender.save wrote.")
    folder = ModelFolder(path)
    try:
        if has_checksums := (path / CHECKSUMS).exists():
            folder.verify()
        manifest = folder.manifest()
        if (saved_format := manifest["format"]) == FORMAT:
            if not has_checksums:
                raise ValueError(f"{CHECKSUMS}: the file is missing")
            return _assemble(folder, manifest, make)
    except library_errors() as error:
        raise InputError(f"{path} is a damaged model ({reason_of(error)}). Fit and save it again.") from error
    raise InputError(f"{path} is of model format {saved_format}: this Reelated reads {FORMAT}. Fit and save it again.")


def _assemble(folder: ModelFolder, manifest: dict[str, Any], make: Callable[..., Any]) -> Any:
    with naming(MANIFEST):
        if sorted([*manifest["files"], MANIFEST]) != sorted(folder.files):
            raise ValueError(f"{CHECKSUMS} lists other files")
        scale, with_ratings = _read_scale(manifest["scale"]), check_flag("ratings", manifest["ratings"])
        feedback = check_choice("feedback", manifest["feedback"], ("explicit", "implicit"))
        scales = scale[:2], model_scale(scale, feedback)
        unfitted = {name: _read_entry(entry, scales) for name, entry in manifest["models"].items()}
        pair = Models(**({"ranker": None, "rater": None} | unfitted))
        made = make(*pair, **{name: manifest[name] for name in SETTINGS})
        check_models(made, *pair)
        made.feedback_ = feedback
        made.noun_, made.verb_ = check_noun(manifest["noun"]), str(manifest["verb"])
        made.name_, made.notes_ = str(manifest["name"]), tuple(map(str, manifest["notes"]))
    item_ids = _read_ids(folder, "item")
    catalogue = _read_catalogue(folder, item_ids)
    for name, model in unfitted.items():
        _read_model(folder, name, model, catalogue.counts > 0)
    ratings = _read_ratings(folder, item_ids, scale, feedback) if with_ratings else None
    return set_fitted(made, pair, catalogue, scale, ratings)


def _read_scale(values: list[Any]) -> Scale:
    low, high, step = values
    if not check_number("scale step", step) > 0:
        raise ValueError("expected a scale with a step above 0")
    return Scale(*check_bounds((low, high)), float(step))


def _read_entry(entry: dict[str, Any], scales: tuple[tuple[float, ...], ...]) -> Any:
    """Return the model that an entry of the manifest describes, with checked parameters and without arrays."""
    model = MODELS[entry["kind"]](**entry["params"])
    model.plan(sp.csr_array((1, 1), dtype=np.float32))  # checks the parameters
    check_memory("max_memory", model.max_memory)
    model.scale_ = check_bounds(entry["scale"])
    if model.scale_ not in scales:
        raise ValueError("a model has another scale than the ratings")
    return model


def _read_ids(folder: ModelFolder, kind: str) -> Ids:
    """Read ids in ascending order, as a binary search needs them."""
    name = f"{kind}_ids.arrow"
    table = folder.table(name)
    with naming(name):
        return Ids(_checked_ids(table.to_series()), kind)


def _checked_ids(values: pl.Series) -> pl.Series:
    """Return ids if they are distinct and ascending; the flags of an Arrow file are not trusted."""
    is_ascending = len(values) and not values.null_count() and bool((values[1:] > values[:-1]).all())
    if values.dtype not in (pl.Int64, pl.String) or not is_ascending:
        raise ValueError("expected distinct integers or texts in ascending order")
    return values


def _read_catalogue(folder: ModelFolder, item_ids: Ids) -> Catalogue:
    counts = folder.array("counts", ArraySpec("int64", ("n_items",), "not negative"), {"n_items": len(item_ids)})
    items = folder.table("items.arrow")
    with naming("items.arrow"):
        if items.select(*ITEM_SCHEMA).schema != ITEM_SCHEMA | {"item_id": item_ids.values.dtype}:
            raise ValueError("expected the columns item_id, title, year and genres")
        has_nulls = items["title"].null_count() or items["genres"].null_count()
        if has_nulls or (items["genres"].list.drop_nulls().list.len() < items["genres"].list.len()).any():
            raise ValueError("expected a title and genres for each item")
        catalogue = Catalogue(items.with_columns(_checked_ids(items["item_id"])), item_ids, counts)
        if len(catalogue.titles) != len(item_ids):
            raise ValueError("an item of the model is missing")
    return catalogue


def _read_model(folder: ModelFolder, name: str, model: Any, rated: npt.NDArray[np.bool_]) -> None:
    """Add the learned arrays to a model."""
    n_items = model.n_features_in_ = len(rated)
    sizes = {"n_items": n_items}
    for array, spec in model.arrays.items():
        setattr(model, array, folder.array(f"{name}.{array}", spec, sizes, rated))
    if isinstance(model, LinearItemModel):
        shape, dtype = (n_items, n_items), getattr(model, "dtype", "float32")
        weights = model.item_weights_ = folder.csr(f"{name}.item_weights_", dtype, shape, diagonal=False)
        spec = ArraySpec("int32", ("nnz",), "not negative", optional="nnz")
        common = folder.array(f"{name}.n_common_", spec, {"nnz": weights.nnz})
        model.n_common_ = sp.csr_array((common, weights.indices, weights.indptr), shape=shape)
    model.prepare()


def _read_ratings(folder: ModelFolder, item_ids: Ids, scale: Scale, feedback: Feedback) -> Ratings:
    user_ids = _read_ids(folder, "user")
    matrix = folder.csr("ratings", "float32", (len(user_ids), len(item_ids)))
    low, high = np.float32(scale.low), np.float32(scale.high)
    if feedback == "explicit" and matrix.nnz and not low <= matrix.data.min() <= matrix.data.max() <= high:
        raise ValueError("ratings.data.npy: expected ratings on the scale")
    spec = ArraySpec("int64", ("nnz",), optional="nnz")
    times: dict[str, Any] = {
        name: folder.array(f"ratings.{name}", spec, {"nnz": matrix.nnz})
        for name in ("timestamps", "order")
        if f"ratings.{name}.npy" in folder.files
    }
    return Ratings(user_ids, item_ids, matrix, scale, **times, declared=feedback)
