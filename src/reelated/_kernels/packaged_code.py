"""Machine code in a wheel: the first call of a kernel loads it instead of compiling.

A wheel carries one archive for each of several instruction sets, built by `tools/machine_code.py`. Numba's own cache
would not find it, since its key is the name of the processor; here any processor that has the instructions matches.
Whatever does not fit exactly (another numba, Python, platform or kernel source, a damaged archive) counts as absent.
"""

import hashlib
import json
import pickle
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numba

FOLDER = Path(__file__).with_name("machine_code")


def load(function: str, key: Any) -> Any:
    """Return the packaged code of a function for numba's cache key; None if there is none that fits."""
    triple, _, features = key[1]
    with suppress(Exception):
        if archive := best_archive(FOLDER, triple, features):
            with ZipFile(archive) as file:  # opened anew, for processes that fork; its CRC-32 detects damage
                return pickle.loads(file.read(member(function, key)))  # noqa: S301  # part of this package
    return None


def member(function: str, key: Any) -> str:
    """Return the name in an archive: of a function, its signature and its bytecode."""
    return hashlib.sha256(repr((function, key[0], key[2])).encode()).hexdigest()


@cache
def best_archive(folder: Path, triple: str, features: str) -> Path | None:
    """Return the archive for the most instructions that this processor has."""
    supported = {name[1:] for name in features.split(",") if name.startswith("+")}
    usable = {}
    for path in sorted(folder.glob("*.zip")):
        with suppress(Exception), ZipFile(path) as file:
            needed, made_by = json.loads(file.comment)
            if supported.issuperset(needed) and made_by == [triple, *toolchain()]:
                usable[path] = len(needed)
    return max(usable, key=usable.__getitem__, default=None)


@cache
def toolchain() -> tuple[str, ...]:
    """Return what code depends on besides the processor: the versions of Python and numba, and the kernels' source."""
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return f"{sys.version_info[0]}.{sys.version_info[1]}", numba.__version__, hashlib.sha256(sources).hexdigest()
