"""Uploads: the fields and the file of a form, and the files that a visitor may send."""

import io
import json
import zipfile
from email.message import Message
from email.parser import HeaderParser
from pathlib import PurePosixPath
from typing import NamedTuple

from reelated.errors import InputError

MAX_FIELDS = 100
MAX_UNPACKED = 4_000_000
"""Maximum size in bytes of the table in a zip; the body of a request, with the zip, is limited to 1 MB."""
MAX_ROWS = 20_000
_EXPECTED = "expected a table of titles and ratings, such as the export of a rating site, or the file downloaded here."


class Form(NamedTuple):
    """The fields of a form and its file."""

    fields: dict[str, str]
    file: bytes = b""


def read_multipart(body: bytes, content_type: str) -> Form:
    """Parse a form with a file; the last of several fields with the same name counts."""
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_boundary()
    if not boundary or not boundary.isascii():
        raise InputError("The form cannot be read: it has no boundary.")
    fields, file = {}, b""
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:-1]
    if len(parts) > MAX_FIELDS:
        raise InputError(f"The form has too many fields: expected at most {MAX_FIELDS}.")
    for part in parts:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = HeaderParser().parsestr(head.decode(errors="replace"))
        if headers.get_param("filename", None, "content-disposition") is not None:
            file = content
        else:
            fields[str(headers.get_param("name", "", "content-disposition"))] = content.decode(errors="replace")
    return Form(fields, file)


def table_of(file: bytes) -> tuple[bytes, bool]:
    """Return the text of the table in an upload, and whether its newest rating comes first."""
    text = _unzipped(file) if file.startswith(b"PK\x03\x04") else file
    if not text.strip():
        raise InputError("The file is empty, or none was chosen.")
    if b"\0" in text or text.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        raise InputError(f"This file holds no text: {_EXPECTED}")
    is_own = text.lstrip().startswith(b"{")
    if text.count(b"\n") > MAX_ROWS or (is_own and text.count(b"{") > MAX_ROWS):
        raise InputError(f"The file has more than {MAX_ROWS:,} rows. Leave some out.")
    return (_own_ratings(text) if is_own else text), is_own


def _unzipped(file: bytes) -> bytes:
    """Return `ratings.csv` from a zip, such as an export from Letterboxd."""
    try:
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            names = [name for name in archive.namelist() if PurePosixPath(name).name.lower() == "ratings.csv"]
            if not names:
                raise InputError(f"The zip has no ratings.csv: {_EXPECTED}")
            name = min(names, key=len)
            if archive.getinfo(name).file_size > MAX_UNPACKED:
                raise InputError(f"{name} is larger than {MAX_UNPACKED:,} bytes. Leave some ratings out.")
            return archive.read(name)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("The zip is damaged. Unpack it, and choose ratings.csv.") from None


def _own_ratings(text: bytes) -> bytes:
    """Return the rows of the file that visitors download here."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"This file is damaged: {_EXPECTED}") from None
    rows = content.get("ratings")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"This file holds no ratings: {_EXPECTED}")
    return json.dumps(rows).encode()
