"""`textbook`: a recommender with the textbook method."""

from reelated.models import ItemKNN
from reelated.recommender.recommender import Recommender


def textbook() -> Recommender:
    """Return a recommender with the textbook method of item-based collaborative filtering.

    The similarity is the cosine between the zero-filled columns of the users × items matrix. The predicted rating is
    the average of the user's ratings of similar items, weighted by the similarity (Sarwar et al. 2001, §3.1.1 and
    §3.2.1). Lists are sorted by descending predicted rating, ties by ascending id, and are not filled with popular
    items.

    Returns
    -------
    Recommender
        Unfitted.

    Examples
    --------
    >>> rec = textbook().fit({"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 9, 9], "rating": [5, 4, 4, 2, 5]})
    >>> rec.recommend(user_id=1)[0].item_id
    9
    """
    rater = ItemKNN(
        similarity="cosine", weighting=None, shrinkage=0, min_common=1, n_neighbors=None, positive_only=True,
        dtype="float64",
    )  # fmt: skip
    return Recommender(ranker=None, rater=rater, by="rating", fill_with_popular=False, recency_half_life=None)
