"""`Explanation`: a score or predicted rating as a sum, and the rank without each of the largest contributions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from reelated.errors import no_rater
from reelated.formatting import Bar, cell_text, html_table, printable, with_year
from reelated.models.biases import clipped
from reelated.models.contracts import By
from reelated.models.contributions import Strongest
from reelated.ratings import Scale
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.engine import Batch, Engine
from reelated.recommender.query import Query
from reelated.recommender.rows import ItemRow, Prediction, Reason, known, make_item_row, make_reason


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """The rank of an item without one of the user's ratings; the item of that rating is then ranked, too.

    Attributes
    ----------
    item_id : int or str
        The rated item that is left out.
    title, year
        Its title and year.
    rank, new_rank : int or None
        Rank of the explained item among all unrated items, with and without the rating; None: not listed.
    """

    item_id: Any
    title: str
    year: int | None
    rank: int | None
    new_rank: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A user's score or predicted rating as a sum: `base + Σ contributions + clip = value`.

    Attributes
    ----------
    item_id : int or str
        The item explained.
    title, year
        Its title and year.
    by : {"score", "rating"}
        The number that is explained.
    value : float or None
        The number; None if the model cannot compute it.
    base : float
        The number without the contributions.
    contributions : tuple of Reason
        All rated neighbours, the largest contribution first.
    clip : float
        The change that clipping to the scale and rounding make.
    rank : int or None
        Rank of the item among all unrated items; None if it is not listed or was not computed.
    rating : float or None
        The user's actual rating, if any, which the explanation does not use. None for implicit feedback.
    without : tuple of Counterfactual
        The rank without each of the strongest contributions.
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
    without: tuple[Counterfactual, ...]

    def top(self, n: int) -> tuple[Reason, ...]:
        """Return the `n` strongest contributions, positive or negative, in descending order.

        Parameters
        ----------
        n : int
            Maximum number of contributions.
        """
        strongest = sorted(self.contributions, key=lambda reason: -abs(reason.contribution))[:n]
        return tuple(sorted(strongest, key=lambda reason: -reason.contribution))

    def other(self, named: Sequence[Reason]) -> float:
        """Return the sum of all contributions that are not in `named`.

        Parameters
        ----------
        named : sequence of Reason
            Contributions of this explanation.
        """
        return sum(reason.contribution for reason in self.contributions) - sum(reason.contribution for reason in named)

    @property
    def positive(self) -> tuple[Reason, ...]:
        """The contributions that raise the number, the largest first."""
        return tuple(reason for reason in self.contributions if reason.contribution > 0)

    @property
    def negative(self) -> tuple[Reason, ...]:
        """The contributions that lower the number, the largest first."""
        return tuple(reason for reason in reversed(self.contributions) if reason.contribution < 0)

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as plain values."""
        return asdict(self)

    @property
    def _heading(self) -> str:
        number = "predicted rating" if self.by == "rating" else "score"
        return f"{with_year(self.title, self.year)}: {number} {cell_text(self.value)}" + (
            f", rank {self.rank:,}" if self.rank else ""
        )

    def terms(self) -> list[tuple[float, str, Reason | None]]:
        """Return the terms of the sum with labels: base, the ten strongest contributions, the others, and the clip."""
        shown = self.top(10)
        terms: list[tuple[float, str, Reason | None]] = [(self.base, "base", None)]
        terms += [(part.contribution, with_year(part.title, part.year), part) for part in shown]
        if n_more := len(self.contributions) - len(shown):
            terms.append((self.other(shown), f"{n_more:,} more", None))
        if abs(self.clip) > 1e-5:
            terms.append((self.clip, "clipped to the scale", None))
        return terms

    def _repr_html_(self) -> str:
        terms = self.terms()
        largest = max((abs(adds) for adds, _, part in terms if part), default=0.0) or 1.0
        rows = [
            (
                f"{adds:+.4f}",
                label,
                "" if part is None or part.rating is None else f"{part.rating:g}",
                "" if part is None else cell_text(part.similarity),
                Bar(0.0 if part is None else adds / largest),
            )
            for adds, label, part in terms
        ]
        return html_table(self._heading, ("adds", "", "rated", "similarity", ""), rows, self._ranks_without())

    def _ranks_without(self) -> list[str]:
        return [f"without {with_year(w.title, w.year)}: rank {w.rank} → {w.new_rank or '–'}" for w in self.without]

    def __repr__(self) -> str:
        lines = [self._heading]
        for adds, label, part in self.terms():
            rated = "" if part is None or part.rating is None else f", rated {part.rating:g}"
            lines.append(f"  {adds:+8.4f}  {label}{rated}")
        lines += [f"  {line}" for line in self._ranks_without()]
        return "\n".join(map(printable, lines))


