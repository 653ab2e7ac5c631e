"""Resolution of a source (folder, zip, file or cached name) to the files that `read` uses.

A zip is read in place and never unpacked, so that no name of a member can write outside a folder.
"""

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

import platformdirs

from reelated.errors import InputError, InputTypeError, shorten

ARCHIVES = ("ml-100k", "ml-1m", "ml-10m", "ml-20m", "ml-25m", "ml-32m", "ml-latest-small")
SAMPLE = "sample"
TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".dat")
TABLE_SUFFIXES = (*TEXT_SUFFIXES, ".parquet", ".pq", ".arrow", ".feather", ".ipc")
# file names of the editions by role; those in `TABLE_NAMES` may also be tables of any kind
ROLES: dict[str, tuple[str, ...]] = {
    "ratings": ("u.data", "ratings.dat"),
    "items": ("u.item", "movies.dat"),
    "users": ("u.user", "users.dat"),
    "links": ("links.csv",),
    "tags": ("tags.dat", "tags.csv"),
    "about": ("readme", "readme.txt", "readme.md"),
}
TABLE_NAMES = {"ratings": ("ratings",), "items": ("items", "movies"), "users": ("users",)}


@dataclass(frozen=True)
class Files:
    """The files of a folder or zip by role, or a single file."""

    name: str
    root: Path
    roles: dict[str, str]  # a key of `ROLES` → path within `root`
    others: tuple[str, ...] = ()  # files without a role in the same folder, such as the folds of MovieLens 100K
    zipped: bool = False

    def read(self, member: str) -> bytes:
        """Return the bytes of one file."""
        with _clear_errors(PurePosixPath(member).name):
            if self.zipped:
                with zipfile.ZipFile(self.root) as archive:
                    return archive.read(member)
            return (self.root / member).read_bytes()

    def sibling(self, name: str) -> str:
        """Return the path of another file in the folder of the ratings."""
        for member in self.others:
            if PurePosixPath(member).name == name:
                return member
        raise InputError(f"{self.root.name} has no file {name!r} next to its ratings. The whole data set is required.")


