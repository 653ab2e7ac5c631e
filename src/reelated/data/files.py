"""Resolution of a source (folder, zip, file, database, URL, standard input or cached name) to its files."""

import hashlib
import os
import re
import sys
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from reelated.cache import ARCHIVES, SAMPLE, archive_path, is_sample
from reelated.data.containers import (
    Container,
    Folder,
    Nested,
    Single,
    Zip,
    clear_errors,
    container_of,
    is_archive,
    is_tar,
    is_workbook,
)
from reelated.data.roles import TABLE_SUFFIXES, NoRatings, Roles, assign_roles, is_table
from reelated.data.text_layout import RATING_SPEC, ColumnSpec
from reelated.data.unpack import compression, decompress_start
from reelated.errors import InputError, InputTypeError, import_optional, shorten

STDIN = "-"
EXPORT = "store.json"
"""The metadata of an exported store."""


@dataclass(frozen=True)
class Files:
    """The files of a folder or archive by role, or a single file."""

    name: str
    root: Path
    roles: dict[str, str]  # a key of `roles.ROLES` → path within `root`
    others: tuple[str, ...] = ()  # files without a role in the same folder, such as the folds of MovieLens 100K
    container: Container = field(default_factory=lambda: Single(""))
    parts: tuple[str, ...] = ()  # further parts of the ratings
    left_out: tuple[str, ...] = ()

    def read(self, member: str) -> bytes:
        with clear_errors(PurePosixPath(member).name):
            return self.container.read(member)

    def sibling(self, name: str) -> str:
        """Return the path of another file in the folder of the ratings."""
        for member in self.others:
            if PurePosixPath(member).name == name:
                return member
        raise InputError(f"{self.root.name} has no file {name!r} next to its ratings. The whole data set is required.")


def is_export(source: str | Path) -> bool:
    """Return whether a source is the folder of an exported store."""
    return (Path(source) / EXPORT).is_file()


def verify_export(folder: Path) -> None:
    """Raise `InputError` if a folder is an exported store with a damaged file; earlier exports have no checksums."""
    if not is_export(folder):
        return
    from reelated.recommender.model_folder import CHECKSUMS, ModelFolder

    try:
        if (folder / CHECKSUMS).is_file():
            ModelFolder(folder).verify()
    except ValueError as error:
        raise damaged_export(folder, error) from None


def damaged_export(folder: str | Path, reason: object) -> InputError:
    """Return the error for an exported store that cannot be read."""
    return InputError(f"{folder}: the exported store is damaged or incomplete ({reason}). Export it again.")


def find_files(source: Any, spec: ColumnSpec = RATING_SPEC, *, verify: bool = True) -> Files:
    """Return the files that `read` uses for a source; an existing path takes precedence over a name."""
    text = os.fspath(source) if isinstance(source, (str, os.PathLike)) else ""
    if text == STDIN:
        return _from_bytes("standard input", _standard_input(), "", spec)
    if re.match(r"[a-z][a-z0-9+]+://", text):
        return _from_bytes(text.rstrip("/").rsplit("/", 1)[-1], _download(text), "", spec)
    place, table = _split_table(text)
    path = _resolve(place if table else source).resolve()
    with clear_errors(path.name):
        if path.is_dir():
            if verify:
                verify_export(path)
            return _assign(path, Folder(path), spec)
        with path.open("rb") as file:
            start = file.read(4096)
        if start.startswith(b"PK\x03\x04") and not is_workbook(Zip(path).names()):
            return _assign(path, Zip(path), spec)
        is_container = start.startswith((b"PK\x03\x04", b"SQLite format 3\0", b"\xd0\xcf\x11\xe0"))
        if is_container or is_tar(decompress_start(start, 512) if compression(start) else start):
            return _from_bytes(path.name, path.read_bytes(), table, spec, path)
    if table:
        raise InputError(
            "expected an SQLite database or an Excel workbook in front of '::'.", parameter="source", value=text
        )
    return Files(path.name.split(".")[0], path.parent, {"ratings": path.name}, container=Single(path.name, path))


