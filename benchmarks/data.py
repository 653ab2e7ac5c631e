"""The matrices that contenders are given: real MovieLens where it is at hand, and the shapes of `shapes.py`.

Each is kept as plain arrays in `.data/NAME`, so that every contender reads the same in no time.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

import shapes

HERE = Path(__file__).parent
FOLDER = HERE / ".data"
REAL = {"ml-100k": "ml-100k.zip", "ml-1m": "ml-1m"}
"""Editions that are read from the folder of real data."""


class Missing(Exception):
    """The data are not at hand."""


def real_folder() -> Path:
    """Return where real ratings are looked for."""
    return Path(os.environ.get("REELATED_TEST_DATA") or HERE.parents[1] / "shared" / "data")


def matrix(name: str) -> Path:
    """Return the folder of a matrix, made if need be; raise `Missing` where it cannot be."""
    folder = FOLDER / name
    if name not in REAL and name not in shapes.SHAPES:
        raise Missing(f"{name}: expected one of {', '.join([*REAL, *shapes.SHAPES])}")
    recipe = repr(shapes.SHAPES.get(name))
    if (folder / "about.json").is_file() and about(folder).get("recipe") == recipe:
        return folder
    print(f"making {name} …", flush=True)
    X, told = _real(name) if name in REAL else _shaped(name)
    folder.mkdir(parents=True, exist_ok=True)
    for part, dtype in (
        ("indptr", np.int64 if X.nnz >= 2**31 else np.int32),
        ("indices", np.int32),
        ("data", np.float32),
    ):
        np.save(folder / f"{part}.npy", getattr(X, part).astype(dtype))
    told |= {"recipe": recipe, "shape": X.shape, "ratings": int(X.nnz)}
    (folder / "about.json").write_text(json.dumps(told))
    return folder


def about(folder: Path) -> dict[str, Any]:
    """Return what is known of a matrix."""
    return json.loads((folder / "about.json").read_text())


def _real(name: str) -> tuple[Any, dict[str, Any]]:
    import reelated

    source = real_folder() / REAL[name]
    if not source.exists():
        raise Missing(f"{name}: needs {source.name} in ../shared/data or where REELATED_TEST_DATA points")
    X = reelated.read(source).ratings.matrix
    pairs = (np.diff(X.indptr).astype(np.float64) ** 2).sum()
    return X, {"told": f"{X.nnz:,} ratings, real MovieLens; Σ n_u² = {pairs:.2e}"}


def _shaped(name: str) -> tuple[Any, dict[str, Any]]:
    X = shapes.make(shapes.SHAPES[name])
    return X, {"told": shapes.describe(X, shapes.SHAPES[name])}


def parquet(name: str) -> Path:
    """Return a matrix as a table in Parquet, user_id item_id rating, made if need be."""
    import polars as pl

    from worker import load

    folder = matrix(name)
    file = folder / "ratings.parquet"
    if not file.is_file() or file.stat().st_mtime < (folder / "about.json").stat().st_mtime:
        X = load(str(folder))
        users = np.repeat(np.arange(1, X.shape[0] + 1, dtype=np.int32), np.diff(X.indptr))
        pl.DataFrame({"user_id": users, "item_id": X.indices + 1, "rating": X.data}).write_parquet(file)
    return file
