"""Figures as PNG and SVG files, written atomically."""

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reelated.atomic import atomic_write
from reelated.errors import InputError, import_optional, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXTENSIONS = (".png", ".svg")


class FontWarning(UserWarning):
    """A plot has characters that no installed font has; the message lists them."""


def check_path(path: str | Path, extensions: tuple[str, ...] = EXTENSIONS) -> Path:
    """Return the path of the image file, or raise `InputError` if it cannot be written."""
    file = Path(path)
    if file.suffix.lower() not in extensions:
        raise InputError(f"expected a file that ends in {' or '.join(extensions)}.", parameter="path", value=str(path))
    if not file.parent.is_dir() or file.is_dir():
        raise InputError("expected a file in a folder that exists.", parameter="path", value=str(path))
    return file


def save(figure: "Figure", path: str | Path) -> Path:
    """Write a figure as PNG or SVG, by the file extension; an existing file is replaced atomically.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        A figure from a function of this module.
    path : str or Path
        A file that ends in `.png` or `.svg`. Equal figures give equal bytes.

    Raises
    ------
    InputError
        Another extension, a missing folder, or a file that cannot be written.

    Warns
    -----
    FontWarning
        The figure has characters that no installed font has; they appear as boxes.
    """
    file = check_path(path)
    data, unknown = render(figure, file.suffix.lower()[1:])
    write_image(file, data)
    if unknown:
        listed = " ".join(sorted(unknown)[:10]) + (" …" if len(unknown) > 10 else "")
        warnings.warn(
            f"No installed font has {plural(len(unknown), 'character')} ({listed}). They appear as boxes. Install a "
            "font that has them, such as Noto Sans.",
            FontWarning,
            stacklevel=2,
        )
    return file


def render(figure: "Figure", kind: str) -> tuple[bytes, set[str]]:
    """Return a figure as PNG or SVG, and the characters that no font has."""
    buffer = io.BytesIO()
    # equal figures give equal bytes: a fixed hash salt, and neither date nor version
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}[kind]
    with matplotlib_settings(lambda: {"svg.hashsalt": "reelated"}), collect_missing_glyphs() as unknown:
        figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue(), unknown


@contextmanager
def matplotlib_settings(ours: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """Replace the caller's Matplotlib settings by the defaults and ours."""
    matplotlib = import_optional("matplotlib", "plot")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(ours())
        yield


@contextmanager
def collect_missing_glyphs() -> Iterator[set[str]]:
    """Collect the characters that no font has, instead of Matplotlib's warning about each."""
    unknown: set[str] = set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield unknown
    for warning in caught:
        if match := re.match(r"Glyph (\d+) .* missing", str(warning.message)):
            unknown.add(chr(int(match[1])))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def write_image(file: Path, data: bytes) -> None:
    """Write an image file atomically, or raise `InputError`."""
    try:
        with atomic_write(file) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror}).", parameter="path", value=str(file)) from None
