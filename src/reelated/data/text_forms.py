"""Text in any encoding and in unusual forms → UTF-8 with one separator.

The forms are blocks, runs of spaces, backslashes before quotes, and single quotes. Conversion keeps the lines, so that
line numbers in messages are those of the file.
"""

import codecs
import re

from reelated.data.text_layout import SPACES, ColumnSpec, TextLayout, detect_layout
from reelated.data.text_parser import row_pattern
from reelated.errors import Advice, InputError, plural, shorten

_SQL = "a dump in SQL, which sqlite3 or psql loads into a database"
_PAGE = "a web page, perhaps one to log in or of an error. Download the file itself, or save the table as CSV"
_XML = "an XML document, which read(pandas.read_xml(path)) reads in Python if it has an element for each rating"
_ARFF = "a file of Weka (ARFF)"
_TEXTS = {
    **dict.fromkeys((b"<!doctype html", b"<html", b"<table", b"<head", b"<body"), _PAGE), b"<?xml": _XML,
    b"@relation": _ARFF, b"<stata_dta>": "a Stata file, which read(pandas.read_stata(path)) reads in Python",
    **dict.fromkeys((b"create table", b"insert into", b"pragma ", b"begin transaction", b"drop table"), _SQL),
}  # fmt: skip
"""The first words of a text, in lower case and after any comments → the format of the text."""
_COMMENTS = re.compile(rb"\s*(?:(?:--|%(?!%))[^\n]*\n\s*|/\*.*?\*/[;\s]*|<!--.*?-->\s*)*", re.DOTALL)
_ELEMENT = re.compile(rb"<[a-z][\w:.-]*(?:\s[^<>]*)?>\s*<")
_BINARY = {
    b"%PDF": "a PDF document", b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"\x89HDF": "an HDF5 file",
    b"\x80\x04\x95": "a pickle", b"\x80\x05\x95": "a pickle", b"\x93NUMPY": "a NumPy file", b"RDX": "an R file",
    b"%%MatrixMarket matrix array": "a dense Matrix Market file, which read(scipy.io.mmread(path)) reads in Python",
    b"$FL2": "an SPSS file, which read(pandas.read_spss(path)) reads in Python", b"MATLAB 5": "a MATLAB file",
    b"---\n": "a YAML document", b"- ": "a YAML document",
    b"\x04\x22M\x18": "an LZ4 file", b"PK\x05\x06": "an empty zip",
    b"Rar!": "a RAR archive", b"7z\xbc\xaf": "a 7-Zip archive", b"Obj\x01": "an Avro file", b"ORC": "an ORC file",
}  # fmt: skip
_HEAD_BYTES = 65536
# lines of Markdown, MySQL, PostgreSQL and reStructuredText
_RULES = re.compile(rb"(?m)^(?:[ \t]*[|+]?[ \t]*:?[-=]{3,}[-=|+: \t]*|\(\d+ rows?\))(?=\r?$)")
_RECORD = re.compile(rb"(?:[\w/. -]{1,60}: [^\n]*\n){3}")  # as in the data sets of SNAP
# of the Netflix Prize and of the KDD Cup 2011
_FIRST_BLOCK = re.compile(rb"\s*\d+:[ \t]*\r?\n\s*\d+(?:,|\r?\n|\Z)|\s*\d+\|\d+[ \t]*\r?\n\s*\d+\t\d+[\t\r\n]")


# --------------------------------------------------------------------------------------------------------- encoding
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
    if data.startswith(codecs.BOM_UTF8):  # repeated at the start of each file in a concatenation of files
        data = data.removeprefix(codecs.BOM_UTF8).replace(b"\n" + codecs.BOM_UTF8, b"\n")
    if b"\r" in data and b"\n" not in data:  # line ends of classic Mac OS
        data = data.replace(b"\r", b"\n")
    return (data.rstrip(b"\r\n") + b"\n" if data.endswith((b"\n\n", b"\n\r\n")) else data), notes


def _utf16_without_mark(data: bytes) -> str:
    """Return the UTF-16 encoding of a text in which nearly every second byte is NUL; empty for other texts."""
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
    """Raise `InputError` for a file that is not text."""
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


# ------------------------------------------------------------------------------------------------------------ forms
def arrange_text(label: str, text: bytes, spec: ColumnSpec) -> tuple[bytes, TextLayout, list[str]]:
    """Return a text with one separator, its layout, and notes."""
    if spec.is_ratings and _FIRST_BLOCK.match(text):
        return _blocks(text)
    if _RECORD.match(text):
        return _records(text)
    if label.lower().startswith("movie_titles.") and re.match(rb"\d+,(\d{4}|NULL),", text):
        # titles of the Netflix Prize hold commas without quotes
        text = re.sub(rb"(?m)^([^,\n]*),([^,\n]*),", rb"\1\t\2\t", text)
        return text, TextLayout("\t", ("item_id", "year", "title"), quoted=False), []
    ruled = len(_RULES.findall(text[:4096]))
    if ruled:  # every line is kept, so that line numbers in messages are those of the file
        text = _RULES.sub(b"", text)
    text, quotes = _with_plain_quotes(text)
    layout, notes = detect_layout(label, text, spec)
    notes += quotes + ["skipped the lines that rule the table, such as |---|"] * bool(ruled)
    if layout.comment:
        n_comments = text.count(b"\n" + layout.comment.encode()) + text.startswith(layout.comment.encode())
        n_comments -= layout.header_in_comment
        is_sign = len(layout.comment) == 1
        what = f"{plural(n_comments, 'comment line')} ({layout.comment})"
        what = what if is_sign else f"{plural(n_comments - 1, 'repeated line')} of column names"
        notes += [f"skipped {what}"] * bool(n_comments)
    if layout.separator in SPACES:
        text = re.sub(rb"(?m)^[ \t]+|[ \t\r]+$", b"", text)
        quoted, spaces = b'"' in text, rb"[ \t]+" if layout.separator == " " else rb"\t|[ \t]{2,}"
        text = re.sub(rb'("[^"\n]*")|' + spaces, lambda match: match[1] or b"\t", text)
        return text, layout._replace(separator="\t", quoted=quoted), notes
    if layout.quoted and _has_backslashes(text, layout):
        return text.replace(rb"\"", b'""'), layout, [*notes, r"read \" as a quote within a field"]
    return text, layout, notes


