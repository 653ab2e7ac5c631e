"""Visitors of the web page in the store: their data is separate from users and is erased completely."""

import time

import pytest

import reelated
from reelated.errors import InputError, UnknownId
from reelated.refit import Versions, refit

SMALL = {"user": [1, 1, 2, 3, 3], "item": [10, 20, 20, 10, 40], "stars": [5, 4, 2, 1, 3], "time": [5, 6, 7, 8, 9]}


@pytest.fixture
def small(store):
    """A store with five ratings and integer ids."""
    store.import_data(reelated.read(SMALL, scale=(1, 5, 1)), "small")
    return store


def rated(store, visitor_id):
    return {row.item_id: row.rating for row in store.visitor_ratings(visitor_id)}


def test_a_visitor_has_their_own_latest_ratings(small):
    small.visitor_rate("ann", 10, 5)
    small.visitor_rate("ann", 20, 1)
    small.visitor_rate("ben", 20, 4)
    small.visitor_rate("ann", 10, 3)
    assert (rated(small, "ann"), rated(small, "ben"), rated(small, "eve")) == ({10: 3, 20: 1}, {20: 4}, {})
    small.visitor_rate("ann", 20, None)
    assert (rated(small, "ann"), rated(small, "ben")) == ({10: 3}, {20: 4})


def test_ratings_within_one_second_keep_their_order(small):
    for item_id in (20, 40, 10, 20):
        small.visitor_rate("ann", item_id, 5)
    assert [row.item_id for row in small.visitor_ratings("ann")] == [20, 10, 40]


def test_many_ratings_are_stored_at_once_the_last_one_as_the_latest_and_none_in_the_future(small):
    small.visitor_rate("ann", 20, 1)
    small.visitor_rate("ben", 20, 3)
    small.visitor_rate_many("ann", {40: 2, 20: 5, 10: 4})
    assert [(row.item_id, row.rating) for row in small.visitor_ratings("ann")] == [(10, 4), (20, 5), (40, 2)]
    assert max(row.timestamp for row in small.visitor_ratings("ann")) <= time.time() + 2
    assert rated(small, "ben") == {20: 3}
    for ratings, error in (({10: 1, 99: 5}, UnknownId), ({10: 1, 20: 9}, InputError)):
        with pytest.raises(error):
            small.visitor_rate_many("ann", ratings)
    small.visitor_rate_many("ann", {})
    assert rated(small, "ann") == {10: 4, 20: 5, 40: 2}


def test_an_invalid_rating_changes_nothing(small):
    for item_id, rating, error in ((99, 5, UnknownId), (10, 9, InputError), (10, float("nan"), InputError)):
        with pytest.raises(error):
            small.visitor_rate("ann", item_id, rating)
    assert rated(small, "ann") == {}


def test_dismissals_belong_to_one_visitor_and_can_be_undone(small):
    small.dismiss("ann", 10)
    small.dismiss("ann", 10)
    small.dismiss("ben", 20)
    assert (small.dismissed("ann"), small.dismissed("ben")) == ([10], [20])
    small.dismiss("ann", 10, back=True)
    assert (small.dismissed("ann"), small.dismissed("ben")) == ([], [20])


def test_forgetting_a_visitor_erases_their_data_only(small):
    for visitor_id in ("ann", "ben"):
        small.visitor_rate(visitor_id, 10, 5)
        small.dismiss(visitor_id, 20)
    assert small.forget_visitor("ann") == 1
    assert (rated(small, "ann"), small.dismissed("ann")) == ({}, [])
    assert (rated(small, "ben"), small.dismissed("ben")) == ({10: 5}, [20])


def test_inactive_visitors_are_erased(small):
    small.visitor_rate("ann", 10, 5)
    assert small.forget_visitors_before(0) == 0
    assert small.forget_visitors_before(2**40) == 1
    assert rated(small, "ann") == {}


def test_the_secret_is_created_once_per_store(store):
    from reelated.store import Store

    other = Store(store.url.render_as_string(hide_password=False))
    assert store.secret() == other.secret() == store.secret()
    assert len(store.secret()) > 40
    other.close()


def test_visitors_are_users_in_the_data_set_only_on_request(small):
    before = small.dataset()[0].ratings.to_polars()
    small.visitor_rate("ann", 40, 2)
    assert small.dataset()[0].ratings.to_polars().equals(before)
    assert small.size()["ratings"] == 5
    with_ann = small.dataset(with_visitors=True)[0].ratings
    assert (len(with_ann), len(with_ann.user_ids)) == (6, 4)
    assert with_ann.user_ids.values.to_list()[:3] == [1, 2, 3]


def test_text_ids_of_users_and_visitors_do_not_collide(store):
    store.put_item("alien", "Alien")
    store.rate("visitor 1", "alien", 5)
    store.visitor_rate("ann", "alien", 2)
    assert len(store.dataset(with_visitors=True)[0].ratings) == 2


def test_a_model_fitted_to_a_forgotten_visitor_is_removed(small, tmp_path):
    versions = Versions(tmp_path / "models")
    small.visitor_rate("ann", 40, 2)
    refit(small, versions, with_visitors=True)
    assert (versions.current().users, versions.current().ratings) == (4, 6)
    small.forget_visitor("ann", learned=True)
    small.release_visitor_changes()
    assert small.about().forgotten == versions.current().forgotten + 1  # this makes a refit due
    refit(small, versions, with_visitors=True)
    assert [(version.number, version.users) for version in versions.all()] == [(2, 3)]
