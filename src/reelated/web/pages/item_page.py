"""The page of one item: prediction and explanation, rating histogram, similar items and audience."""

from typing import Any, NamedTuple

from starlette.responses import Response

from reelated.ratings import Scale
from reelated.web.pages.breakdown import break_down
from reelated.web.pages.list_page import VisitorProfile, is_known, known_ratings, visitor_profile
from reelated.web.pages.rating_input import MAX_BUTTONS, RatingInput
from reelated.web.pages.site import PageRequest, Site

N_SIMILAR, N_AUDIENCE = 10, 10


class HistogramBar(NamedTuple):
    """One bar of a histogram: label, count, and length from 0 to 100."""

    label: str
    n_ratings: int
    length: float


def show(site: Site, request: PageRequest) -> Response:
    item_id = site.store.parse("item", request.path["item_id"])
    item, profile = site.service.item(item_id), visitor_profile(site, request)
    show_audience = request.session.is_operator and "audience" in request.query
    in_model = site.service.is_ready and is_known(site.service.served.recommender, item_id)
    counts = site.store.histogram(item_id)
    return site.render(
        request,
        "item",
        item=item,
        image=site.images_of([item_id]).get(item_id),
        profile=profile,
        bars=histogram(counts, site.store.info.scale),
        mean=sum(rating * count for rating, count in counts.items()) / max(sum(counts.values()), 1),
        in_model=in_model,
        similar=site.service.similar(item_id, n=N_SIMILAR) if in_model else [],
        audience=site.service.audience(item_id, N_AUDIENCE) if show_audience and in_model else None,
        **(explain_for_visitor(site, profile, item_id) if in_model else {"prediction": None, "breakdown": None}),
    )


def explain_for_visitor(site: Site, profile: VisitorProfile, item_id: Any) -> dict[str, Any]:
    """Return the prediction and its explanation for the visitor; their own rating of the item is not used."""
    rec = site.service.served.recommender
    ratings = known_ratings(rec, profile)
    if not ratings.keys() - {item_id}:
        return {"prediction": None, "breakdown": None}
    predicts = rec.models_.rater is not None
    explanation = rec.explain(None, item_id, ratings=ratings, by="rating" if predicts else "score", ranks=False)
    return {
        "prediction": rec.predict(None, item_id, ratings=ratings) if predicts else None,
        "breakdown": break_down(explanation) if predicts or explanation.contributions else None,
    }


def histogram(counts: dict[float, int], scale: Scale) -> list[HistogramBar]:
    """Return the histogram: one bar for each button, or ten bars of equal width for a finer scale."""
    if buttons := RatingInput.of(scale).buttons:
        bins = [(button.text, counts.get(button.value, 0)) for button in buttons]
    else:
        n_bins = MAX_BUTTONS - 1
        width = (scale.high - scale.low) / n_bins or 1
        edges = [scale.low + width * index for index in range(n_bins + 1)]
        totals = [0] * n_bins
        for rating, count in counts.items():
            totals[min(int((rating - scale.low) / width), n_bins - 1)] += count
        bins = [(f"{low:g} to {high:g}", total) for low, high, total in zip(edges, edges[1:], totals, strict=False)]
    largest = max((count for _, count in bins), default=0) or 1
    return [HistogramBar(label, count, round(100 * count / largest, 1)) for label, count in bins]
