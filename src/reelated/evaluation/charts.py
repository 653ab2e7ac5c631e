"""Small charts as SVG text; the page that embeds them sets their colours by CSS classes."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 460, 280
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 16, 46


class Point(NamedTuple):
    """A dot or bar: position, label, CSS class and size."""

    x: float
    y: float
    label: str = ""
    kind: str = "first"
    size: float = 5


class Axes(NamedTuple):
    """The ranges and names of the two axes."""

    x_name: str
    y_name: str
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        """Return the horizontal position of a value in the SVG."""
        low, high = self.x_range
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Return the vertical position of a value in the SVG, which grows downwards."""
        low, high = self.y_range
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)


def scatter(axes: Axes, points: Sequence[Point]) -> str:
    """Draw labelled dots."""
    dots = []
    for point in points:
        x, y = axes.x(point.x), axes.y(point.y)
        anchor, beside = ("end", x - 9) if x > WIDTH * 0.65 else ("start", x + 9)
        dots.append(
            f'<circle class="{point.kind}" cx="{x:.1f}" cy="{y:.1f}" r="{point.size:.1f}">'
            f"<title>{escape(point.label)}: {point.x:.3f}, {point.y:.3f}</title></circle>"
            f'<text class="name" x="{beside:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{escape(point.label)}</text>'
        )
    return _svg(axes, "".join([*_ticks(axes), *dots]))


def against_diagonal(axes: Axes, points: Sequence[Point]) -> str:
    """Draw dots and the line on which both numbers are equal."""
    low, high = axes.x_range
    line = (
        f'<line class="ideal" x1="{axes.x(low):.1f}" y1="{axes.y(low):.1f}" '
        f'x2="{axes.x(high):.1f}" y2="{axes.y(high):.1f}"/>'
    )
    dots = [
        f'<circle class="{point.kind}" cx="{axes.x(point.x):.1f}" cy="{axes.y(point.y):.1f}" r="{point.size:.1f}">'
        f"<title>{escape(point.label)}</title></circle>"
        for point in points
    ]
    return _svg(axes, "".join([*_ticks(axes), line, *dots]))


def bars(y_name: str, x_name: str, points: Sequence[Point]) -> str:
    """Draw one bar for each point, in order, from zero."""
    axes = Axes(x_name, y_name, (0, len(points)), (0, 1.1 * max(point.y for point in points)))
    drawn = []
    for at, point in enumerate(points):
        x, y, bottom = axes.x(at + 0.12), axes.y(point.y), axes.y(0)
        width, middle, named = axes.x(at + 0.88) - x, axes.x(at + 0.5), escape(point.label)
        drawn.append(
            f'<rect class="{point.kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{bottom - y:.1f}"/>'
            f'<text class="value" x="{middle:.1f}" y="{y - 5:.1f}" text-anchor="middle">{point.y:.2f}</text>'
            f'<text class="tick" x="{middle:.1f}" y="{bottom + 16:.1f}" text-anchor="middle">{named}</text>'
        )
    return _svg(axes, "".join([*_ticks(axes, across=False), *drawn]))


def _ticks(axes: Axes, *, across: bool = True) -> list[str]:
    """Draw grid lines with their values."""
    drawn = []
    for value in ticks(*axes.y_range):
        y = axes.y(value)
        drawn.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        drawn.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in ticks(*axes.x_range) if across else ():
        x = axes.x(value)
        drawn.append(f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}"/>')
        drawn.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:g}</text>')
    return drawn


def ticks(low: float, high: float) -> list[float]:
    """Return about three to seven round values from low to high."""
    power = 10.0 ** math.floor(math.log10(high - low))
    step = next(step for step in (power / 5, power / 2, power, 2 * power) if (high - low) / step <= 6)
    return [round(at * step, 9) for at in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _svg(axes: Axes, drawn: str) -> str:
    """Wrap a drawing in an SVG element with the names of both axes."""
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(axes.y_name)}, by {escape(axes.x_name)}">'
        f"{drawn}"
        f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(axes.x_name)}</text>"
        f'<text class="axis" transform="translate(13 {middle:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(axes.y_name)}</text></svg>"
    )
