"""Text in unusual forms → text with one separator: the Netflix Prize blocks, runs of spaces, backslashes before quotes.

Every form keeps the lines, so that line numbers in messages are those of the file.
"""

import re

from reelated.data.text_layout import ColumnSpec, TextLayout, detect_layout
from reelated.data.text_parser import row_pattern
from reelated.errors import plural

_FIRST_BLOCK = re.compile(rb"\s*\d+:[ \t]*\r?\n\s*\d+(?:,|\r?\n|\Z)")


def arrange_text(label: str, text: bytes, spec: ColumnSpec) -> tuple[bytes, TextLayout, list[str]]:
    """Return a text with one separator, its layout, and notes."""
    if spec.is_ratings and _FIRST_BLOCK.match(text):
        return _netflix(text)
    if label.lower().startswith("movie_titles.") and re.match(rb"\d+,(\d{4}|NULL),", text):
        # titles of the Netflix Prize hold commas without quotes
        text = re.sub(rb"(?m)^([^,\n]*),([^,\n]*),", rb"\1\t\2\t", text)
        return text, TextLayout("\t", ("item_id", "year", "title"), quoted=False), []
    layout, notes = detect_layout(label, text, spec)
    if layout.comment:
        n_comments = text.count(b"\n" + layout.comment.encode()) + text.startswith(layout.comment.encode())
        n_comments -= layout.header_in_comment
        notes += [f"skipped {plural(n_comments, 'comment line')} ({layout.comment})"] * bool(n_comments)
    if layout.separator == " ":
        text = re.sub(rb"[ \t]+", b"\t", re.sub(rb"(?m)^[ \t]+|[ \t\r]+$", b"", text))
        return text, layout._replace(separator="\t"), notes
    if layout.quoted and _has_backslashes(text, layout):
        return text.replace(rb"\"", b'""'), layout, [*notes, r"read \" as a quote within a field"]
    return text, layout, notes


def _netflix(text: bytes) -> tuple[bytes, TextLayout, list[str]]:
    """Write the item of each block, `17:`, in front of its rows; the lines of the items become comments."""
    lines, item = text.split(b"\n"), b""
    n_blocks = 0
    for at, line in enumerate(lines):
        stripped = line.strip()
        if re.fullmatch(rb"\d+:", stripped):
            item, lines[at] = stripped[:-1], b"#" + line
            n_blocks += 1
        elif stripped:
            lines[at] = item + b"," + line
    first = next((line for line in lines if line.strip() and not line.startswith(b"#")), b",,,").strip().split(b",")
    names = ("item_id", "user_id", "rating", "timestamp")[: len(first)]
    if len(first) == 3 and b"-" in first[2]:  # without ratings, as in the qualifying set
        names = ("item_id", "user_id", "timestamp")
    note = (
        f"read the layout of the Netflix Prize: {plural(n_blocks, 'line')} such as '1:' name the item of the rows below"
    )
    return b"\n".join(lines), TextLayout(",", names, comment="#"), [note]


def _has_backslashes(text: bytes, layout: TextLayout) -> bool:
    r"""Return whether `\"` is a quote within a field: if read so, more lines are well formed."""
    if b"\\" not in text:  # one byte is found faster than two
        return False
    lines = [line for line in text.split(b"\n") if rb"\"" in line][:1000]
    pattern = row_pattern(layout.separator, len(layout.names))
    as_they_are = sum(pattern.fullmatch(line) is not None for line in lines)
    return sum(pattern.fullmatch(line.replace(rb"\"", b'""')) is not None for line in lines) > as_they_are
