"""`Breakdown`: an explanation as rounded parts that add up, and as a bar."""

from math import floor, log10
from typing import NamedTuple

from reelated.recommender import Explanation, Reason

MAX_NAMED = 4
"""Number of items named in a breakdown; the others are merged into one part."""
MIN_SHARE = 0.03
"""Minimum share of all contributions at which a negative one is named after "although"."""


class BreakdownPart(NamedTuple):
    """One part of a breakdown: its text, and its place and width in a bar of width 100."""

    label: str
    kind: str
    figure: str
    x: float
    width: float
    reason: Reason | None = None


class Breakdown(NamedTuple):
    """An explanation as parts whose printed figures add up exactly."""

    parts: list[BreakdownPart]
    total: str
    because: list[Reason]  # the largest positive contributions
    although: list[Reason]  # the largest negative contribution, if notable and of an item rated low
    axis: float  # position of zero on the bar, in percent; negative contributions lie to the left


class _Term(NamedTuple):
    """One unrounded part."""

    label: str
    kind: str
    value: float
    reason: Reason | None = None


def break_down(explanation: Explanation) -> Breakdown:
    """Convert an explanation into a `Breakdown`."""
    because = list(explanation.positive[:2])
    parts, total, axis = _lay_out(_terms(explanation, because), explanation.by)
    all_contributions = sum(abs(reason.contribution) for reason in explanation.contributions)
    notable = [reason for reason in explanation.negative[:1] if -reason.contribution > MIN_SHARE * all_contributions]
    although = [reason for reason in notable if is_low(reason, because)]
    return Breakdown(parts, total, because, although, axis)


def _terms(explanation: Explanation, because: list[Reason]) -> list[_Term]:
    """Return the unrounded parts: base, named items, the rest, and the clipping."""
    is_rating = explanation.by == "rating"
    contributions = explanation.contributions
    named = sorted(contributions, key=lambda reason: (reason not in because, -abs(reason.contribution)))[:MAX_NAMED]
    named.sort(key=lambda reason: -reason.contribution)
    terms = [_Term("The usual rating for this item and for you", "base", explanation.base)] if is_rating else []
    terms += [_Term(reason.title, "reason", reason.contribution, reason) for reason in named]
    n_rest = len(contributions) - len(named)
    if n_rest or not is_rating:
        rest = explanation.other(named)
        word = "choice" if contributions and contributions[0].rating is None else "rating"
        label = f"Your {n_rest} other {word}{'s' if n_rest > 1 else ''}" if n_rest else "Everything else"
        terms.append(_Term(label, "rest", rest + (0.0 if is_rating else explanation.base)))
    return [*terms, _Term("Limited to the scale", "clip", explanation.clip)]


def is_low(reason: Reason, others: list[Reason]) -> bool:
    """Return whether an item was rated low: not liked, and lower than each of `others`."""
    rating = reason.rating
    return rating is not None and not reason.liked and all(rating < (other.rating or 0.0) for other in others)


def _lay_out(terms: list[_Term], by: str) -> tuple[list[BreakdownPart], str, float]:
    """Round the parts so that the printed figures add up, and lay out the bar."""
    value = sum(term.value for term in terms)
    factor = 1 if by == "rating" else 100  # scores are shown × 100: 4.2 is easier to read than 0.042
    digits = 2 if by == "rating" else min(max(2 - floor(log10(abs(value * factor) or 1.0)), 0), 6)
    units = [round(term.value * factor * 10**digits) for term in terms]
    total = round(value * factor * 10**digits)
    absorber = max(range(len(terms)), key=lambda index: (terms[index].kind == "rest", abs(units[index])))
    units[absorber] += total - sum(units)  # the rounding error is least visible in the rest or in the largest part
    lengths = [term.value if term.kind in ("reason", "rest") else 0.0 for term in terms]
    up, down = sum(length for length in lengths if length > 0), -sum(length for length in lengths if length < 0)
    scale = 100 / ((up + down) or 1.0)
    axis = left = right = down * scale
    parts = []
    for term, unit, length in zip(terms, units, lengths, strict=True):
        width = abs(length) * scale
        left, x, right = (left - width, left - width, right) if length < 0 else (left, right, right + width)
        if unit or term.kind != "clip":
            text = figure(unit, digits, term.kind != "base")
            parts.append(BreakdownPart(term.label, term.kind, text, round(x, 2), round(width, 2), term.reason))
    return parts, figure(total, digits, False), round(axis, 2)


def figure(units: int, digits: int, signed: bool) -> str:
    """Format an integer number of units of the last digit, with a plus sign if `signed`."""
    text = f"{abs(units) / 10**digits:.{digits}f}"
    return ("−" if units < 0 else "+" if signed else "") + text