def _blocks(text: bytes) -> tuple[bytes, TextLayout, list[str]]:
    """Write the key of each block, `17:` or `17|3`, in front of its rows; the lines with the keys become comments."""
    lines, key = text.split(b"\n"), b""
    head = next(line.strip() for line in lines if line.strip())
    is_netflix = head.endswith(b":")
    separator, form = (b",", rb"(\d+):") if is_netflix else (b"\t", rb"(\d+)\|\d+")
    n_blocks = 0
    for at, line in enumerate(lines):
        stripped = line.strip()
        if found := re.fullmatch(form, stripped):
            key, lines[at] = found[1], b"#" + line
            n_blocks += 1
        elif stripped:
            lines[at] = key + separator + line
    first = next((line for line in lines if line.strip() and not line.startswith(b"#")), 3 * separator)
    fields = first.strip(b"\r\n ").split(separator)
    if not is_netflix:  # the days are counted from an unknown date
        names: tuple[str, ...] = ("user_id", "item_id", "rating", "day", "clock")
    elif len(fields) == 3 and b"-" in fields[2]:  # without ratings, as in the qualifying set
        names = ("item_id", "user_id", "timestamp")
    else:
        names = ("item_id", "user_id", "rating", "timestamp")
    of = "Netflix Prize" if is_netflix else "KDD Cup 2011"
    named = f"{plural(n_blocks, 'line')} such as {shorten(head.decode())} name the {names[0][:4]} of the rows below"
    layout = TextLayout(separator.decode(), names[: len(fields)], comment="#")
    return b"\n".join(lines), layout, [f"read the layout of the {of}: {named}"]


def _records(text: bytes) -> tuple[bytes, TextLayout, list[str]]:
    """Join each block of lines such as `review/score: 5.0` into one row on its first line; comment out the others."""
    lines = text.split(b"\n")
    rows: dict[int, dict[bytes, bytes]] = {}
    start, name = 0, b""
    for at, line in enumerate(lines):
        if not line.strip():
            start = at + 1
            continue
        field = re.match(rb"([\w/. -]{1,60}):(?: |$)", line)
        name, value = (field[1].strip(), line[field.end() :]) if field else (name, line)
        row = rows.setdefault(start, {})
        row[name] = (row[name] + b" " if name in row else b"") + value.strip().replace(b"\t", b" ")
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [b"\t".join(rows[at].get(name, b"") for name in names) if at in rows else b"#" for at in range(len(lines))]
    header = tuple(name.decode(errors="replace") for name in names)
    note = f"read {plural(len(rows), 'block')} of lines such as {shorten(header[0] + ': …')} as rows"
    return b"\n".join(lines), TextLayout("\t", header, quoted=False, comment="#"), [note]


def _with_plain_quotes(text: bytes) -> tuple[bytes, list[str]]:
    """Convert single or typographic quotes, or spaces before quotes, to the form of RFC 4180; also return a note."""
    head = text[:4096].decode(errors="replace").split("\n")[:-1][:40]
    if head and head[0].lstrip("\ufeff").startswith("“"):
        return text.replace("“".encode(), b'"').replace("”".encode(), b'"'), ["read “…” as quotes around fields"]
    opened = r'(?<=[,;|]) +"(?!")'
    if len(head) > 1 and all(re.search(opened, line) for line in head[1:]):
        return re.sub(opened.encode(), b'"', text), ["removed the spaces in front of quotes"]
    field = r"(?:^|(?<=[,;|\t]))'((?:[^'\n]|'')*)'(?=[,;|\t\r]|$)"
    if len(head) < 3 or not all(re.search(field, line) for line in head[1:]) or b'"' in text:
        return text, []
    quoted = re.sub(rb"(?m)" + field.encode(), lambda match: b'"' + match[1].replace(b"''", b"'") + b'"', text)
    return quoted, ["read '…' as quotes around fields"]


def _has_backslashes(text: bytes, layout: TextLayout) -> bool:
    r"""Return whether `\"` is a quote within a field: whether more lines are well formed if it is read so."""
    if b"\\" not in text:  # one byte is found faster than two
        return False
    lines = [line for line in text.split(b"\n") if rb"\"" in line][:1000]
    pattern = row_pattern(layout.separator, len(layout.names))
    as_they_are = sum(pattern.fullmatch(line) is not None for line in lines)
    return sum(pattern.fullmatch(line.replace(rb"\"", b'""')) is not None for line in lines) > as_they_are
