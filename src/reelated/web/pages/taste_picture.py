"""The picture of a taste profile for link previews: 1200 × 630 pixels, drawn by Matplotlib."""

import io
import threading
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from reelated.errors import plural
from reelated.formatting import cut
from reelated.recommender.title_search import main_title
from reelated.web.pages.taste import Taste

PAPER, INK, SOFT, ACCENT = "#faf8f4", "#1d1b18", "#635e56", "#b8400e"
N_BARS = 5
_lock = threading.Lock()  # Matplotlib's caches of fonts are not thread-safe


def draw(taste: Taste, n_rated: int, noun: str) -> bytes:
    """Return the picture as PNG: the most distinctive genres and item."""
    with _lock:
        figure = Figure(figsize=(12, 6.3), dpi=100, facecolor=PAPER)
        FigureCanvasAgg(figure)
        _write(figure, 0.06, 0.84, "Reelated.", 40, INK, style="italic")
        _write(figure, 0.06, 0.74, f"A taste in {plural(n_rated, noun)}", 25, SOFT)
        shares = sorted(taste.genres, key=lambda share: share.all - share.own)[:N_BARS]
        _bars(figure, [(share.name, share.own, share.all) for share in shares])
        if taste.telling:
            most = taste.telling[0]
            text = f"{cut(main_title(most.title), 46)}: rated {most.rating:g}, where {most.expected:.1f} was expected"
            _write(figure, 0.06, 0.07, text, 19, SOFT)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()


def _write(figure: Figure, x: float, y: float, text: str, size: float, color: str, style: str = "normal") -> None:
    # no mathtext: `$` in a title is no formula
    figure.text(x, y, text, fontsize=size, color=color, family="serif", style=style, parse_math=False)


def _bars(figure: Figure, shares: list[tuple[str, float, float]]) -> None:
    """Draw a bar for each share, with a line at the share of all users."""
    axes = figure.add_axes((0.28, 0.17, 0.66, 0.5))
    axes.set_axis_off()
    axes.set_ylim(N_BARS - 0.5, -0.5)
    axes.set_xlim(0, max((max(own, everyone) for _, own, everyone in shares), default=1.0) * 1.15 or 1.0)
    for place, (name, own, everyone) in enumerate(shares):
        axes.barh(place, own, height=0.55, color=ACCENT)
        axes.plot([everyone, everyone], [place - 0.4, place + 0.4], color=INK, linewidth=3)
        axes.text(own, place, f"  {own:.0f} %", va="center", fontsize=18, color=SOFT)
        how: Any = {"ha": "right", "va": "center", "fontsize": 20, "color": INK}
        axes.annotate(cut(name, 18), (0, place), (-12, 0), textcoords="offset points", **how).set_parse_math(False)
    axes.text(0, N_BARS - 0.4, "The line: everyone", fontsize=14, color=SOFT, va="top")
