"""Shared parts of all plots: lazy import of Matplotlib, two colour schemes, fonts, and atomic files."""

import io
import os
import re
import textwrap
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reelated.errors import InputError, InputTypeError, not_installed, plural, shorten
from reelated.recommender import Recommender
from reelated.recommender.rows import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENDINGS = (".png", ".svg")
_FONTS = ("DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "Yu Gothic", "Microsoft YaHei",
          "Malgun Gothic", "Nirmala UI", "Leelawadee UI")  # fmt: skip
"""Preferred fonts, in this order, where installed: Matplotlib's own, then some for other scripts."""


class FontWarning(UserWarning):
    """No installed font has some characters of a plot; the message lists them."""


class Colours(NamedTuple):
    """The colours of a plot; what they distinguish also differs in shape or is labelled."""

    ground: str
    ink: str
    quiet: str
    line: str
    main: str
    other: str


LIGHT = Colours("#ffffff", "#1f2328", "#59636e", "#d1d9e0", "#2f6fb3", "#b4531a")
DARK = Colours("#0d1117", "#e6edf3", "#9aa4ae", "#39424c", "#6cb0f0", "#f0a060")


def check_matplotlib() -> Any:
    """Return Matplotlib, or raise `InputError` with how to install it."""
    try:
        import matplotlib
    except ImportError:
        raise not_installed("matplotlib", "plot") from None
    return matplotlib


def check_path(path: str | Path, endings: tuple[str, ...] = ENDINGS) -> Path:
    """Return the path of the image file, or raise `InputError` if it cannot be written."""
    file = Path(path)
    if file.suffix.lower() not in endings:
        raise InputError(f"path={shorten(str(path))}: expected a file that ends in {' or '.join(endings)}.")
    if not file.parent.is_dir() or file.is_dir():
        raise InputError(f"path={shorten(str(path))}: expected a file in a folder that exists.")
    return file


def check_fitted(rec: Any) -> Recommender:
    """Return a fitted recommender, or raise `InputError`."""
    if not isinstance(rec, Recommender):
        raise InputTypeError(f"rec={shorten(rec)}: expected a fitted Recommender.")
    rec.item_ids  # noqa: B018  # raises if it is not fitted
    return rec


@contextmanager
def drawing(dark: bool) -> Iterator[Colours]:
    """Apply our style and colours regardless of the caller's settings; `$` in a title is no formula."""
    colours = DARK if dark else LIGHT
    with _settings(lambda: _manner(colours)):
        yield colours


@contextmanager
def _settings(ours: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """Replace the caller's Matplotlib settings by the defaults and ours."""
    matplotlib = check_matplotlib()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(ours())
        yield


def _manner(colours: Colours) -> dict[str, Any]:
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    told = {"figure.facecolor": "ground", "axes.facecolor": "ground"}
    told |= {"text.color": "ink", "axes.labelcolor": "quiet", "axes.edgecolor": "line", "axes.titlecolor": "ink"}
    told |= {"xtick.color": "line", "ytick.color": "line", "xtick.labelcolor": "quiet", "ytick.labelcolor": "quiet"}
    return {name: getattr(colours, colour) for name, colour in told.items()} | {
        "font.family": [name for name in _FONTS if name in installed]
        + sorted(name for name in installed if name.startswith("Noto Sans") and name not in _FONTS),
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.titlepad": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "text.parse_math": False,
    }


def figure_of(width: float, height: float, title: str) -> "Figure":
    """Return an empty figure, sizes in inches, with a title wrapped to its width."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from reelated.plot.figure import Figure

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12, wspace=0.04)
    figure = Figure(figsize=(width, height), dpi=150, layout=layout)
    lines = wrapped(title, int(width * 8))
    figure.suptitle(lines, x=0.12 / width, ha="left", fontsize=12, fontweight="bold")
    return figure


def widest(texts: list[str]) -> float:
    """Return the rendered width of the widest text, in inches."""
    from matplotlib.figure import Figure

    figure = Figure(dpi=150)
    with quiet_about_fonts():
        return max(figure.text(0, 0, text).get_window_extent().width for text in texts) / 150


def wrapped(text: str, width: int, lines: int = 3) -> str:
    """Wrap a text to a few lines, their width in small letters; overlong words are broken too."""
    text = printable(text[: 4 * width * lines])
    width = max(2, int(width * len(text) / max(1.0, sum(map(_width, text)))))
    rows = textwrap.wrap(text, width)
    if len(rows) > lines:
        rows[lines - 1 :] = [rows[lines - 1][: width - 1].rstrip() + "…"]
    return "\n".join(rows)


def _width(sign: str) -> float:
    """Return the width of a character in small letters: Chinese, Japanese and Korean ones take two."""
    if unicodedata.east_asian_width(sign) in "WF":
        return 2.0
    return 1.75 if sign in "MWmw@%" else 1.35 if sign.isupper() else 1.0


def number(value: float, form: str = ".2f") -> str:
    """Format a number with a true minus sign."""
    return f"{value:{form}}".replace("-", "−")


def say_instead(axes: "Axes", text: str, colours: Colours) -> None:
    """Write a message in place of a chart."""
    axes.set_axis_off()
    axes.text(0, 0.5, text, color=colours.quiet, transform=axes.transAxes)


def save(figure: "Figure", path: str | Path) -> Path:
    """Write a figure as PNG or SVG, by the file extension; an existing file is replaced atomically.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        A figure from a function of this module.
    path : str or Path
        A file that ends in `.png` or `.svg`. Equal figures give equal bytes.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        Another extension, a missing folder, or a file that cannot be written.

    Warns
    -----
    FontWarning
        No installed font has some characters; they appear as boxes.
    """
    file = check_path(path)
    data, unknown = rendered(figure, file.suffix.lower()[1:])
    write_whole(file, data)
    if unknown:
        told = " ".join(sorted(unknown)[:10]) + (" …" if len(unknown) > 10 else "")
        advice = "Boxes stand in their place. Install a font that knows them, such as Noto Sans."
        warnings.warn(
            f"No font here knows {plural(len(unknown), 'sign')} ({told}). {advice}", FontWarning, stacklevel=2
        )
    return file


def rendered(figure: "Figure", kind: str) -> tuple[bytes, set[str]]:
    """Return a figure as PNG or SVG, and the characters that no font has."""
    memory = io.BytesIO()
    # without date and version equal figures give equal bytes, as does the fixed hash salt
    undated = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}[kind]
    with _settings(lambda: {"svg.hashsalt": "reelated"}), quiet_about_fonts() as unknown:
        figure.savefig(memory, format=kind, metadata=undated)
    return memory.getvalue(), unknown


def write_whole(file: Path, data: bytes) -> None:
    """Write a file atomically; an existing one is replaced."""
    beside = file.with_name(f".{file.name}-{os.getpid()}")
    try:
        beside.write_bytes(data)
        beside.replace(file)
    except OSError as error:
        raise InputError(f"path={shorten(str(file))}: cannot be written ({error.strerror}).") from None
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def quiet_about_fonts() -> Iterator[set[str]]:
    """Collect the characters that no font has, instead of Matplotlib's warning about each."""
    unknown: set[str] = set()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield unknown
    for warning in caught:
        if found := re.match(r"Glyph (\d+) .* missing", str(warning.message)):
            unknown.add(chr(int(found[1])))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