def _from_bytes(label: str, data: bytes, table: str, spec: ColumnSpec, path: Path | None = None) -> Files:
    """Return the files of a container in memory, or a single file."""
    container = container_of(label, data, table)
    root = path or Path(label)
    if container is not None:
        return _assign(root, container, spec)
    return Files(label.split(".")[0], root, {"ratings": label}, container=Single(label, None, data))


def _split_table(text: str) -> tuple[str, str]:
    """Split `file.db::table`; an existing path takes precedence."""
    path, _, table = text.rpartition("::")
    return (
        (path, table) if path and "\0" not in text and not Path(text).exists() and Path(path).is_file() else (text, "")
    )


@cache
def _standard_input() -> bytes:
    """Return standard input, which can be read only once."""
    return sys.stdin.buffer.read()


@cache
def _download(address: str) -> bytes:
    """Return the content of a URL, through fsspec."""
    fsspec = import_optional("fsspec", "formats")
    try:
        with fsspec.open(address, "rb") as file:
            return bytes(file.read())
    except ImportError as error:
        raise InputError(f"{error}", parameter="source", value=address) from None
    except Exception as error:  # each protocol has its own errors
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot be read: {reason[:200]}.", parameter="source", value=address) from None


def _resolve(source: Any) -> Path:
    """Return the path of a source, or raise with similar names as a hint."""
    if not isinstance(source, (str, os.PathLike)):
        raise InputTypeError("expected a path or a name such as 'sample'.", parameter="source", value=source)
    text = os.fspath(source)
    if "\0" in text or not text:
        raise InputError("expected a path or a name such as 'sample'.", parameter="source", value=text)
    path = Path(text).expanduser()
    try:
        if path.is_dir() or path.is_file():
            return path
        if path.exists():
            raise InputError(
                "neither a folder nor a file.",
                parameter="source",
                value=text,
                remedy="Save what it gives to a file first.",
            )
        if text == SAMPLE:
            raise InputError("The bundled sample has no files here. Write them with: reelated sample DIR")
        if text in ARCHIVES:
            return _cached_archive(text)
        siblings = [str(path.parent / each.name) for each in path.parent.iterdir()] if path.parent.is_dir() else []
    except OSError as error:
        raise InputError(f"{error.strerror or error}.", parameter="source", value=text) from None
    similar = get_close_matches(text, [SAMPLE, *ARCHIVES, *siblings], n=3)
    hint = f" Did you mean {' or '.join(map(repr, similar))}?" if similar else ""
    raise InputError(
        f"there is no such folder, zip or file, nor a data set of that name ({', '.join((SAMPLE, *ARCHIVES))}).{hint}",
        parameter="source",
        value=text,
    )


def _cached_archive(name: str) -> Path:
    path = archive_path(name)
    if path.is_file():
        return path
    raise InputError(
        f"{name!r} is not in the cache yet. Get it with: reelated fetch {name}. Without a network, use 'sample'."
    )


