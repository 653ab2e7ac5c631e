"""Imports: known attributes stay, later data widens an observed scale, a repeated import repairs the store."""

import os
import stat
from dataclasses import astuple
from itertools import permutations

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa

import reelated
from reelated.errors import InputError
from reelated.ratings import Scale
from reelated.refit import Versions, refit
from reelated.store import Store
from reelated.store.schema import facts, genres, items, users

ITEM_FACTS = ("title", "year", "genres", "release_date", "imdb_id", "tmdb_id", "image")
USER_FACTS = ("age", "gender", "occupation", "zip_code")
SOURCES = {
    "ratings alone": ({}, {}),
    "a complete catalogue": (
        {
            "title": ["Alien", "Up"], "year": [1979, 2009], "genres": ["Horror|Sci-Fi", "Comedy"],
            "release_date": ["1979-05-25", "2009-05-29"], "imdb_id": ["tt0078748", "tt1049413"],
            "tmdb_id": [348, 14160], "image": ["https://img.example/a.jpg", "https://img.example/b.jpg"],
        },
        {},
    ),
    "titles alone": ({"title": ["Alien 8", "Up there"]}, {}),
    "genres alone": ({"genres": ["Drama", "Drama|War"]}, {}),
    "a catalogue with gaps": (
        {"title": ["", None], "year": [None, 1999], "genres": ["", "Animation"], "imdb_id": [" ", None]}, {},
    ),
    "numbers that are missing in a frame of floats": ({"title": ["A", "B"], "year": [float("nan"), 1.0]}, {}),
    "complete users": (
        {},
        {"age": [30, 40], "gender": ["F", "M"], "occupation": ["artist", "doctor"], "zip_code": ["10115", "20095"]},
    ),
    "ages alone": ({}, {"age": [31, 41]}),
    "users with gaps": ({}, {"age": [None, 42], "gender": ["", "F"], "occupation": [None, " "]}),
}  # fmt: skip


def as_data(name, first_id):
    """Return two ratings with the attributes that a source has of the two items and users."""
    ids = [first_id, first_id + 1]
    items_, users_ = SOURCES[name]
    frame = {"user_id": ids, "item_id": ids, "rating": [1, 5], "timestamp": [7, 8]}
    catalogue = {"item_id": ids, **items_} if items_ else None
    return reelated.read(frame, items=catalogue, users={"user_id": ids, **users_} if users_ else None, scale=(1, 5, 1))


def attributes_in(name, index):
    """Return the attributes that a source has of an item and a user, by plain loops."""
    attributes = {}
    for field, values in {**SOURCES[name][0], **SOURCES[name][1]}.items():
        value = values[index]
        if field == "genres":
            value = [genre for genre in (value or "").split("|") if genre]
        if value is None or value != value or value == [] or (isinstance(value, str) and not value.strip()):
            continue
        attributes[field] = str(value) if field in ("tmdb_id", "release_date") else value
    return attributes


def stored(store, text):
    """Return the stored attributes of the item and the user with an id."""
    with store._reading() as connection:
        item = connection.execute(sa.select(items).where(items.c.item_id == text)).mappings().one()
        user = connection.execute(sa.select(users).where(users.c.user_id == text)).mappings().one()
        listed = sa.select(genres.c.genre).where(genres.c.item_key == item["item_key"]).order_by(genres.c.position)
        row = {name: item[name] for name in ITEM_FACTS if name != "genres"}
        row |= {name: user[name] for name in USER_FACTS} | {"genres": list(connection.scalars(listed))}
    known_values = {name: value for name, value in row.items() if value not in (None, [])}
    return known_values | {"title_normalized": item["title_normalized"]}


def test_no_import_makes_a_known_field_unknown_in_any_order(store):
    """Each pair of sources has its own items and users: import the first, the second, then the first again."""
    for number, names in enumerate(permutations(SOURCES, 2)):
        first_id = 100 * number
        expected = [{"title": f"Item {first_id + index}"} for index in (0, 1)]
        for step, name in enumerate([*names, names[0]]):
            store.import_data(as_data(name, first_id), f"{name} {number}")
            for index in (0, 1):
                expected[index] |= attributes_in(name, index)
                actual = stored(store, str(first_id + index))
                assert actual.pop("title_normalized") == expected[index]["title"].lower(), (names, step)
                assert actual == expected[index], (names, step)


