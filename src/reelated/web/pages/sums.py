"""`Sum`: one number of a list as parts that add up, in figures and as a bar."""

from math import floor, log10
from typing import Any, NamedTuple

from reelated.recommender import Reason, Why

NAMED = 4
"""Movies that are named in a sum; the others are one part."""
NOTABLE = 0.03
"""What has less than this share of all contributions is not worth an "although"."""


class Part(NamedTuple):
    """One part of a sum, as it is written and as it is drawn: from `x` on so wide, of 100."""

    label: str
    kind: str
    figure: str
    x: float
    width: float
    reason: Reason | None = None


class Sum(NamedTuple):
    """Parts that add up to a number.

    Attributes
    ----------
    parts : list of Part
        In the order in which they are told.
    total : str
        What they add up to: the written figures do, to the last digit.
    because : list of Reason
        The largest positive contributions, the largest first.
    although : list of Reason
        The largest negative contribution, if it is notable and of a movie that was rated low.
    axis : float
        Where the bar begins, of 100: what pulls down lies to the left.
    """

    parts: list[Part]
    total: str
    because: list[Reason]
    although: list[Reason]
    axis: float


def add_up(why: Why) -> Sum:
    """Return the parts of an explanation."""
    because = list(why.for_it[:2])
    named = sorted(why.contributions, key=lambda reason: (reason not in because, -abs(reason.contribution)))[:NAMED]
    named.sort(key=lambda reason: -reason.contribution)
    rest = sum(reason.contribution for reason in why.contributions) - sum(reason.contribution for reason in named)
    n_rest = len(why.contributions) - len(named)
    told: list[tuple[str, str, float, Reason | None]] = []
    if why.by == "rating":
        told.append(("What is usual for this movie and for you", "base", why.base, None))
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
    """Say whether a movie was rated low: it is not liked, and was rated lower than the movies named beside it."""
    given = reason.rating
    return given is not None and not reason.liked and all(given < (other.rating or 0.0) for other in others)


def _drawn(told: list[tuple[str, str, float, Any]], value: float, by: str) -> tuple[list[Part], str, float]:
    """Round the parts so that what is written adds up, and lay them out as a bar."""
    worth = 1 if by == "rating" else 100  # nobody likes to read 0.042
    digits = 2 if by == "rating" else min(max(2 - floor(log10(abs(value * worth) or 1.0)), 0), 6)
    units = [round(part * worth * 10**digits) for _, _, part, _ in told]
    total = round(value * worth * 10**digits)
    at = max(range(len(told)), key=lambda at: (told[at][1] == "rest", abs(units[at])))
    units[at] += total - sum(units)  # what rounding left goes where it is seen least
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
    """Write a number of units of the last digit, with a sign where it is added."""
    text = f"{abs(units) / 10**digits:.{digits}f}"
    return ("−" if units < 0 else "+" if signed else "") + text
