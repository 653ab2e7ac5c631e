"""Small charts as SVG text; the page that embeds them sets their colours by CSS classes."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from reelated.plot import svg

WIDTH, HEIGHT = 460, 280
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 16, 46


class Point(NamedTuple):
    """A dot or bar: position, label, CSS class and radius."""

    x: float
    y: float
    label: str = ""
    kind: str = "first"
    size: float = 5.0


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
    marks = []
    for point in points:
        x, y = axes.x(point.x), axes.y(point.y)
        anchor, label_x = ("end", x - 9) if x > WIDTH * 0.65 else ("start", x + 9)
        marks.append(svg.circle(x, y, point.size, point.kind, f"{point.label}: {point.x:.3f}, {point.y:.3f}"))
        marks.append(svg.text(label_x, y + 4, point.label, "name", anchor))
    return _svg(axes, [*_grid(axes), *marks])


def calibration(axes: Axes, points: Sequence[Point]) -> str:
    """Draw dots and the diagonal, on which both numbers are equal."""
    low, high = axes.x_range
    diagonal = _line("ideal", axes.x(low), axes.y(low), axes.x(high), axes.y(high))
    dots = [svg.circle(axes.x(point.x), axes.y(point.y), point.size, point.kind, point.label) for point in points]
    return _svg(axes, [*_grid(axes), diagonal, *dots])


def bars(y_name: str, x_name: str, points: Sequence[Point]) -> str:
    """Draw one bar for each point, in order, from zero."""
    axes = Axes(x_name, y_name, (0, len(points)), (0, 1.1 * max(point.y for point in points)))
    marks = []
    for index, point in enumerate(points):
        x, y, bottom = axes.x(index + 0.12), axes.y(point.y), axes.y(0)
        width, middle = axes.x(index + 0.88) - x, axes.x(index + 0.5)
        marks += [
            svg.element("rect", class_=point.kind, x=x, y=y, width=width, height=bottom - y),
            svg.text(middle, y - 5, f"{point.y:.2f}", "value", "middle"),
            svg.text(middle, bottom + 16, point.label, "tick", "middle"),
        ]
    return _svg(axes, [*_grid(axes, vertical=False), *marks])


def _grid(axes: Axes, *, vertical: bool = True) -> list[str]:
    """Draw grid lines with their values."""
    marks = []
    for value in ticks(*axes.y_range):
        y = axes.y(value)
        marks += [_line("grid", LEFT, y, WIDTH - RIGHT, y), svg.text(LEFT - 6, y + 4, f"{value:g}", "tick", "end")]
    for value in ticks(*axes.x_range) if vertical else ():
        x, bottom = axes.x(value), HEIGHT - BOTTOM
        marks += [_line("grid", x, TOP, x, bottom), svg.text(x, bottom + 16, f"{value:g}", "tick", "middle")]
    return marks


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return svg.element("line", class_=kind, x1=x1, y1=y1, x2=x2, y2=y2)


def ticks(low: float, high: float) -> list[float]:
    """Return about three to seven round values from low to high."""
    power = 10.0 ** math.floor(math.log10(high - low))
    step = next(step for step in (power / 5, power / 2, power, 2 * power) if (high - low) / step <= 6)
    return [round(n * step, 9) for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _svg(axes: Axes, marks: Sequence[str]) -> str:
    """Wrap a drawing in an SVG element with the names of both axes."""
    label = f"{axes.y_name}, by {axes.x_name}"
    centre = f"translate(13 {(TOP + HEIGHT - BOTTOM) // 2}) rotate(-90)"
    names = [
        svg.text((LEFT + WIDTH - RIGHT) // 2, HEIGHT - 8, axes.x_name, "axis", "middle"),
        svg.element("text", svg.safe(axes.y_name), class_="axis", transform=centre, text_anchor="middle"),
    ]
    return svg.element("svg", *marks, *names, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)