def test_attributes_of_users_without_ratings_in_a_table_are_imported(store):
    store.import_data(as_data("ratings alone", 0), "both")
    only = {"user_id": [0], "item_id": [0], "rating": [1]}
    store.import_data(reelated.read(only, users={"user_id": [1], "age": [50]}, scale=(1, 5, 1)), "one")
    assert stored(store, "1")["age"] == 50


def test_a_repeated_import_repairs_damaged_data(store):
    data = as_data("a complete catalogue", 0)
    store.import_data(data, "catalogue")
    with store._writing() as connection:  # what importing ratings alone did in the past
        connection.execute(sa.update(items).values(title="Item 0", title_normalized="item 0", year=None))
        connection.execute(sa.delete(genres))
    store.unrate(0, 0)
    report = str(store.import_data(data, "catalogue"))
    assert "2 ratings by 2 users of 2 items are in the store, 1 of them already." in report
    assert [astuple(store.item(item_id))[1:] for item_id in (0, 1)] == [
        ("Alien", 1979, ("Horror", "Sci-Fi"), 1, "https://img.example/a.jpg"),
        ("Up", 2009, ("Comedy",), 1, "https://img.example/b.jpg"),
    ]  # fmt: skip
    assert store.about().changes == 3
    assert "were imported already" in str(store.import_data(data, "catalogue"))


def test_a_first_table_takes_effect_again_after_a_second_one(store):
    tables = [reelated.read({"user": [1], "item": [1], "rating": [stars]}, scale=(1, 5, 1)) for stars in (4, 2)]
    for at in (0, 1, 0):
        store.import_data(tables[at], str(at))
        assert store.ratings_of(1)[0].rating == (4, 2)[at]


def test_an_item_keeps_unchanged_attributes(store):
    store.import_data(as_data("a complete catalogue", 0), "catalogue")
    store.put_item(0, year=1980)
    assert astuple(store.item(0))[1:4] == ("Alien", 1980, ("Horror", "Sci-Fi"))
    store.put_item(0, title="Alien: Director's Cut")
    assert astuple(store.item(0))[1:4] == ("Alien: Director's Cut", 1980, ("Horror", "Sci-Fi"))
    assert [item.item_id for item in store.find_items("director")] == [0]
    store.put_item(0, genres=["Horror"])
    assert astuple(store.item(0))[1:4] == ("Alien: Director's Cut", 1980, ("Horror",))
    store.put_item(0, year=None, genres=[])
    assert astuple(store.item(0))[1:4] == ("Alien: Director's Cut", None, ())
    assert stored(store, "0")["imdb_id"] == "tt0078748"
    with pytest.raises(InputError, match="title: item_id=7 is a new item and needs one"):
        store.put_item(7, year=1980)


def of(*stars, scale=None):
    """Return ratings of one item each by one user each."""
    return reelated.read({"user": range(len(stars)), "item": range(len(stars)), "rating": stars}, scale=scale)


@pytest.mark.parametrize(
    ("first", "second", "scale", "observed"),
    [
        (of(2, 3, 4), of(1, 5), (1, 5, 1), True),
        (of(2, 3, 4), of(2.5), (2, 4, 0.5), True),
        (of(1, 3, 5), of(2, 4), (1, 5, 1), True),
        (of(2, 4), of(3, scale=(1, 5, 1)), (1, 5, 1), False),
        (of(0, 10), of(3, scale=(1, 5, 1)), (0, 10, 1), True),
        (of(3, scale=(1, 5, 1)), of(2, 4), (1, 5, 1), False),
        (of(0.1, 0.2), of(0.4), (0.1, 0.4, 0.1), True),
    ],
)
def test_an_observed_scale_widens_with_the_next_import(store, first, second, scale, observed):
    store.import_data(first, "first")
    before = store.info.scale
    report = str(store.import_data(second, "second"))
    about = store.about()
    assert about.scale == store.info.scale == Scale(*scale)
    assert about.scale_observed == observed
    assert ("The scale of the store is now" in report) == (before != about.scale)
    assert len(store.dataset()[0].ratings)


def test_a_store_with_items_only_takes_the_scale_of_its_first_ratings(store):
    store.put_item("0", "Zero")
    store.import_data(of(0.5, 4.5, scale=(0.5, 5, 0.5)), "halves")
    assert store.about()[1] == Scale(0.5, 5, 0.5)
    assert not store.about().scale_observed


