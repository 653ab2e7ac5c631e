"""Ready-made recommenders: the default pair of models, and the recipe."""

from reelated.models import ItemKNN
from reelated.recommender.recommender import Recommender


def textbook() -> Recommender:
    """Return the textbook recipe and nothing else.

    Cosine between the zero-filled columns of the users × items matrix; the predicted rating is the average of the
    person's ratings of similar items, weighted by the similarity (Sarwar et al. 2001, §3.1.1 and §3.2.1). Lists fall
    by the predicted rating, ties by ascending id; nothing is filled up.

    Returns
    -------
    Recommender
        Not yet fitted.

    Examples
    --------
    >>> rec = textbook().fit({"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 9, 9], "rating": [5, 4, 4, 2, 5]})
    >>> rec.recommend(user_id=1)[0].item_id
    9
    """
    plain = ItemKNN(
        similarity="cosine", weighting=None, shrinkage=0, min_common=1, n_neighbors=None, positive_only=True,
        dtype="float64",
    )  # fmt: skip
    return Recommender(ranker=None, rater=plain, by="rating", fill_with_popular=False, recency_half_life=None)


PRESETS = {"default": Recommender, "textbook": textbook}
"""What `--preset` offers."""
