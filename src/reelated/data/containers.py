"""Folders, archives, databases and workbooks as one interface: named members, each with bytes.

A zip or tar is read in place and never unpacked, so that no name of a member can write outside a folder. A table of a
database has the bytes of an Arrow file, and a sheet of a workbook those of a CSV file with a line for each row.
"""

import io
import os
import re
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import polars as pl

from reelated.data.unpack import (
    ROW_BYTES,
    check_room,
    compression,
    decompress,
    decompress_start,
    max_unpacked,
)
from reelated.errors import InputError, import_optional

HEAD_BYTES = 65536


class Container(Protocol):
    """Named members, each with its bytes."""

    def names(self) -> list[str]: ...

    def read(self, name: str) -> bytes: ...


@contextmanager
def clear_errors(label: str) -> Iterator[None]:
    """Turn an error while reading a file into an `InputError` with a remedy."""
    try:
        yield
    except PermissionError:
        raise InputError(f"{label}: no permission to read it. Check the permissions of the file.") from None
    except (RuntimeError, NotImplementedError) as error:  # what zipfile raises for encryption and unknown compression
        why = "it is encrypted" if "encrypted" in str(error) else "it is packed in a way that Python cannot unpack"
        raise InputError(f"{label}: {why}. Unpack it first and read the folder.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise InputError(f"{label}: the zip is damaged or cut short. Get it again.") from None
    except tarfile.TarError:
        raise InputError(f"{label}: the tar file is damaged or cut short. Get it again.") from None
    except OSError as error:
        raise InputError(f"{label}: cannot be read ({error.strerror or error}).") from None


@dataclass
class Folder:
    """A folder with its direct subfolders; subfolders named `key=value` are followed to any depth."""

    path: Path

    def names(self) -> list[str]:
        paths = [path for folder in (self.path, *self._subfolders(self.path, 0)) for path in folder.iterdir()]
        return sorted(path.relative_to(self.path).as_posix() for path in paths if path.is_file())

    def _subfolders(self, folder: Path, depth: int) -> Iterator[Path]:
        for path in folder.iterdir():
            if path.is_dir() and os.access(path, os.R_OK | os.X_OK) and (depth == 0 or "=" in path.name):
                yield path
                yield from self._subfolders(path, depth + 1)

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def head(self, name: str) -> bytes:
        """Return the first bytes of a file; the whole file if its columns are listed at its end."""
        return _head(self.path / name)


@dataclass
class Single:
    """One file, or bytes from elsewhere."""

    name: str
    path: Path | None = None
    data: bytes = b""

    def names(self) -> list[str]:
        return [self.name]

    def read(self, name: str) -> bytes:
        return self.data if self.path is None else self.path.read_bytes()

    def head(self, name: str) -> bytes:
        """Return the first bytes; the whole file if its columns are listed at its end."""
        return self.data if self.path is None else _head(self.path)


@dataclass
class Zip:
    """A zip archive."""

    file: Path | io.BytesIO

    def names(self) -> list[str]:
        with zipfile.ZipFile(self.file) as archive:
            return archive.namelist()

    def read(self, name: str) -> bytes:
        with zipfile.ZipFile(self.file) as archive:
            check_member(archive, name)
            return archive.read(name)

    def head(self, name: str) -> bytes:
        """Return the first bytes of a member."""
        with zipfile.ZipFile(self.file) as archive, archive.open(name) as file:
            start = file.read(HEAD_BYTES)
            if not _needs_all(start):
                return start
            check_member(archive, name)
            return start + file.read()


def check_member(archive: zipfile.ZipFile, name: str) -> None:
    """Raise `InputError` if a member is too large; `zipfile` reads no more than the size in the directory."""
    check_room(PurePosixPath(name).name, archive.getinfo(name).file_size)


@dataclass
class Tar:
    """A tar archive, unpacked into memory."""

    data: bytes

    @cached_property
    def _members(self) -> dict[str, bytes]:
        with tarfile.open(fileobj=io.BytesIO(self.data)) as archive:
            members = [member for member in archive if member.isfile()]
            check_room("the tar file", sum(member.size for member in members))  # holes of sparse files take no bytes
            files = [(member.name, archive.extractfile(member)) for member in members]
            return {name.removeprefix("./"): file.read() for name, file in files if file is not None}

    def names(self) -> list[str]:
        return sorted(self._members)

    def read(self, name: str) -> bytes:
        return self._members[name]


@dataclass
class Nested:
    """A container in which each archive is replaced by its members, below the name of the archive."""

    outer: Container

    @cached_property
    def _archives(self) -> dict[str, Container]:
        names = [name for name in self.outer.names() if is_archive(name)]
        found = {name: container_of(name, self.outer.read(name)) for name in names}
        return {name: archive for name, archive in found.items() if isinstance(archive, (Zip, Tar))}

    def names(self) -> list[str]:
        """List the members; an archive is replaced by its own members."""
        inner = [f"{archive}/{name}" for archive, members in self._archives.items() for name in members.names()]
        return sorted([name for name in self.outer.names() if name not in self._archives] + inner)

    def read(self, name: str) -> bytes:
        for archive, members in self._archives.items():
            if name.startswith(f"{archive}/"):
                return members.read(name.removeprefix(f"{archive}/"))
        return self.outer.read(name)


@dataclass
class Tables:
    """The tables of an SQLite database or the sheets of an Excel workbook."""

    label: str
    data: bytes = field(repr=False)
    table: str = ""

    @cached_property
    def _tables(self) -> dict[str, pl.DataFrame] | dict[str, bytes]:
        is_database = self.data.startswith(b"SQLite format 3\0")
        tables = _database(self.label, self.data) if is_database else _workbook(self.label, self.data)
        if self.table and self.table not in tables:
            raise InputError(f"{self.label} has no table {self.table!r}, but: {', '.join(tables) or 'none'}.")
        return tables

    def names(self) -> list[str]:
        return [self.table] if self.table in self._tables else list(self._tables)

    def read(self, name: str) -> bytes:
        """Return a table of a database in the Arrow format, or a sheet as CSV."""
        table = self._tables[name]
        if isinstance(table, bytes):
            return table
        buffer = io.BytesIO()
        table.write_ipc(buffer)
        return buffer.getvalue()


def container_of(label: str, data: bytes, table: str = "") -> Container | None:
    """Return the bytes as a container, or None if they are a single table."""
    if data.startswith(b"PK\x03\x04"):
        with clear_errors(label):
            archive = Zip(io.BytesIO(data))
            if not is_workbook(archive.names()):
                return archive
            with zipfile.ZipFile(archive.file) as book:
                check_room(label, sum(member.file_size for member in book.infolist()))
            return Tables(label, data, table)
    if data.startswith((b"SQLite format 3\0", b"\xd0\xcf\x11\xe0")):
        return Tables(label, data, table)
    if compression(data) and is_tar(decompress_start(data, 512)):
        data = decompress(label, data)
    return Tar(data) if is_tar(data) else None


def is_archive(name: str) -> bool:
    return name.lower().endswith((".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz"))


def is_workbook(names: list[str]) -> bool:
    """Return whether the members of a zip are those of an Excel workbook."""
    return "xl/workbook.xml" in names or "xl/workbook.bin" in names


def is_tar(start: bytes) -> bool:
    """Return whether the first bytes are those of a tar archive."""
    return start[257:262] == b"ustar"


def head_of(container: Any, name: str) -> bytes:
    """Return the first bytes of a member, unpacked; the whole file if its columns are listed at its end."""
    with clear_errors(PurePosixPath(name).name):
        start = container.head(name) if hasattr(container, "head") else container.read(name)
    return decompress_start(start, HEAD_BYTES) if compression(start) else start


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        start = file.read(HEAD_BYTES)
        return start + file.read() if _needs_all(start) else start


def _needs_all(start: bytes) -> bool:
    return start.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff", b"SQLite", b"PK", b"\xd0\xcf\x11\xe0"))


def _database(label: str, data: bytes) -> dict[str, pl.DataFrame]:
    """Return the tables of an SQLite database by name."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(data)
        query = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
        names = [name for (name,) in connection.execute(query).fetchall()]
        return {name: _table(connection, name) for name in names}
    except (sqlite3.Error, UnicodeDecodeError, MemoryError):
        raise InputError(f"{label}: the SQLite database is damaged or cut short. Get it again.") from None
    finally:
        connection.close()


def _table(connection: sqlite3.Connection, name: str) -> pl.DataFrame:
    """Return a table of a database; a column of mixed types becomes text."""
    cursor = connection.execute('SELECT * FROM "{}"'.format(name.replace('"', '""')))
    names = [column[0] for column in cursor.description]
    rows = cursor.fetchmany(min(max_unpacked() // (ROW_BYTES * len(names)), 2**31 - 1))
    if cursor.fetchone() is not None:  # a view may have endlessly many rows
        check_room(name, max_unpacked() + 1, at_least=True)
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return pl.DataFrame([_sqlite_column(name, list(values)) for name, values in zip(names, columns, strict=True)])


def _sqlite_column(name: str, values: list[Any]) -> pl.Series:
    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {int} or kinds <= {int, float}:
        return pl.Series(name, values, dtype=pl.Int64 if kinds <= {int} else pl.Float64)
    if kinds == {bytes}:
        return pl.Series(name, values, dtype=pl.Binary)
    return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)


def _workbook(label: str, data: bytes) -> dict[str, bytes]:
    """Return the non-empty sheets of an Excel workbook: name → CSV."""
    reader = import_optional("fastexcel", "formats")
    try:
        book = reader.read_excel(data)
        cells = {"header_row": None, "skip_rows": 0, "dtypes": "string"}
        sheets = {name: pl.DataFrame(book.load_sheet(name, **cells)) for name in book.sheet_names}
        return {name: _as_csv(sheet) for name, sheet in sheets.items() if sheet.width}
    except Exception:  # fastexcel has its own hierarchy of errors, and pyarrow is not always installed
        raise InputError(f"{label}: the Excel workbook is damaged or of an unknown kind. Save it as CSV.") from None


def _as_csv(sheet: pl.DataFrame) -> bytes:
    """Return the cells of a sheet as text with one line for each row; the line of an empty row is blank."""
    text = sheet.select(pl.all().str.replace_all(r"[\r\n]+", " ")).write_csv(include_header=False)
    return re.sub(r"(?m)^,+$", "", text).encode()