def test_an_error_beyond_a_given_scale_names_the_command_that_widens_it(store):
    store.import_data(of(2, 3, 4, scale=(2, 4, 1)), "given")
    with pytest.raises(InputError, match="set a wider scale with: reelated store scale 1,5,1"):
        store.import_data(of(1, 5, scale=(1, 5, 1)), "wider")
    with pytest.raises(InputError, match="Set another scale with: reelated store scale LOW,HIGH,STEP"):
        store.rate(1, 1, 5)
    store.set_scale(1, 5, 1)
    store.rate(1, 1, 5)
    store.import_data(of(1, 5, scale=(1, 5, 1)), "wider")
    assert store.profile(1).ratings.tolist() == [5]
    with pytest.raises(InputError, match="the ratings of the store go from 1 to 5"):
        store.set_scale(2, 4, 1)
    with pytest.raises(InputError, match="expected low < high"):
        store.set_scale(5, 1, 1)


def test_another_process_sees_a_new_scale(store):
    store.import_data(of(2, 3, 4), "small")
    other = Store(store.url)
    with pytest.raises(InputError, match="from 2 to 4 in steps of 1"):
        other.rate(0, 0, 4.5)
    store.set_scale(0.5, 5, 0.5)
    other.rate(0, 0, 4.5)
    assert other.info.scale == Scale(0.5, 5, 0.5)
    other.close()


@pytest.mark.parametrize(
    ("scale", "right", "wrong"),
    [
        ((0.5, 5, 0.5), (0.5, 4.5, 5, np.float32(3.5)), (4.3, 0.75, 5.5)),
        ((0, 1, 0.1), (0, 0.3, 0.7, 1), (0.35, 1.1)),
        ((-10, 10, 0.01), (-9.85, 3.33), (3.333,)),
        ((1, 1, 1), (1,), (0, 2)),
        ((1, 5, 3), (1, 2, 4.9), (0, 5.1)),  # these steps do not divide the range
    ],
)
def test_a_rating_must_be_on_a_step_of_the_scale(store, scale, right, wrong):
    store.set_scale(*scale)
    store.put_item("m", "M")
    for rating in right:
        store.rate("ann", "m", rating)
        store.visitor_rate("guest", "m", rating)
        assert store.ratings_of("ann")[0].rating == pytest.approx(float(rating), rel=1e-7)
    for rating in wrong:
        for write in (lambda at: store.rate("ann", "m", at), lambda at: store.rate_many([("ann", "m", at)])):
            with pytest.raises(InputError, match="the scale of this store"):
                write(rating)
        with pytest.raises(InputError, match="the scale of this store"):
            store.visitor_rate("guest", "m", rating)
    assert store.profile("ann").ratings.tolist() == [np.float32(right[-1])]


def test_a_scale_of_an_earlier_version_counts_as_given(store):
    store.import_data(of(2, 3, 4), "old")
    with store._writing() as connection:
        connection.execute(sa.update(facts).where(facts.c.name == "scale").values(value="2.0 4.0 1.0"))
    about = store.upgrade().about()
    assert (about.scale, about.scale_observed) == (Scale(2, 4, 1), False)
    with pytest.raises(InputError, match="reelated store scale 1,5,1"):
        store.import_data(of(1, 2, 5), "wider")


def test_implicit_feedback_is_imported_and_fitted(store, tmp_path):
    bought = pl.DataFrame({"user": ["ann", "ann", "ben", "ben", "cleo"], "item": ["a", "b", "a", "c", "b"]})
    store.import_data(reelated.read(bought, columns={"rating": None}), "likes")
    versions = Versions(tmp_path / "models")
    assert refit(store, versions).outcome == "switched"
    store.rate("cleo", "c", 5)  # events have weights, not ratings on a scale
    with pytest.raises(InputError, match="rating=inf"):
        store.rate("cleo", "c", float("inf"))
    kept = store.dataset()[0].ratings
    assert (kept.feedback, sorted(kept.matrix.data)) == ("implicit", [1, 1, 1, 1, 1, 5])


def test_ratings_are_read_as_they_were_written(store):
    store.import_data(of(0.1, 4.3, 2.7, scale=(0, 5, 0.1)), "tenths")
    assert [store.ratings_of(user)[0].rating for user in range(3)] == [0.1, 4.3, 2.7]
    assert store.histogram(1) == {4.3: 1}


def test_only_its_owner_can_read_the_file_of_a_store(tmp_path):
    before = os.umask(0o000)
    try:
        store = Store(f"sqlite:///{tmp_path}/store.db").upgrade()
        store.put_item("m", "M")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm"), 0o600)
