"""`RatingInput`: the rating buttons of a scale, with their labels."""

from typing import NamedTuple

from reelated.ratings import Feedback, Scale

MAX_BUTTONS = 11
"""Maximum number of buttons; a finer scale gets a number field."""
NAMES = ("hated it", "disliked it", "it was okay", "liked it", "loved it")


class RatingButton(NamedTuple):
    """One rating button."""

    value: float
    text: str
    label: str


class RatingInput(NamedTuple):
    """The rating buttons of a scale."""

    scale: Scale
    buttons: tuple[RatingButton, ...]
    """Empty if the scale is too fine."""
    halves: bool
    """Whether each button is half a star."""
    names: tuple[str, ...] = NAMES
    single: bool = False
    """Whether there is only one button, as for implicit feedback."""
    verb: str = "have"
    """The label of that button: "have", or the verb of the data, such as "bought"."""

    @classmethod
    def of(cls, scale: Scale, feedback: Feedback = "explicit", verb: str = "") -> "RatingInput":
        low, high, step = scale
        if feedback == "implicit" or low == high:
            verb = verb or "have"
            return cls(scale, (RatingButton(high, f"{high:g}", f"I {verb} this"),), False, single=True, verb=verb)
        count = round((high - low) / step) + 1 if step > 0 else MAX_BUTTONS + 1
        if not 2 <= count <= MAX_BUTTONS:
            return cls(scale, (), False)
        values = [low + step * index for index in range(count)]
        buttons = tuple(RatingButton(value, f"{value:g}", f"{value:g}: {name_of(value, scale)}") for value in values)
        return cls(scale, buttons, step == 0.5 and low == 0.5)


def name_of(rating: float, scale: Scale) -> str:
    """Return the label of a rating, from "hated it" to "loved it"."""
    share = (rating - scale.low) / (scale.high - scale.low or 1)
    return NAMES[min(int(share * len(NAMES)), len(NAMES) - 1)]