def liked_above(query: Query, scale: Scale | None) -> float | None:
    """Return the rating above which a user likes an item; None for implicit feedback, which has no scale."""
    if scale is None:
        return None
    ratings, mean = query.row.data, query.mean
    return (scale.low + scale.high) / 2 if len(ratings) and (ratings == mean).all() else mean


def reasons_of(strongest: Strongest, bar: float | None, catalogue: Catalogue) -> list[Reason]:
    """Add titles to contributions; an item is liked if its rating is above `bar`."""
    _, items, ratings, similarities, common, contributions = strongest
    return list(
        map(
            make_reason,
            [catalogue.ids[i] for i in items],
            [catalogue.titles[i] for i in items],
            [catalogue.years[i] for i in items],
            ratings if bar is not None else [None] * len(ratings),
            similarities,
            [None if n_raters < 0 else n_raters for n_raters in common],
            contributions,
            [bar is not None and rating > bar for rating in ratings],
        )
    )


def item_rows(batch: Batch, query: Query, catalogue: Catalogue, scale: Scale | None) -> list[ItemRow]:
    """Return the rows of one user's list, each with its three largest contributions and the sum of the rest."""
    parts: Any = batch.contributions
    ids, titles, years, genres = catalogue.ids, catalogue.titles, catalogue.years, catalogue.genres
    columns = batch.items, parts.scores, batch.scores, batch.ratings, batch.n_neighbors_used, batch.is_popular
    strongest, rows = parts.strongest(3), []
    all_reasons = reasons_of(strongest, liked_above(query, scale), catalogue)
    listed = zip(*(column.tolist() for column in columns), pairwise(strongest.ends), strict=True)
    for rank, (item, total, score, rating, n_used, is_popular, (start, stop)) in enumerate(listed, 1):
        reasons = () if is_popular else tuple(all_reasons[start:stop])
        rows.append(
            make_item_row(
                rank,
                ids[item],
                titles[item],
                years[item],
                genres[item],
                None if is_popular else known(score),
                known(rating),
                n_used,
                catalogue.source(item, "popular" if is_popular else "model"),
                reasons,
                0.0 if is_popular else total - sum(strongest.contributions[start:stop]),
            )
        )
    return rows


def sources(batch: Batch, catalogue: Catalogue) -> npt.NDArray[np.str_]:
    """Return the source of each row; an item without ratings is recommended by its genres and year."""
    rated = np.where(batch.is_popular, "popular", "model")
    return np.where(catalogue.counts[batch.items] > 0, rated, "side_info")


def predict(engine: Engine, query: Query, item: int, catalogue: Catalogue) -> Prediction:
    """Predict a user's rating of an item without their own rating of it."""
    rows = query.without(item).rows
    if (rater := engine.models.rater) is None:
        raise no_rater().replace(parameter="", where="predict")
    values, (n_neighbors_used,) = engine.scorer(rows, "rating").pairs([0], [item])
    low = high = None
    if engine.has_intervals:
        (low,), (high,) = (ends.tolist() for ends in engine.interval(rows, [0], [item]))
    return Prediction(
        item_id=catalogue.item_ids[item],
        title=catalogue.titles[item],
        year=catalogue.years[item],
        user_id=query.user_id,
        predicted_rating=known(clipped(values, rater.scale_)[0]),
        n_neighbors_used=int(n_neighbors_used),
        rating=query.rating_of(item),
        source=catalogue.source(item, "model" if n_neighbors_used else "bias_only"),
        low=low,
        high=high,
    )


def explain(
    engine: Engine, query: Query, item: int, by: By, catalogue: Catalogue, scale: Scale | None, *, ranks: bool
) -> Explanation:
    """Explain a user's score or predicted rating of an item without their own rating of it."""
    rating, query = query.rating_of(item), query.without(item)
    explained = engine.scorer(query.rows, by).contributions([item])
    parts = explained.one(0)
    contributions = tuple(reasons_of(explained.strongest(query.row.nnz), liked_above(query, scale), catalogue))
    rank, without = engine.rank_of(query.rows, item, by, catalogue.shown) if ranks else None, []
    for part in sorted(contributions, key=lambda part: -abs(part.contribution))[: 3 if ranks else 0]:
        rows = query.without(catalogue.index_of(part.item_id)).rows
        new_rank = engine.rank_of(rows, item, by, catalogue.shown)
        without.append(Counterfactual(part.item_id, part.title, part.year, rank, new_rank))
    return Explanation(
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
