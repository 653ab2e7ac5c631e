"""`Sum`: an explanation as rounded parts that add up, and as a bar."""

from math import floor, log10
from typing import Any, NamedTuple

from reelated.recommender import Reason, Why

NAMED = 4
"""Number of items named in a sum; the others are merged into one part."""
NOTABLE = 0.03
"""Minimum share of all contributions for an "although"."""


class Part(NamedTuple):
    """One part of a sum: its text, and its place and width in a bar of width 100."""

    label: str
    kind: str
    figure: str
    x: float
    width: float
    reason: Reason | None = None


class Sum(NamedTuple):
    """An explanation as parts whose printed figures add up exactly."""

    parts: list[Part]
    total: str
    because: list[Reason]  # the largest positive contributions
    although: list[Reason]  # the largest negative contribution, if notable and of an item rated low
    axis: float  # zero of the bar, from 0 to 100; negative contributions lie to the left


def add_up(why: Why) -> Sum:
    """Convert an explanation into a `Sum`."""
    because = list(why.for_it[:2])
    named = sorted(why.contributions, key=lambda reason: (reason not in because, -abs(reason.contribution)))[:NAMED]
    named.sort(key=lambda reason: -reason.contribution)
    rest = sum(reason.contribution for reason in why.contributions) - sum(reason.contribution for reason in named)
    n_rest = len(why.contributions) - len(named)
    told: list[tuple[str, str, float, Reason | None]] = []
    if why.by == "rating":
        told.append(("What is usual for this item and for you", "base", why.base, None))
    told += [(reason.title, "reason", reason.contribution, reason) for reason in named]
    if n_rest or why.by != "rating":
        label = f"Your {n_rest} other {'rating' if n_rest == 1 else 'ratings'}" if n_rest else "All else"
        told.append((label, "rest", rest + (0.0 if why.by == "rating" else why.base), None))
    told.append(("Cut to the scale", "clip", why.clip, None))
    parts, total, axis = _drawn(told, sum(value for _, _, value, _ in told), why.by)
    reach = sum(abs(reason.contribution) for reason in why.contributions)
    notable = [reason for reason in why.against_it[:1] if -reason.contribution > NOTABLE * reach]
    although = [reason for reason in notable if is_low(reason, because)]
    return Sum(parts, total, because, although, axis)


def is_low(reason: Reason, others: list[Reason]) -> bool:
    """Return whether an item was rated low: not liked, and lower than each of `others`."""
    given = reason.rating
    return given is not None and not reason.liked and all(given < (other.rating or 0.0) for other in others)


def _drawn(told: list[tuple[str, str, float, Any]], value: float, by: str) -> tuple[list[Part], str, float]:
    """Round the parts so that the printed figures add up, and lay out the bar."""
    worth = 1 if by == "rating" else 100  # scores are shown × 100: 4.2 is easier to read than 0.042
    digits = 2 if by == "rating" else min(max(2 - floor(log10(abs(value * worth) or 1.0)), 0), 6)
    units = [round(part * worth * 10**digits) for _, _, part, _ in told]
    total = round(value * worth * 10**digits)
    at = max(range(len(told)), key=lambda at: (told[at][1] == "rest", abs(units[at])))
    units[at] += total - sum(units)  # the largest part absorbs the rounding error, where it shows least
    drawn = [part if kind in ("reason", "rest") else 0.0 for _, kind, part, _ in told]
    up, down = sum(part for part in drawn if part > 0), -sum(part for part in drawn if part < 0)
    scale = 100 / ((up + down) or 1.0)
    axis = left = right = down * scale
    parts = []
    for (label, kind, _, reason), unit, part in zip(told, units, drawn, strict=True):
        width = abs(part) * scale
        left, x, right = (left - width, left - width, right) if part < 0 else (left, right, right + width)
        if unit or kind != "clip":
            parts.append(Part(label, kind, figure(unit, digits, kind != "base"), round(x, 2), round(width, 2), reason))
    return parts, figure(total, digits, False), round(axis, 2)


def figure(units: int, digits: int, signed: bool) -> str:
    """Format an integer number of last-digit units, with a plus sign if `signed`."""
    text = f"{abs(units) / 10**digits:.{digits}f}"
    return ("−" if units < 0 else "+" if signed else "") + text