def fingerprint(source: Any) -> str:
    """Return a hash of a source, which changes when a file that `read` uses changes.

    Parameters
    ----------
    source : str or Path
        As for `read`, but not a frame.

    Returns
    -------
    str
        32 hexadecimal digits: BLAKE2b of the names and contents of the files, without their paths.

    Raises
    ------
    InputError
        The source does not exist or cannot be read.

    Examples
    --------
    >>> len(fingerprint("sample"))
    32
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, path in _used_files(source):
        if isinstance(path, bytes):
            digest.update(name.encode() + b"\0" + hashlib.blake2b(path).digest())
            continue
        with clear_errors(path.name), path.open("rb") as file:
            digest.update(name.encode() + b"\0" + hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()


def _used_files(source: Any) -> list[tuple[str, Path | bytes]]:
    """List the files on disk that `read` may open, with names that do not depend on their location."""
    if is_sample(source):
        # sample.py counts, too: it determines the simulated ratings
        return [(path.name, path) for path in sorted(Path(__file__).parent.glob("sample*")) if path.is_file()]
    try:
        files = find_files(source, verify=False)  # if the file is damaged, the hash of its bytes will do
    except InputError:
        path = Path(source).expanduser()
        if not path.is_dir():
            raise
        folder = Folder(path)  # the role of a table may depend on the names of columns
        return [(name, path / name) for name in folder.names() if is_table(name)]
    if isinstance(files.container, Folder):
        tables = [member for member in files.others if is_table(PurePosixPath(member).name)]
        used = sorted({*files.roles.values(), *files.parts, *tables})
        return [(PurePosixPath(member).name, files.root / member) for member in used]
    if isinstance(files.container, Single):
        single = files.container
        return [(single.name, single.data if single.path is None else single.path)]
    if files.root.is_file():
        return [(_split_table(os.fspath(source))[1] or "archive", files.root)]
    return [(name, files.read(name)) for name in files.container.names()]


def _assign(root: Path, container: Container, spec: ColumnSpec) -> Files:
    """Choose the outermost folder with ratings, and assign roles to its files."""
    names = container.names()
    groups: dict[PurePosixPath, list[str]] = {}
    for name in names:
        path = PurePosixPath(name)
        if not name.endswith("/") and not {"..", "__MACOSX"} & set(path.parts) and not path.name.startswith((".", "_")):
            # folders such as `year=2020` hold parts of one table; an archive counts as a folder
            parts = [part for part in path.parent.parts if "=" not in part and not is_archive(part)]
            groups.setdefault(PurePosixPath(*parts), []).append(name)
    candidates = _candidates(root.name, container, groups, spec)
    if not candidates and not isinstance(container, Nested) and any(map(is_archive, names)):
        return _assign(root, Nested(container), spec)
    if not candidates and "indptr.npy" in names:
        what = "a sparse matrix of SciPy, which read(scipy.sparse.load_npz(path)) reads in Python"
        raise InputError(f"{root.name} is {what}. Expected text, Parquet, Arrow, JSON, Excel or SQLite.")
    if not candidates:
        listed = ", ".join(sorted(PurePosixPath(name).name for name in names)[:8]) or "nothing"
        raise InputError(
            f"{root.name} contains no ratings in a known format. Expected the files of a MovieLens edition or a "
            f"table ({', '.join(TABLE_SUFFIXES)}), found: {shorten(listed, 200)}"
            + (" in it and its direct subfolders." if isinstance(container, Folder) else ".")
        )
    if len(candidates) > 1:
        raise InputError(f"{root.name} holds ratings in {' and in '.join(map(repr, map(str, candidates)))}. Pass one.")
    folder, roles = candidates.popitem()
    used = {*roles.files.values(), *roles.parts}
    others = tuple(name for name in groups[folder] if name not in used)
    name = root.resolve().name if isinstance(container, Folder) else root.stem
    return Files(name, root, roles.files, others, container, roles.parts, roles.left_out)


def _candidates(
    root: str, container: Container, groups: dict[PurePosixPath, list[str]], spec: ColumnSpec
) -> dict[PurePosixPath, Roles]:
    """Return the outermost folders with ratings; tables in a folder above also belong to these ratings."""
    candidates: dict[PurePosixPath, Roles] = {}
    above: dict[PurePosixPath, list[str]] = {}
    refused: NoRatings | None = None
    for folder in sorted(groups, key=lambda folder: len(folder.parts)):
        if candidates and len(folder.parts) > len(next(iter(candidates)).parts):
            break
        groups[folder] += [table for parent in folder.parents for table in above.get(parent, ())]
        try:
            roles = assign_roles(root, container, groups[folder], spec)
        except NoRatings as error:
            refused = refused or error
            above[folder] = [path for path in groups[folder] if is_table(PurePosixPath(path).name)]
        else:
            candidates |= {folder: roles} if "ratings" in roles.files else {}
    if refused and not candidates:
        raise refused
    return candidates
