"""Ratings counted by the store, against plain loops over the same data."""

from collections import Counter, defaultdict

import pytest

from reelated.errors import UnknownId


@pytest.fixture
def filled(store, sample):
    """A store with the sample."""
    store.import_data(sample, "sample")
    return store


def test_counts_are_those_of_plain_loops(filled, sample):
    rows = list(sample.ratings.to_polars().select("user_id", "item_id", "rating").iter_rows())
    genres = dict(sample.items.select("item_id", "genres").iter_rows())
    assert filled.histogram(50) == dict(sorted(Counter(stars for _, item, stars in rows if item == 50).items()))
    for user_id in (None, 42):
        found = defaultdict(list)
        for user, item, stars in rows:
            for genre in genres[item] if user_id in (None, user) else ():
                found[genre].append(stars)
        told = filled.mean_rating_by_genre(user_id)
        assert {taste.genre: taste.n_ratings for taste in told} == {genre: len(all_) for genre, all_ in found.items()}
        for taste in told:
            assert taste.mean == pytest.approx(sum(found[taste.genre]) / len(found[taste.genre]))
        assert [taste.n_ratings for taste in told] == sorted((taste.n_ratings for taste in told), reverse=True)
    active = filled.most_active(5)
    assert dict(active).items() <= Counter(user for user, _, _ in rows).items()
    assert [count for _, count in active] == sorted(Counter(user for user, _, _ in rows).values(), reverse=True)[:5]


def test_of_nothing_there_is_nothing_to_count(store):
    assert store.histogram("x") == {}
    assert store.mean_rating_by_genre() == store.mean_rating_by_genre("x") == store.most_active() == []
    with pytest.raises(UnknownId):
        store.item("x")
