"""Shared parts of all plots: two colour schemes, fonts, empty figures and wrapped text."""

import textwrap
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from reelated.errors import InputTypeError
from reelated.formatting import printable
from reelated.plot.saving import collect_missing_glyphs, matplotlib_settings
from reelated.recommender import Recommender

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FONTS = ("DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Hiragino Sans", "Yu Gothic", "Microsoft YaHei",
          "Malgun Gothic", "Nirmala UI", "Leelawadee UI")  # fmt: skip
"""Preferred fonts, in this order, where installed: Matplotlib's own, then some for other scripts."""


class Colours(NamedTuple):
    """The colours of a plot; elements of different colours also have different shapes or labels."""

    ground: str
    ink: str
    quiet: str
    line: str
    main: str
    other: str


LIGHT = Colours("#ffffff", "#1f2328", "#59636e", "#d1d9e0", "#2f6fb3", "#b4531a")
DARK = Colours("#0d1117", "#e6edf3", "#9aa4ae", "#39424c", "#6cb0f0", "#f0a060")


def check_fitted(rec: Any) -> Recommender:
    """Return a fitted recommender, or raise `InputError`."""
    if not isinstance(rec, Recommender):
        raise InputTypeError("expected a fitted Recommender.", parameter="rec", value=rec)
    rec.item_ids  # noqa: B018  # raises if it is not fitted
    return rec


@contextmanager
def drawing(dark: bool) -> Iterator[Colours]:
    """Apply our style and colours regardless of the caller's settings; `$` in a title does not start a formula."""
    colours = DARK if dark else LIGHT
    with matplotlib_settings(lambda: _style(colours)):
        yield colours


def _style(colours: Colours) -> dict[str, Any]:
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    by_setting = {"figure.facecolor": "ground", "axes.facecolor": "ground", "text.color": "ink"}
    by_setting |= {"axes.labelcolor": "quiet", "axes.edgecolor": "line", "axes.titlecolor": "ink"}
    by_setting |= {f"{axis}tick.color": "line" for axis in "xy"} | {f"{axis}tick.labelcolor": "quiet" for axis in "xy"}
    return {name: getattr(colours, colour) for name, colour in by_setting.items()} | {
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


def new_figure(width: float, height: float, title: str) -> "Figure":
    """Return an empty figure, sizes in inches, with a title wrapped to its width."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from reelated.plot.figure import Figure  # `import reelated` does not load Matplotlib

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12, wspace=0.04)
    figure = Figure(figsize=(width, height), dpi=150, layout=layout)
    lines = wrapped(title, int(width * 8))
    figure.suptitle(lines, x=0.12 / width, ha="left", fontsize=12, fontweight="bold")
    return figure


def widest(texts: list[str]) -> float:
    """Return the rendered width of the widest text, in inches."""
    from matplotlib.figure import Figure

    figure = Figure(dpi=150)
    with collect_missing_glyphs():
        return max(figure.text(0, 0, text).get_window_extent().width for text in texts) / 150


def wrapped(text: str, width: int, lines: int = 3) -> str:
    """Wrap a text to at most `lines` lines of `width` lower-case letters; longer words are broken."""
    text = printable(text[: 4 * width * lines])
    width = max(2, int(width * len(text) / max(1.0, sum(map(_width, text)))))
    rows = textwrap.wrap(text, width)
    if len(rows) > lines:
        rows[lines - 1 :] = [rows[lines - 1][: width - 1].rstrip() + "…"]
    return "\n".join(rows)


def _width(character: str) -> float:
    """Return the width of a character in lower-case letters: 2 for Chinese, Japanese and Korean characters."""
    if unicodedata.east_asian_width(character) in "WF":
        return 2.0
    return 1.75 if character in "MWmw@%" else 1.35 if character.isupper() else 1.0


def number(value: float, form: str = ".2f") -> str:
    """Format a number with a true minus sign."""
    return f"{value:{form}}".replace("-", "−")


def footnote(figure: "Figure", text: str, colours: Colours) -> None:
    """Write a line in small print below a figure."""
    figure.supxlabel(text, x=0.12 / figure.get_figwidth(), ha="left", fontsize=8, color=colours.quiet)


def placeholder(axes: "Axes", text: str, colours: Colours) -> None:
    """Write a message in place of a chart."""
    axes.set_axis_off()
    axes.text(0, 0.5, text, color=colours.quiet, transform=axes.transAxes)
