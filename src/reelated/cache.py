"""The cache folder, and the names of data sets that are found without a path."""

import os
from pathlib import Path
from typing import Any

import platformdirs

from reelated.errors import InputError

ARCHIVES = ("ml-100k", "ml-1m", "ml-10m", "ml-20m", "ml-25m", "ml-32m", "ml-latest-small")
SAMPLE = "sample"


def is_sample(source: Any) -> bool:
    """Return whether `source` is the name of the bundled sample, and no path has this name."""
    return isinstance(source, str) and source == SAMPLE and not Path(SAMPLE).exists()


def archive_path(name: str) -> Path:
    """Return the path where `fetch` stores the archive of an edition; the file may not exist."""
    return _cache_path() / "datasets" / f"{name}.zip"


def cache_folder() -> Path:
    """Return the cache folder for data sets and fitted models; create it if it is missing.

    It is the user's cache folder, or the one that the environment variable `REELATED_CACHE` names. A new folder is
    readable by the user only.

    Raises
    ------
    InputError
        The folder cannot be created.
    """
    folder = _cache_path()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The cache folder {str(folder)!r} cannot be made ({error.strerror}). "
            "Name another with the environment variable REELATED_CACHE."
        ) from None
    return folder


def _cache_path() -> Path:
    return Path(os.environ.get("REELATED_CACHE") or platformdirs.user_cache_dir("reelated", appauthor=False))
