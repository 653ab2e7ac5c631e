"""The page of one item: prediction and explanation, rating histogram, similar items and audience."""

from functools import partial
from typing import Any, NamedTuple

from starlette.responses import Response

from reelated.ratings import Scale
from reelated.web.pages.lists import Taste, is_known, known, taste_of
from reelated.web.pages.site import Site, Visit
from reelated.web.pages.stars import MOST, Steps
from reelated.web.pages.sums import add_up

SIMILAR, AUDIENCE = 10, 10


def add_to(site: Site) -> None:
    """Register this page."""
    site.add("GET", "/items/{item_id}", partial(show, site))


class Column(NamedTuple):
    """One column of a histogram: label, count, and height from 0 to 100."""

    label: str
    people: int
    height: float


def show(site: Site, visit: Visit) -> Response:
    """Show an item."""
    item_id = site.store.parse("item", visit.path["item_id"])
    item, taste = site.service.item(item_id), taste_of(site, visit)
    wanted = visit.session.is_operator and "audience" in visit.query
    in_model = site.service.is_ready and is_known(site.service.served.recommender, item_id)
    counts = site.store.histogram(item_id)
    return site.draw(
        visit,
        "item",
        item=item,
        taste=taste,
        columns=columns_of(counts, site.store.scale),
        mean=sum(rating * count for rating, count in counts.items()) / max(sum(counts.values()), 1),
        in_model=in_model,
        similar=site.service.similar(item_id, SIMILAR) if in_model else [],
        audience=site.service.audience(item_id, AUDIENCE) if wanted and in_model else None,
        **(for_visitor(site, taste, item_id) if in_model else {"sure": None, "sum": None}),
    )


def for_visitor(site: Site, taste: Taste, item_id: Any) -> dict[str, Any]:
    """Return the prediction and its explanation for the visitor; their own rating of the item is not used."""
    rec = site.service.served.recommender
    ratings = known(rec, taste)
    if not ratings.keys() - {item_id}:
        return {"sure": None, "sum": None}
    if rec.models_.rater is None:
        why = rec.explain(None, item_id, ratings=ratings, by="score", ranks=False)
        return {"sure": None, "sum": add_up(why) if why.contributions else None}
    why = rec.explain(None, item_id, ratings=ratings, by="rating", ranks=False)
    return {"sure": rec.predict(None, item_id, ratings=ratings), "sum": add_up(why)}


def columns_of(counts: dict[float, int], scale: Scale) -> list[Column]:
    """Return the histogram columns: one a step of the scale, or ten of equal width for a finer scale."""
    steps = Steps.of(scale).steps
    if steps:
        told = [(step.text, counts.get(step.value, 0)) for step in steps]
    else:
        width = (scale.high - scale.low) / (MOST - 1) or 1
        ends = [scale.low + width * at for at in range(MOST)]
        groups = [0] * (MOST - 1)
        for rating, count in counts.items():
            groups[min(int((rating - scale.low) / width), MOST - 2)] += count
        told = [(f"{low:g} to {high:g}", count) for low, high, count in zip(ends, ends[1:], groups, strict=False)]
    most = max((count for _, count in told), default=0) or 1
    return [Column(label, count, round(100 * count / most, 1)) for label, count in told]
