"""Events such as clicks and purchases: the weight of each row, the verb of the data, and the confidence."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.errors import InputError, check_number, plural, shorten
from reelated.ratings.columns import ITEM_ALIASES, USER_ALIASES, plain

EventWeights = Mapping[str, float] | None
"""The type of an event → its weight: 0 ignores the type, and below 0 means "not interested"."""

DEFAULT_WEIGHTS = {
    **dict.fromkeys(("dislike", "thumbsdown", "downvote", "notinterested", "hide", "block"), -1.0),
    **dict.fromkeys(("impression", "exposure", "removefromcart", "unlike", "refund", "return"), 0.0),
}
"""Weights of types of events unless weights are given; all other types have weight 1."""
_VERBS = {
    "bought": ("purchase", "buy", "transaction", "order", "quantity", "qty", "sale"),
    "listened to": ("listen", "scrobble"),
    "watched": ("watch",),
    "viewed": ("view", "click", "visit", "pageview"),
    "liked": ("like", "favorite", "favourite", "heart"),
    "read": ("read",),
}
_PLAYED = {
    **dict.fromkeys(("artist", "track", "song", "album"), "listened to"),
    **dict.fromkeys(("movie", "film", "video", "show", "series", "anime"), "watched"),
}
NO_RATING_NAMES = ("price", "amount", "cost", "total", "revenue", "session", "invoice", "index", "lat", "lon",
                   "hour", "day", "week", "month", "year", "duration")  # fmt: skip
_MIN_COUNT, _MIN_DISTINCT, _MIN_RATIO = 100, 20, 10


def check_events(events: Any) -> dict[str, float] | None:
    """Return the weights of the types of events, or raise `InputError`."""
    if events is None:
        return None
    if not isinstance(events, Mapping) or not events:
        raise InputError(
            "expected types and weights, such as {'view': 1, 'cart': 3}.", parameter="events", value=events
        )
    return {str(name): check_number("events", weight, key=name) for name, weight in events.items()}


def weights_of(types: pl.Series, events: EventWeights) -> tuple[pl.Series, list[str]]:
    """Return the weight of each row by its type (null if the type has none), and notes with the count of each type."""
    types = types.cast(pl.String).fill_null("").str.strip_chars().alias("event")
    counts = types.value_counts().sort("count", "event", descending=[True, False])
    by_type = {name: weight_of_type(name, events) for name in counts["event"]}
    weights = types.replace_strict(by_type, return_dtype=pl.Float32)
    unknown = counts.filter(pl.col("event").is_in([name for name, weight in by_type.items() if weight is None]))
    listed = (counts if events is None else unknown).head(8).iter_rows()
    counted = ", ".join(f"{shorten(name)} {plural(n, 'time')}" for name, n in listed)
    if events is None:
        others = [f"{shorten(name)} {weight:g}" for name, weight in by_type.items() if weight != 1]
        return weights, [f"the types of events count {', '.join(['1 each', *others])} ({counted})"]
    n_unknown = plural(int(unknown["count"].sum()), "event")
    return weights, [f"left out {n_unknown} of types without a weight ({counted})"] * bool(len(unknown))


def weight_of_type(name: str, events: EventWeights) -> float | None:
    """Return the weight of a type of events; None if weights are given and it has none."""
    known = {plain(key): weight for key, weight in (DEFAULT_WEIGHTS if events is None else events).items()}
    return known.get(plain(name), 1.0 if events is None else None)


def has_no_rating(leftover: Iterable[str], sample: Mapping[str, Iterable[Any]]) -> bool:
    """Return whether the rating can be in none of the unknown columns: their only numbers are prices and ids."""
    known = {alias for aliases in (ITEM_ALIASES, USER_ALIASES) for names in aliases.values() for alias in names}
    for name in leftover:
        word = plain(name)
        is_other = (
            word in known
            or word.startswith("id")
            or word.endswith(("id", "no", "number"))
            or any(part in word for part in NO_RATING_NAMES)
        )
        if not is_other and _are_numbers(sample.get(name, ())):
            return False
    return True


def _are_numbers(values: Iterable[Any]) -> bool:
    """Return whether all values are numbers or empty, and at least one is a number."""
    texts = [str(value).strip() for value in values if value is not None and str(value).strip()]
    try:
        return bool([float(text) for text in texts])
    except ValueError:
        return False


def look_like_counts(values: pl.Series) -> bool:
    """Return whether a column of ratings holds counts: many distinct values, the largest far above the median."""
    low, high = values.min(), values.max()
    if not (isinstance(low, (int, float)) and isinstance(high, (int, float)) and low >= 0 and high > _MIN_COUNT):
        return False
    middle = values.median()  # checked last, because it copies the column
    return bool(_MIN_RATIO * middle <= high and values.n_unique() > _MIN_DISTINCT)  # type: ignore[operator]


def verb_of(item_column: str, weight_column: str | None, types: Iterable[str]) -> str:
    """Return a verb for the actions of users, such as "bought"; empty if the names indicate none."""
    words = [plain(name) for name in types] or [plain(weight_column or "")]
    found = {_verb(word, plain(item_column)) for word in words}
    return found.pop() if len(found) == 1 else ""


def _verb(word: str, item: str) -> str:
    if word.startswith(("play", "nplay", "hours", "minutes")):
        return next((verb for name, verb in _PLAYED.items() if item.startswith(name)), "played")
    return next((verb for verb, starts in _VERBS.items() if word.startswith(starts)), "")


def summed(table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Return one row per `key`: the sum of the weights and the latest time; pairs of weight 0 are left out."""
    times = [name for name in ("timestamp", "order") if name in table.columns]
    weight, n_rows = pl.col("rating").cast(pl.Float64), len(table)
    total = weight.sum()
    if table["event"].null_count() < n_rows:
        # an event below 0 means "not interested", whatever else happened; counts below 0, such as returns, are added
        total = pl.when(weight.min() < 0).then(weight.filter(weight < 0).sum()).otherwise(total)
    table = table.group_by("key", maintain_order=True).agg(total.cast(pl.Float32).alias("rating"), pl.col(times).max())
    nothing = int((table["rating"] == 0).sum())
    repeated, refused = n_rows - len(table), int((table["rating"] < 0).sum())
    notes = [f"summed {plural(repeated, 'repeated event')} of a user with the same item"] * bool(repeated)
    notes += [f"left out {plural(nothing, 'pair')} of user and item with weight 0"] * bool(nothing)
    notes += [f"{plural(refused, 'pair')} of user and item with a weight below 0: not interested"] * bool(refused)
    return (table.filter(pl.col("rating") != 0) if nothing else table), notes


def confidence(weights: npt.NDArray[Any], typical: float) -> npt.NDArray[np.float32]:
    """Return ``2 log(1 + w) / (log(1 + w) + log(1 + typical))``: below 2, so that a bot cannot dominate."""
    if typical <= 0:
        return np.ones(len(weights), np.float32)
    logarithm = np.log1p(np.maximum(np.asarray(weights, np.float64), 0))
    return (2 * logarithm / (logarithm + np.log1p(np.float64(np.float32(typical))))).astype(np.float32)