@contextmanager
def _clear_errors(label: str) -> Iterator[None]:
    """Turn errors of reading a file into an `InputError` with a remedy."""
    try:
        yield
    except PermissionError:
        raise InputError(f"{label}: no permission to read it. Check the rights of the file.") from None
    except RuntimeError as error:  # zipfile raises it for encryption and for unknown compression
        why = "it is encrypted" if "encrypted" in str(error) else "it is packed in a way that Python cannot unpack"
        raise InputError(f"{label}: {why}. Unpack it first and read the folder.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise InputError(f"{label}: the zip is damaged or cut short. Get it again.") from None
    except OSError as error:
        raise InputError(f"{label}: cannot be read ({error.strerror or error}).") from None


def find_files(source: Any) -> Files:
    """Return the files that `read` uses for a path or the name of an edition; an existing path has precedence."""
    path = _resolve(source).resolve()
    with _clear_errors(path.name):
        if path.is_dir():
            return _assign_roles(path, _list_files(path), zipped=False)
        with path.open("rb") as file:
            start = file.read(4)
        if start.startswith(b"PK"):
            with zipfile.ZipFile(path) as archive:
                return _assign_roles(path, archive.namelist(), zipped=True)
    return Files(path.name.split(".")[0], path.parent, {"ratings": path.name})


def is_sample(source: Any) -> bool:
    """Return whether `source` names the bundled sample and no path of that name exists."""
    return isinstance(source, str) and source == SAMPLE and not Path(SAMPLE).exists()


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
    """Return the path of an archive in the cache, or raise."""
    path = archive_path(name)
    if path.is_file():
        return path
    raise InputError(
        f"{name!r} is not in the cache yet. Get it with: reelated fetch {name}. Without a network, use 'sample'."
    )


def archive_path(name: str) -> Path:
    """Return the path where `fetch` stores the archive of an edition; the file may not exist."""
    return _cache_path() / "datasets" / f"{name}.zip"


def cache_folder() -> Path:
    """Return the cache folder for data sets and fitted models; create it if it is missing.

    It is the user's cache folder, or the one that the environment variable `REELATED_CACHE` names. A new folder is
    readable by the user only.

    Returns
    -------
    Path

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
        with _clear_errors(path.name), path.open("rb") as file:
            digest.update(name.encode() + b"\0" + hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()


def _used_files(source: Any) -> list[tuple[str, Path]]:
    """List the files on disk that `read` opens, with names that do not depend on their location."""
    if is_sample(source):
        # sample.py counts, too: it determines the simulated ratings
        return [(path.name, path) for path in sorted(Path(__file__).parent.glob("sample*")) if path.is_file()]
    files = find_files(source)
    if files.zipped:
        return [("zip", files.root)]
    return [(PurePosixPath(member).name, files.root / member) for member in sorted(files.roles.values())]


def _list_files(folder: Path) -> list[str]:
    """List the files of a folder and of its direct subfolders."""
    subfolders = [path for path in folder.iterdir() if path.is_dir() and os.access(path, os.R_OK | os.X_OK)]
    paths = [path for parent in (folder, *subfolders) for path in parent.iterdir() if path.is_file()]
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def _assign_roles(root: Path, names: list[str], zipped: bool) -> Files:
    """Choose the outermost folder with ratings, and assign roles to its files."""
    groups: dict[PurePosixPath, list[str]] = {}
    for name in names:
        path = PurePosixPath(name)
        if not name.endswith("/") and not {"..", "__MACOSX"} & set(path.parts) and not path.name.startswith("."):
            groups.setdefault(path.parent, []).append(name)
    candidates: dict[PurePosixPath, dict[str, str]] = {}
    for depth in sorted({len(folder.parts) for folder in groups}):
        level = {folder: _roles_in(root, paths) for folder, paths in groups.items() if len(folder.parts) == depth}
        candidates = {folder: roles for folder, roles in level.items() if "ratings" in roles}
        if candidates:
            break
    if not candidates:
        listed = ", ".join(sorted(PurePosixPath(name).name for name in names)[:8]) or "nothing"
        raise InputError(
            f"{root.name} contains no ratings in a known format. Expected the files of a MovieLens edition or one "
            f"table ({', '.join(TABLE_SUFFIXES)}), found: {shorten(listed, 200)}."
        )
    if len(candidates) > 1:
        raise InputError(f"{root.name} holds ratings in {' and in '.join(map(repr, map(str, candidates)))}. Pass one.")
    folder, roles = candidates.popitem()
    others = tuple(name for name in groups[folder] if name not in roles.values())
    return Files(root.stem if zipped else root.resolve().name, root, roles, others, zipped)


def _roles_in(root: Path, paths: list[str]) -> dict[str, str]:
    """Assign roles to the files of one folder; a single table holds the ratings, whatever its name."""
    roles: dict[str, str] = {}
    for role, known in ROLES.items():
        matches = [path for path in paths if _has_role(role, known, PurePosixPath(path).name.lower())]
        if len(matches) > 1:
            raise InputError(f"{root.name} holds {role} in {' and in '.join(map(repr, matches))}. Pass one of them.")
        if matches:
            roles[role] = matches[0]
    if "ratings" not in roles:
        tables = [path for path in paths if path not in roles.values() and _is_table(PurePosixPath(path).name.lower())]
        if len(tables) > 1:
            listed = ", ".join(map(repr, tables[:6]))
            raise InputError(f"{root.name} holds several tables ({listed}). Pass the one that holds the ratings.")
        if tables:
            roles["ratings"] = tables[0]
    return roles


def _has_role(role: str, known: tuple[str, ...], name: str) -> bool:
    """Return whether the name of a file fits a role."""
    return name in known or (_is_table(name) and name.split(".")[0] in TABLE_NAMES.get(role, ()))


def _is_table(name: str) -> bool:
    """Return whether a file is a table by its extension; text may be gzipped."""
    unzipped = name.removesuffix(".gz")
    suffixes = TABLE_SUFFIXES if unzipped == name else TEXT_SUFFIXES
    return unzipped.endswith(suffixes) and not unzipped.startswith(("readme", "license", "checksum"))
