"""`ModelFolder`: the files of a saved model, their checksums, and readers that name a damaged file."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from reelated.errors import library_errors
from reelated.models.arrays import ArraySpec, check_array, check_csr
from reelated.ratings.matrix import canonical_csr

MANIFEST = "model.json"
CHECKSUMS = "SHA256SUMS"
"""One line per file, in the format of `sha256sum`, so that a folder can be verified without Reelated."""
MAX_TEXT = 10_000_000
"""Maximum size of the manifest and of the checksums in bytes."""
_LINE = re.compile(r"([0-9a-f]{64})  (\w+(?:\.\w+)+)\n", re.ASCII)


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Turn every error in the `with` block into a `ValueError` that names the damaged file."""
    try:
        yield
    except library_errors() as error:
        raise ValueError(f"{file}: {reason_of(error)}") from error


def reason_of(error: BaseException) -> str:
    """Return the first line of an error raised by Reelated, or the class name of any other error."""
    text = (str(error).splitlines() or [""])[0][:200]
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__} {text}".rstrip()


def write_checksums(path: Path) -> None:
    lines = [f"{_checksum(file)}  {file.name}\n" for file in sorted(path.iterdir())]
    (path / CHECKSUMS).write_text("".join(lines), encoding="ascii", newline="\n")


def _checksum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


class ModelFolder:
    """The verified files of a saved model; every reader raises `ValueError` with the name of a damaged file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: frozenset[str] = frozenset()

    def verify(self) -> None:
        """Compare every file with its checksum."""
        with naming(CHECKSUMS):
            found = [_LINE.fullmatch(line) for line in self._text(CHECKSUMS).splitlines(keepends=True)]
            lines = [line.groups() for line in found if line]
            names = [name for _, name in lines]
            if len(lines) < len(found) or names != sorted(set(names)):
                raise ValueError("expected a checksum and a file name on each line, in ascending order")
        for checksum, name in lines:
            with naming(name):
                if not (self.path / name).is_file():
                    raise ValueError("the file is missing")
                if _checksum(self.path / name) != checksum:
                    raise ValueError("checksum differs")
        self.files = frozenset(names)

    def manifest(self) -> Any:
        with naming(MANIFEST):
            return json.loads(self._text(MANIFEST), object_pairs_hook=_without_repeats, parse_constant=_refuse)

    def table(self, name: str) -> pl.DataFrame:
        with naming(name):
            return pl.read_ipc(self._verified(name))

    def array(self, name: str, spec: ArraySpec, sizes: dict[str, int], rated: Any = None) -> npt.NDArray[Any]:
        """Map an array from disk after checking it with `check_array`."""
        with naming(f"{name}.npy"):
            array = self._mapped(name)
            check_array(spec, array, sizes, rated)
            return array

    def csr(self, name: str, dtype: str, shape: tuple[int, int], *, diagonal: bool = True) -> sp.csr_array:
        """Map a sparse matrix after checking it with `check_csr`."""
        data = self.array(f"{name}.data", ArraySpec(dtype, ("nnz",), optional="nnz"), {})
        with naming(f"{name}.indices.npy"):
            indices = self._mapped(f"{name}.indices")
        with naming(f"{name}.indptr.npy"):
            indptr = self._mapped(f"{name}.indptr")
            check_csr(indptr, indices, data, shape, diagonal=diagonal)
        return canonical_csr(data, indices, indptr, shape)

    def _mapped(self, name: str) -> npt.NDArray[Any]:
        # copy-on-write: kernels would be compiled again for read-only arrays
        return np.asarray(np.lib.format.open_memmap(self._verified(f"{name}.npy"), mode="c"))

    def _verified(self, name: str) -> Path:
        if name not in self.files:
            raise ValueError(f"the file is missing in {CHECKSUMS}")
        return self.path / name

    def _text(self, name: str) -> str:
        file = self.path / name
        if not file.is_file():
            raise ValueError("the file is missing")
        if file.stat().st_size > MAX_TEXT:
            raise ValueError(f"expected {MAX_TEXT:,} bytes or fewer")
        return file.read_bytes().decode()


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a name occurs more than once")
    return dict(pairs)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")
