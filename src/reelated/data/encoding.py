"""Bytes of any encoding → UTF-8."""

import codecs
import re

from reelated.errors import Advice, InputError, plural

_SQL = "a dump in SQL, which sqlite3 or psql loads into a database"
_PAGE = "a web page, perhaps one to log in or of an error. Download the file itself, or save the table as CSV"
_XML = "an XML document, which read(pandas.read_xml(path)) reads in Python if it has an element for each rating"
_ARFF = "a file of Weka (ARFF)"
_TEXTS = {
    **dict.fromkeys((b"<!doctype html", b"<html", b"<table", b"<head", b"<body"), _PAGE), b"<?xml": _XML,
    b"@relation": _ARFF, b"<stata_dta>": "a Stata file, which read(pandas.read_stata(path)) reads in Python",
    **dict.fromkeys((b"create table", b"insert into", b"pragma ", b"begin transaction", b"drop table"), _SQL),
}  # fmt: skip
"""The first words of a text in lower case, behind comments → what it is."""
_COMMENTS = re.compile(rb"\s*(?:(?:--|%(?!%))[^\n]*\n\s*|/\*.*?\*/[;\s]*|<!--.*?-->\s*)*", re.DOTALL)
_ELEMENT = re.compile(rb"<[a-z][\w:.-]*(?:\s[^<>]*)?>\s*<")
_BINARY = {
    b"%PDF": "a PDF document", b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"\x89HDF": "an HDF5 file",
    b"\x80\x04\x95": "a pickle", b"\x80\x05\x95": "a pickle", b"\x93NUMPY": "a NumPy file", b"RDX": "an R file",
    b"%%MatrixMarket matrix array": "a dense Matrix Market file, which read(scipy.io.mmread(path)) reads in Python",
    b"$FL2": "an SPSS file, which read(pandas.read_spss(path)) reads in Python", b"MATLAB 5": "a MATLAB file",
    b"---\n": "a YAML document", b"- ": "a YAML document",
    b"\x04\x22M\x18": "an LZ4 file",
    b"Rar!": "a RAR archive", b"7z\xbc\xaf": "a 7-Zip archive", b"Obj\x01": "an Avro file", b"ORC": "an ORC file",
}  # fmt: skip
_HEAD_BYTES = 65536


def as_utf8(label: str, data: bytes, encoding: str | None = None) -> tuple[bytes, list[str]]:
    r"""Return text as UTF-8 with a note on bytes that are not; without `encoding`, these are Windows-1252."""
    notes: list[str] = []
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        data = _decode(label, data, "utf-32")
    elif data.startswith((b"\xff\xfe", b"\xfe\xff")):
        data = _decode(label, data, "utf-16")
    elif encoding and not (data.isascii() and b"\0" not in data):  # only some of several files need the encoding
        data = _decode(label, data, encoding)
    elif unmarked := _utf16_without_mark(data):
        data, notes = _decode(label, data, unmarked), [f"took the text for {unmarked}"]
    else:
        _refuse_binary(label, data)
        data, notes = _repair(data)
    if data.startswith(codecs.BOM_UTF8):  # again at the start of each further file in a joined one
        data = data.removeprefix(codecs.BOM_UTF8).replace(b"\n" + codecs.BOM_UTF8, b"\n")
    if b"\r" in data and b"\n" not in data:  # line ends of classic Mac OS
        data = data.replace(b"\r", b"\n")
    return (data.rstrip(b"\r\n") + b"\n" if data.endswith((b"\n\n", b"\n\r\n")) else data), notes


def _utf16_without_mark(data: bytes) -> str:
    """Return the UTF-16 encoding of a text in which mostly every second byte is NUL; empty if it is none."""
    start = data[:200]
    for at, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        if 2 * start[at::2].count(0) > len(start[at::2]) and all(start[1 - at :: 2]):
            return name
    return ""


def _decode(label: str, data: bytes, encoding: str) -> bytes:
    """Return text in a named encoding as UTF-8."""
    try:
        return data.decode(encoding).removeprefix("\ufeff").encode()
    except UnicodeError as error:
        at = getattr(error, "start", 0)
        line = data.count(b"\n", 0, at) + 1
        raise InputError(f"{label}, line {line}: the bytes are not {encoding}.", remedy=Advice.ENCODING) from None


def _refuse_binary(label: str, data: bytes) -> None:
    """Raise `InputError` for a file that is no text."""
    start = data[:_HEAD_BYTES].removeprefix(codecs.BOM_UTF8)
    first = start[_COMMENTS.match(start).end() :].lower()  # type: ignore[union-attr]
    kinds = [kind for magic, kind in _BINARY.items() if data.startswith(magic)]
    kinds += [kind for words, kind in _TEXTS.items() if first.startswith(words)]
    if kinds or _ELEMENT.match(first):
        raise InputError(f"{label} is {(kinds or [_XML])[0]}. Expected text, Parquet, Arrow, JSON, Excel or SQLite.")
    if b"\0" in data[:_HEAD_BYTES]:
        raise InputError(
            f"{label} holds NUL bytes. Expected text, Parquet or Arrow; if it is text, save it anew.",
            remedy=Advice.ENCODING,
        )


def _repair(data: bytes) -> tuple[bytes, list[str]]:
    """Replace bytes that are not UTF-8 by the characters of Windows-1252; return a note with their number."""
    if data.isascii():
        return data, []
    odd: list[int] = []

    def replace(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeDecodeError)
        odd.append(error.start)
        byte = data[error.start : error.start + 1]
        try:
            return byte.decode("cp1252"), error.start + 1
        except UnicodeDecodeError:  # five bytes that Windows-1252 leaves undefined
            return byte.decode("latin-1"), error.start + 1

    codecs.register_error("reelated-cp1252", replace)
    text = data.decode("utf-8", "reelated-cp1252")
    if not odd:
        return data, []
    line = data.count(b"\n", 0, odd[0]) + 1
    note = f"took {plural(len(odd), 'byte')} outside UTF-8 for Windows-1252, the first in line {line}"
    return text.encode(), [f"{note}; the option encoding names another"]
