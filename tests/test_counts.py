"""Statistics of the store, against plain loops over the same data."""

from collections import Counter, defaultdict

import pytest

from reelated.errors import UnknownId


@pytest.fixture
def filled(store, sample):
    """A store with the sample."""
    store.import_data(sample, "sample")
    return store


def test_statistics_agree_with_plain_loops(filled, sample):
    rows = list(sample.ratings.to_polars().select("user_id", "item_id", "rating").iter_rows())
    genres = dict(sample.items.select("item_id", "genres").iter_rows())
    assert filled.histogram(50) == dict(sorted(Counter(stars for _, item, stars in rows if item == 50).items()))
    for user_id in (None, 42):
        stars_of = defaultdict(list)
        for user, item, stars in rows:
            for genre in genres[item] if user_id in (None, user) else ():
                stars_of[genre].append(stars)
        rows_by_genre = filled.mean_rating_by_genre(user_id)
        assert {row.genre: row.n_ratings for row in rows_by_genre} == {
            genre: len(values) for genre, values in stars_of.items()
        }
        for row in rows_by_genre:
            assert row.mean == pytest.approx(sum(stars_of[row.genre]) / len(stars_of[row.genre]))
        assert [row.n_ratings for row in rows_by_genre] == sorted(
            (row.n_ratings for row in rows_by_genre), reverse=True
        )
    active = filled.most_active(5)
    assert dict(active).items() <= Counter(user for user, _, _ in rows).items()
    assert [count for _, count in active] == sorted(Counter(user for user, _, _ in rows).values(), reverse=True)[:5]


def test_an_empty_store_has_empty_statistics(store):
    assert store.histogram("x") == {}
    assert store.mean_rating_by_genre() == store.mean_rating_by_genre("x") == store.most_active() == []
    with pytest.raises(UnknownId):
        store.item("x")
