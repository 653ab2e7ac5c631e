"""`Why`: the parts of one number, adding up, and what would be without each of them."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from reelated.models.contracts import By
from reelated.ratings import Scale
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.engine import Batch, Engine
from reelated.recommender.listing import known, sources
from reelated.recommender.query import Query
from reelated.recommender.rows import ItemRow, Reason, cell_text, printable, with_year


@dataclass(frozen=True, slots=True)
class Without:
    """Where an item would stand had the person not rated another, which would then be among the items to rank too.

    Attributes
    ----------
    item_id : int or str
        The rated item that is left out.
    title, year
        What the catalogue says.
    rank, new_rank : int or None
        The explained item's place among all that the person has not rated, with and without; None: not listed.
    """

    item_id: Any
    title: str
    year: int | None
    rank: int | None
    new_rank: int | None


@dataclass(frozen=True, slots=True)
class Why:
    """Why a person's number for an item is what it is: `base + Σ contributions + clip = value`.

    Attributes
    ----------
    item_id : int or str
        The item explained.
    title, year
        What the catalogue says.
    by : {"score", "rating"}
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
        The item's place among all that the person has not rated; None also where it was not asked for.
    rating : float or None
        What the person did rate it, if they have; the explanation does not look at it. None for implicit feedback.
    without : tuple of Without
        Its place without each of the strongest reasons.
    """

    item_id: Any
    title: str
    year: int | None
    by: str
    value: float | None
    base: float
    contributions: tuple[Reason, ...]
    clip: float
    rank: int | None
    rating: float | None
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
        number = "predicted rating" if self.by == "rating" else "score"
        place = f", rank {self.rank:,}" if self.rank else ""
        rest = self.contributions[10:]
        lines = [
            f"{with_year(self.title, self.year)}: {number} {cell_text(self.value)}{place}",
            f"  {self.base:+8.4f}  to start from",
            *(
                f"  {part.contribution:+8.4f}  {with_year(part.title, part.year)}"
                f"{'' if part.rating is None else f', rated {part.rating:g}'}"
                for part in self.contributions[:10]
            ),
        ]
        if rest:
            lines.append(f"  {sum(part.contribution for part in rest):+8.4f}  {len(rest):,} more")
        if abs(self.clip) > 1e-5:
            lines.append(f"  {self.clip:+8.4f}  cut to the scale")
        lines += [f"  without {with_year(w.title, w.year)}: rank {w.rank} → {w.new_rank or '–'}" for w in self.without]
        return "\n".join(map(printable, lines))


Part = tuple[int, float, float, int, float]
"""An item, what it was rated, how alike it is, the raters of both, and what it adds."""


def liked_above(query: Query, scale: Scale | None) -> float | None:
    """Return the rating above which a person likes an item; None for implicit feedback, which has no scale."""
    if scale is None:
        return None
    ratings = query.row.data
    return (scale.low + scale.high) / 2 if len(ratings) and ratings.min() == ratings.max() else query.mean


def reasons_of(parts: Iterable[Part], bar: float | None, catalogue: Catalogue) -> tuple[Reason, ...]:
    """Name the parts of an explanation; `bar` is the rating above which an item is liked."""
    ids, titles, years = catalogue.item_ids, catalogue.titles, catalogue.years
    return tuple(
        Reason(
            item_id=ids[i],
            title=titles[i],
            year=years[i],
            rating=None if bar is None else rating,
            similarity=like,
            common_raters=None if common < 0 else common,
            contribution=adds,
            liked=bar is not None and rating > bar,
        )
        for i, rating, like, common, adds in parts
    )


def item_rows(batch: Batch, query: Query, catalogue: Catalogue, scale: Scale | None) -> list[ItemRow]:
    """Return the rows of one user's list, each with its three largest contributions and the sum of the others."""
    parts: Any = batch.contributions
    liked, rows = liked_above(query, scale), []
    columns = (
        batch.items,
        parts.scores,
        batch.scores,
        batch.ratings,
        batch.n_neighbors_used,
        batch.is_popular,
        sources(batch, catalogue),
    )
    listed = zip(*(column.tolist() for column in columns), parts.strongest(3), strict=True)
    for rank, (item, total, score, rating, n_neighbors_used, popular, source, strongest) in enumerate(listed, 1):
        reasons = () if popular else reasons_of(strongest, liked, catalogue)
        total = 0.0 if popular else total
        rows.append(
            ItemRow(
                rank=rank,
                **catalogue.row(item),
                score=None if popular else known(score),
                predicted_rating=known(rating),
                n_neighbors_used=n_neighbors_used,
                source=source,
                reasons=reasons,
                other=total - sum(reason.contribution for reason in reasons),
            )
        )
    return rows


def why(
    engine: Engine, query: Query, item: int, by: By, catalogue: Catalogue, scale: Scale | None, *, ranks: bool
) -> Why:
    """Explain one of a user's numbers without their own rating of the item."""
    rating, query = query.rating_of(item), query.without(item)
    explained = engine.models.of(by).explain_items(query.row, [item], by=by, weights=query.weights)
    parts = explained.one(0)
    contributions = reasons_of(next(explained.strongest(query.row.nnz)), liked_above(query, scale), catalogue)
    rank, without = engine.rank_of(query.rows, item, by, catalogue.shown) if ranks else None, []
    for part in sorted(contributions, key=lambda part: -abs(part.contribution))[: 3 if ranks else 0]:
        rows = query.without(catalogue.index_of(part.item_id)).rows
        new_rank = engine.rank_of(rows, item, by, catalogue.shown)
        without.append(Without(part.item_id, part.title, part.year, rank, new_rank))
    return Why(
        item_id=catalogue.item_ids[item],
        title=catalogue.titles[item],
        year=catalogue.years[item],
        by=by,
        value=known(parts.score),
        base=known(parts.base) or 0.0,
        contributions=contributions,
        clip=parts.clip,
        rank=rank,
        rating=None if scale is None else rating,
        without=tuple(without),
    )
