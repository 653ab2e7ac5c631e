"""`Why`: the parts of one number, adding up, and what would be without each of them."""

from dataclasses import asdict, dataclass
from typing import Any

from reelated.recommender.answers import Reason, cell_text, with_year


@dataclass(frozen=True, slots=True)
class Without:
    """Where a movie would stand had the person not rated another.

    Attributes
    ----------
    movie_id : int or str
        The rated movie that is left out.
    title, year
        What the catalogue says.
    rank, new_rank : int or None
        The explained movie's place among all that the person has not rated, with and without; None: not listed.
    """

    movie_id: Any
    title: str
    year: int | None
    rank: int | None
    new_rank: int | None


@dataclass(frozen=True, slots=True)
class Why:
    """Why a person's number for a movie is what it is: `base + Σ contributions + clip = value`.

    Attributes
    ----------
    movie_id : int or str
        The movie explained.
    title, year
        What the catalogue says.
    by : {"relevance", "rating"}
        Which number is explained.
    value : float or None
        That number; None where the model has nothing to go by.
    base : float
        What it would be without the contributions.
    contributions : tuple of Reason
        Every rated neighbour, the largest contribution first.
    clip : float
        What cutting to the scale and rounding changed.
    rank : int or None
        The movie's place among all that the person has not rated.
    without : tuple of Without
        Its place without each of the strongest reasons.
    """

    movie_id: Any
    title: str
    year: int | None
    by: str
    value: float | None
    base: float
    contributions: tuple[Reason, ...]
    clip: float
    rank: int | None
    without: tuple[Without, ...]

    @property
    def for_it(self) -> tuple[Reason, ...]:
        """What pushes the number up."""
        return tuple(reason for reason in self.contributions if reason.contribution > 0)

    @property
    def against_it(self) -> tuple[Reason, ...]:
        """What pushes the number down, the strongest first."""
        return tuple(reason for reason in reversed(self.contributions) if reason.contribution < 0)

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as plain values."""
        return asdict(self)

    def __repr__(self) -> str:
        number = "predicted rating" if self.by == "rating" else "relevance"
        lines = [
            f"{with_year(self.title, self.year)}: {number} {cell_text(self.value)}"
            + (f", rank {self.rank:,}" if self.rank else "")
        ]
        lines.append(f"  {self.base:+8.4f}  to start from")
        lines += [
            f"  {part.contribution:+8.4f}  {with_year(part.title, part.year)}, rated {part.rating:g}"
            for part in self.contributions[:10]
        ]
        rest = sum(part.contribution for part in self.contributions[10:])
        if len(self.contributions) > 10:
            lines.append(f"  {rest:+8.4f}  {len(self.contributions) - 10:,} more")
        if abs(self.clip) > 1e-5:
            lines.append(f"  {self.clip:+8.4f}  cut to the scale")
        lines += [f"  without {with_year(w.title, w.year)}: rank {w.rank} → {w.new_rank or '–'}" for w in self.without]
        return "\n".join(lines)
