"""The store in SQLite and PostgreSQL: round trips, upserts, durability, concurrency and migrations."""

import importlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import astuple

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reelated
from reelated.data import fingerprint, read_items
from reelated.errors import InputError, InputTypeError, UnknownId
from reelated.ratings import NO_TIME, Scale
from reelated.store import Store, StoreUnavailable, default_url, read_export
from reelated.store.import_export import ImportExport
from reelated.store.schema import metadata, ratings

SMALL = {"user": [1, 1, 2, 3, 3], "item": [10, 20, 20, 10, 40], "stars": [5, 4, 2, 1, 3], "time": [5, 6, 7, 8, 9]}


@pytest.fixture
def small(store):
    """A store with five ratings and integer ids."""
    store.import_data(reelated.read(SMALL, scale=(1, 5, 1)), "small")
    return store


def test_the_migrations_create_the_schema_of_the_code(store):
    with store._reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_upgrading_twice_changes_nothing(small):
    before = small.size()
    assert small.upgrade().size() == before == {"users": 3, "items": 3, "ratings": 5}


def test_sqlite_commits_are_durable_and_the_folder_is_private(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/deep/in/store.db").upgrade()
    with store._reading() as connection:
        names = ("journal_mode", "synchronous")
        pragmas = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}
    assert (tmp_path / "deep" / "in").stat().st_mode & 0o077 == 0
    store.close()


@pytest.mark.parametrize("url", ["", "nowhere", "mysql://me:secret@host/db", "sqlite://", "sqlite:///:memory:", 7])
def test_an_invalid_url_is_rejected_without_showing_its_password(url):
    with pytest.raises(InputError, match="expected sqlite:///path") as caught:
        Store(url)
    assert "secret" not in str(caught.value)


def test_a_store_never_shows_its_password():
    assert "secret" not in repr(Store("postgresql://me:secret@host/db"))


def test_the_default_store_is_a_sqlite_file():
    assert default_url().startswith("sqlite:///")
    assert default_url().endswith("store.db")


def test_a_missing_or_damaged_database_is_unavailable(tmp_path):
    with pytest.raises(StoreUnavailable, match="does not answer"):
        Store(f"postgresql://nobody@/nothing?host={tmp_path}").upgrade()
    (tmp_path / "broken.db").write_bytes(b"no database at all, but long enough to be looked at" * 20)
    with pytest.raises(InputError, match="not a SQLite database"):
        Store(f"sqlite:///{tmp_path}/broken.db").upgrade()


def test_a_store_of_a_later_version_or_another_program_is_named(store):
    with store._writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999_later'")
    with pytest.raises(InputError, match="of a later version of Reelated"):
        store.upgrade()
    with store._writing() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
    with pytest.raises(InputError, match="tables of another program"):
        store.upgrade()


def test_a_data_set_round_trips(store, sample):
    report = store.import_data(sample, "sample")
    assert (report.users, report.items, report.ratings, report.already) == (600, 490, len(sample.ratings), 0)
    back, about = store.dataset()
    assert back.ratings.to_polars().equals(sample.ratings.to_polars())
    assert back.items.equals(sample.items)
    assert back.users.equals(sample.users)
    assert (back.name, back.ratings.scale) == (sample.name, sample.ratings.scale)
    assert about.changes == len(sample.ratings)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.text(min_size=1, max_size=4).filter(lambda t: "\0" not in t and t.strip()), st.integers(1, 5)),
        min_size=1, max_size=8, unique_by=lambda row: row[0],
    ),
    known=st.booleans(),
)  # fmt: skip
def test_any_ids_and_partly_missing_times_round_trip(tmp_path_factory, rows, known):
    times = [1000 + index if index % 2 else None for index in range(len(rows))]
    frame = {"user_id": [r[0] for r in rows], "item_id": [r[1] for r in rows], "rating": [float(r[1]) for r in rows]}
    frame |= {"timestamp": pl.Series(times, dtype=pl.Int64), "order": list(range(len(rows)))} if known else {}
    data = reelated.Dataset.from_frames(frame, scale=(0, 5, 1))  # `read` removes the spaces around ids
    store = Store(f"sqlite:///{tmp_path_factory.mktemp('store')}/store.db").upgrade()
    store.import_data(data, "any")
    assert store.dataset()[0].ratings.to_polars().equals(data.ratings.to_polars())
    store.close()


TEXT = st.text(min_size=1, max_size=4).filter(lambda text: "\0" not in text and text.strip())
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["item", "rate", "unrate", "hide"]), TEXT, TEXT, st.sampled_from([1.0, 2.5, 4.0]),
        st.none() | st.integers(1900, 2030), st.lists(TEXT, max_size=2),
    ),
    max_size=12,
)  # fmt: skip


def change(store, changes):
    """Add items, rate them, take back every other rating, and hide some."""
    for kind, user_id, item_id, rating, year, genres in changes:
        store.put_item(item_id, f" {item_id} (1995)", year, genres)
        if kind in ("rate", "unrate"):
            store.rate(user_id, item_id, rating)
        if kind == "unrate":
            store.unrate(user_id, item_id)
        store.set_hidden(item_id, kind == "hide")


def content(store):
    """Return everything that an export holds, by id."""
    exported = store.export()
    tables = {name: getattr(exported, name).to_dicts() for name in ("ratings", "items", "users")}
    info = exported.info._replace(changes=0, forgotten=0)
    return info, {name: sorted(rows, key=repr) for name, rows in tables.items()}


def reimported(store, folder, url):
    """Return a new store with the export of another."""
    store.export().write(folder)
    back = Store(url).upgrade()
    back.import_export(read_export(folder), "export")
    return back


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_an_imported_export_equals_the_store(tmp_path_factory, changes):
    folder = tmp_path_factory.mktemp("store")
    store = Store(f"sqlite:///{folder}/store.db").upgrade()
    if changes:
        store.set_scale(0.5, 5, 0.5)
    change(store, changes)
    back = reimported(store, folder / "out", f"sqlite:///{folder}/back.db")
    assert content(back) == content(store)
    back.close(), store.close()


def test_an_imported_export_keeps_types_attributes_times_and_hidden_items(store, tmp_path, request):
    items = {"item": [10, 20, 30], "title": ["Alien (1979)", " b|c ", '"'], "genres": [["A|B"], [], ["Sci-Fi"]]}
    items |= {"release_date": ["1979-05-25", None, "2001-01-01"], "tmdb_id": ["007", None, None]}
    items |= {"poster": ["https://img.example/10.jpg", None, None]}
    users = {"user": [1, 2, 9], "age": [30, None, 5], "gender": [None, "F", "M"]}
    data = reelated.Dataset.from_frames(SMALL, items, users)
    store.import_data(data, "small")
    store.set_hidden(30, True)
    sqlite = store.dialect == "sqlite"
    url = f"sqlite:///{tmp_path}/back.db" if sqlite else request.getfixturevalue("postgres").url()
    back = reimported(store, tmp_path / "out", url)
    assert content(back) == content(store)
    assert back.is_hidden(30)
    assert back.about().scale_observed
    assert set(back.export().users["user_id"]) == {1, 2, 3, 9}
    assert len(reelated.read(tmp_path / "out").ratings) == 5  # as SOURCE of any other command
    back.close()


def test_an_interrupted_export_leaves_nothing(small, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("polars.DataFrame.write_parquet", interrupted)
        with pytest.raises(KeyboardInterrupt):
            small.export().write(tmp_path / "new" / "out")
    assert list((tmp_path / "new").iterdir()) == []
    small.export().write(tmp_path / "new" / "out")
    assert (tmp_path / "new" / "out").stat().st_mode & 0o077 == 0
    with pytest.raises(InputError, match="expected a new or empty folder"):
        small.export().write(tmp_path / "new" / "out")


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, '{"format": 2}', '{"format": 1}'])
def test_a_damaged_export_is_refused(small, tmp_path, text):
    small.export().write(tmp_path / "out")
    (tmp_path / "out" / "store.json").write_text(text)
    with pytest.raises(InputError, match=r"exported store is damaged.*store\.json: checksum differs"):
        read_export(tmp_path / "out")
    (tmp_path / "out" / "SHA256SUMS").unlink()
    with pytest.raises(InputError, match=r"exported store is damaged|later version"):
        read_export(tmp_path / "out")


def test_an_export_from_before_the_checksums_is_read(small, tmp_path):
    small.export().write(tmp_path / "out")
    (tmp_path / "out" / "SHA256SUMS").unlink()
    assert read_export(tmp_path / "out").ratings.height == 5


def test_a_read_verifies_an_export_once_and_its_fingerprint_does_not(small, tmp_path, monkeypatch):
    small.export().write(tmp_path / "out")
    verified = []
    monkeypatch.setattr("reelated.recommender.model_folder.ModelFolder.verify", lambda folder: verified.append(folder))
    fingerprint(tmp_path / "out")
    assert not verified
    reelated.read(tmp_path / "out")
    assert len(verified) == 1


def test_every_flipped_byte_of_an_export_is_found(small, tmp_path):
    """Without checksums, a flipped byte in a Parquet file panics polars, ends the process, or is not noticed."""
    small.export().write(tmp_path / "out")
    for file in sorted((tmp_path / "out").iterdir()):
        content = file.read_bytes()
        for position in range(0, len(content), 37):
            file.write_bytes(content[:position] + bytes([content[position] ^ 64]) + content[position + 1 :])
            with pytest.raises(InputError, match=r"exported store is damaged or incomplete \((\w+\.\w+|SHA256SUMS): "):
                read_export(tmp_path / "out")
            with pytest.raises(InputError, match="exported store is damaged or incomplete"):
                reelated.read(tmp_path / "out")
        file.write_bytes(content)
    assert read_export(tmp_path / "out").ratings.height == 5


def test_a_panic_of_polars_is_a_damaged_export(small, tmp_path, monkeypatch):
    def panics(_):
        raise pl.exceptions.PanicException("Thrift out of range")

    small.export().write(tmp_path / "out")
    monkeypatch.setattr(pl, "read_parquet", panics)
    with pytest.raises(InputError, match=r"damaged or incomplete \(PanicException Thrift out of range\)"):
        read_export(tmp_path / "out")


def test_a_repeated_import_adds_nothing(small):
    report = small.import_data(reelated.read(SMALL, scale=(1, 5, 1)), "small")
    assert report.already == report.ratings == small.size()["ratings"] == 5
    again = small.import_data(reelated.read(SMALL, scale=(1, 5, 1)), "another name for the same")
    assert again.already == 5
    assert small.about().changes == 5
    assert small.size() == {"users": 3, "items": 3, "ratings": 5}


def test_items_are_imported_alone_before_or_after_ratings(store):
    items = {"id": [10, 50], "name": ["Up (2009)", "Heat (1995)"], "genre": ["A|B", ""]}
    assert store.import_items(read_items(items)) == 2
    store.import_data(reelated.read(SMALL, scale=(1, 5, 1)), "small")
    assert store.about().user_id_type == "int"
    assert store.size() == {"users": 3, "items": 4, "ratings": 5}
    up, heat = store.items_of([10, 50])
    assert (up.title, up.year, tuple(up.genres), heat.title) == ("Up", 2009, ("A", "B"), "Heat")
    store.import_items(read_items({"id": [50, 60], "title": ["Heat 2", "Jaws"]}))
    assert [item.title for item in store.items_of([10, 50, 60])] == ["Up", "Heat 2", "Jaws"]
    with pytest.raises(InputError, match="ids are text, those of the store are whole numbers"):
        store.import_items(read_items({"id": ["x"], "title": ["Y"]}))
    assert store.size()["items"] == 5


def test_an_interrupted_import_resumes_where_it_stopped(store, sample, monkeypatch):
    monkeypatch.setattr("reelated.store.import_export.BATCH", dict.fromkeys(("sqlite", "postgresql"), 10_000))
    write, calls = ImportExport._write_ratings, []

    def broken(self, connection, table, is_sum):
        calls.append(len(table))
        changed = write(self, connection, table, is_sum)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return changed

    monkeypatch.setattr(ImportExport, "_write_ratings", broken)
    with pytest.raises(KeyboardInterrupt):
        store.import_data(sample, "sample")
    assert store.size()["ratings"] == sum(calls[:2])
    report = store.import_data(sample, "sample")
    assert report.already == sum(calls[:2])
    assert sum(calls) - calls[2] == len(sample.ratings)
    assert store.dataset()[0].ratings.to_polars().equals(sample.ratings.to_polars())


def test_an_import_never_replaces_a_later_rating_with_an_earlier_one(small):
    small.rate(1, 10, 2)
    small.import_data(reelated.read(SMALL | {"stars": [4, 3, 3, 3, 3]}, scale=(1, 5, 1)), "the same times")
    assert {row.item_id: row.rating for row in small.ratings_of(1)} == {10: 2, 20: 3}


def test_incompatible_data_is_rejected(small):
    text = reelated.read({"user": ["ann"], "item": [10], "stars": [3]}, scale=(1, 5, 1))
    with pytest.raises(InputError, match="user ids are text"):
        small.import_data(text, "text")
    with pytest.raises(InputError, match="go 1 to 10 in steps of 1"):
        small.import_data(reelated.read(SMALL, scale=(1, 10, 1)), "scale")
    assert small.size()["ratings"] == 5


def test_an_empty_store_has_no_data_set(store):
    assert store.is_empty()
    with pytest.raises(InputError, match="no ratings yet"):
        store.dataset()


def test_a_rating_is_stored_changed_and_removed(small):
    small.rate(2, 40, 5)
    assert [(row.item_id, row.rating) for row in small.ratings_of(2)] == [(40, 5), (20, 2)]
    small.rate(2, 40, 1)
    assert [(row.item_id, row.rating) for row in small.ratings_of(2)] == [(40, 1), (20, 2)]
    small.unrate(2, 40)
    assert [(row.item_id, row.rating) for row in small.ratings_of(2)] == [(20, 2)]
    with pytest.raises(UnknownId, match="user_id=2: no rating of item_id=40"):
        small.unrate(2, 40)


def test_a_first_rating_adds_the_user(small):
    with pytest.raises(UnknownId, match="user_id=77: no ratings"):
        small.profile(77)
    small.rate(77, 20, 4)
    assert small.profile(77).ratings.tolist() == [4]


def test_a_profile_holds_keys_ratings_and_times(small):
    keys = {text: key for key, text in small.all_item_keys()}
    profile = small.profile(1)
    assert profile.item_keys.tolist() == [keys["10"], keys["20"]]
    assert (profile.ratings.tolist(), profile.times.tolist()) == ([5, 4], [5, 6])
    for item_id in (10, 20):
        small.unrate(1, item_id)
    assert [len(part) for part in small.profile(1)[2:5]] == [0, 0, 0]


def test_ratings_are_counted_by_day_and_by_item(store):
    for item in ("a", "b", "c", "d"):
        store.put_item(item, f"Title {item}")
    day = 86_400
    for user, item, at in (("u", "a", 10 * day), ("v", "a", 11 * day - 1), ("u", "b", 12 * day), ("v", "d", 9 * day)):
        store.rate(user, item, 3, timestamp=at)
    assert store.ratings_per_day(12 * day + 5, 3) == [(10 * day, 2), (11 * day, 0), (12 * day, 1)]
    store.set_hidden("d", True)
    most, fewest = [("a", "Title a", 2), ("b", "Title b", 1)], [("c", "Title c", 0), ("b", "Title b", 1)]
    assert store.items_by_ratings(2) == (most, fewest)
    assert store.items_by_ratings() == ([*most, ("c", "Title c", 0)], [*fewest, ("a", "Title a", 2)])


def test_users_are_found_by_a_part_of_their_id(small):
    for user in (12, 21, 3):
        small.rate(user, 20, 4)
    small.unrate(12, 20)
    assert small.users_like("1") == [(1, 2), (21, 1), (12, 0)]
    assert small.users_like("1", 1) == [(1, 2)]
    assert small.users_like("%") == small.users_like("\0") == []
    assert 12 not in dict(small.most_active())


def test_keys_of_users_ascend_and_are_never_used_again(small):
    last = small.last_user_key()
    assert last == max(small.profile(user).user_key for user in (1, 2, 3))
    small.rate(77, 20, 4)
    assert small.profile(77).user_key == small.last_user_key() > last
    small.forget(77)
    small.rate(77, 20, 4)
    assert small.profile(77).user_key > last + 1


def test_a_rating_without_a_timestamp_has_none(store):
    store.import_data(reelated.read({"user": [1], "item": [2], "rating": [3.5]}, scale=(0.5, 5, 0.5)), "one")
    assert store.ratings_of(1)[0].timestamp is None
    assert store.profile(1).times.tolist() == [NO_TIME]


@pytest.mark.parametrize("rating", [0, 5.5, float("nan"), float("inf"), "4", None, True])
def test_a_rating_off_the_scale_changes_nothing(small, rating):
    with pytest.raises(InputError, match="rating"):
        small.rate(1, 40, rating)
    with pytest.raises(InputError, match=r"ratings\[1\]"):
        small.rate_many([(1, 40, 3), (1, 40, rating)])
    assert small.size() == {"users": 3, "items": 3, "ratings": 5}


def test_a_rating_that_the_database_cannot_hold_is_rejected(store):
    store.set_scale(0, 10, 0.0001)
    store.put_item("m", "M")
    for rating in (1e-300, 1e-44):
        for write in (lambda r: store.rate("ann", "m", r), lambda r: store.rate_many([("ann", "m", r)]),
                      lambda r: store.visitor_rate("ann", "m", r)):  # fmt: skip
            with pytest.raises(InputError, match="further from zero"):
                write(rating)
    store.rate("ann", "m", 0)
    for scale in ((0, 1e300, 1), (1e-300, 1, 1)):
        with pytest.raises(InputError, match="range of float32"):
            store.set_scale(*scale)


def test_errors_of_the_database_show_no_parameters(small):
    row = {"user_key": 987654, "item_key": 1, "rating": 4.375}
    with small._reading() as connection, pytest.raises(sa.exc.IntegrityError) as caught:
        connection.execute(sa.insert(ratings), row)
    assert "4.375" not in str(caught.value)


def test_a_session_that_ended_stays_ended_until_its_cookie_expires(store):
    now = int(time.time())
    store.end_session("one", now + 100)
    store.end_session("two", now - 1)
    store.end_session("three", now + 100)
    assert [store.is_session_ended(name) for name in ("one", "two", "three", "four")] == [True, False, True, False]
    store.about()


def test_an_unknown_item_changes_nothing(small):
    with pytest.raises(UnknownId, match="item_id=11: no such item"):
        small.rate(88, 11, 4)
    with pytest.raises(UnknownId, match="item_id=11: no such item"):
        small.rate_many([(88, 10, 3), (88, 11, 4)])
    assert small.size() == {"users": 3, "items": 3, "ratings": 5}


def test_ids_of_the_other_type_are_rejected(small):
    with pytest.raises(InputTypeError, match="whole numbers"):
        small.rate("1", 10, 3)
    with pytest.raises(InputTypeError, match="whole numbers"):
        small.rate(1, True, 3)
    with pytest.raises(InputError, match="go up to"):
        small.rate(2**63, 10, 3)
    with pytest.raises(UnknownId, match="whole numbers"):
        small.parse("user", "ann")


@pytest.mark.parametrize("user_id", ["", " ", "a\0b", "\ud800", "x" * 1001])
def test_text_that_a_database_cannot_store_is_rejected(store, user_id):
    store.put_item("m", "M")
    with pytest.raises(InputError, match="user_id"):
        store.rate(user_id, "m", 3)
    with pytest.raises(InputError, match="user_id"):
        store.profile(user_id)


def test_sql_in_ids_and_titles_is_only_text(store):
    bad = "'; DROP TABLE ratings; --"
    assert store.put_item(bad, bad, None, [bad])
    store.rate(bad, bad, 4)
    assert store.find_items(bad, genres=[bad])[0].item_id == store.ratings_of(bad)[0].item_id == bad


def test_many_ratings_are_stored_at_once_and_the_last_of_a_pair_counts(small):
    assert small.rate_many([(1, 40, 1), (9, 10, 2), (1, 40, 5)]) == 2
    assert [(row.item_id, row.rating) for row in small.ratings_of(9)] == [(10, 2)]
    assert {row.item_id: row.rating for row in small.ratings_of(1)} == {10: 5, 20: 4, 40: 5}
    assert small.rate_many([]) == 0


def test_ratings_of_a_user_are_paged_newest_first(small):
    small.rate_many([(1, 40, 3)])
    assert [row.item_id for row in small.ratings_of(1)] == [40, 20, 10]
    assert [row.item_id for row in small.ratings_of(1, start=1, n=1)] == [20]
    assert small.ratings_of(1, start=3) == []


def test_a_forgotten_user_is_erased(small):
    assert small.forget(1) == 2
    assert small.size() == {"users": 2, "items": 3, "ratings": 3}
    assert small.about().forgotten == 1
    for ask in (small.profile, small.ratings_of, small.forget):
        with pytest.raises(UnknownId, match="user_id=1:"):
            ask(1)
    assert 1 not in small.dataset()[0].users["user_id"]
    assert small.item(10).n_ratings == 1


def test_several_users_are_forgotten_together_or_not_at_all(small):
    with pytest.raises(UnknownId, match="user_id=77:"):
        small.forget(1, 77)
    assert small.size() == {"users": 3, "items": 3, "ratings": 5}
    assert small.forget(1, 3, 1) == 4
    assert small.size() == {"users": 1, "items": 3, "ratings": 1}
    assert (small.about().forgotten, small.about().changes) == (2, 5 + 4)


def test_no_data_of_a_forgotten_user_stays_in_the_file(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/store.db").upgrade()
    store.put_item("m", "M")
    store.rate("someone-who-leaves", "m", 3)
    store.rate("someone-who-stays", "m", 3)
    store.forget("someone-who-leaves")
    store.close()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"someone-who-stays" in content
    assert b"someone-who-leaves" not in content


def test_changes_are_counted(small):
    small.count(7)
    assert small.about().changes == 12


def test_an_item_is_added_changed_and_found(small):
    assert small.put_item(50, "Amélie", 2001, ["Comedy", "Romance", "Comedy"])
    assert not small.put_item(50, "Amélie", 2001, ["Romance"])
    assert astuple(small.item(50))[1:] == ("Amélie", 2001, ("Romance",), 0, None)
    assert [item.item_id for item in small.find_items("AMELIE")] == [50]
    small.rate(1, 50, 5)
    assert small.item(50).n_ratings == 1
    with pytest.raises(UnknownId, match="item_id=51"):
        small.item(51)


def test_the_picture_of_an_item_is_set_changed_and_removed(small):
    address = "https://img.example/50.jpg"
    small.put_item(50, "Alien", image=address)
    small.put_item(50, year=1979)
    assert small.item(50).image == address
    assert small.images_of([10, 50, 99]) == {50: address}
    small.put_item(50, image=None)
    assert small.images_of([50]) == {}
    for bad in (
        "",
        "50.jpg",
        "http://img.example/50.jpg",
        "javascript:alert(1)",
        f"{address} x",
        f"https://{'x' * 2000}",
    ):
        with pytest.raises(InputError, match=r"image=.*: expected a URL that begins with https://"):
            small.put_item(50, image=bad)


def test_a_hidden_item_is_excluded_from_search_and_keeps_its_ratings(small):
    (key,) = [key for key, text in small.all_item_keys() if text == "20"]
    assert small.hidden_keys() == frozenset()
    small.set_hidden(20, True)
    other = Store(small.url.render_as_string(hide_password=False))
    assert other.hidden_keys() == other.profile(1).hidden == {key}
    other.close()
    assert small.is_hidden(20)
    assert [item.item_id for item in small.find_items()] == [10, 40]
    assert small.item(20).n_ratings == 2
    small.rate(3, 20, 4)
    small.import_data(reelated.read(SMALL, scale=(1, 5, 1)), "once more")
    small.put_item(20, "Twenty")
    assert small.is_hidden(20)
    assert small.dataset()[0].items.columns == ["item_id", "title", "year", "genres"]
    small.set_hidden(20, False)
    assert small.hidden_keys() == small.profile(1).hidden == frozenset()
    assert [item.item_id for item in small.find_items("twenty")] == [20]
    with pytest.raises(UnknownId, match="item_id=21: no such item"):
        small.set_hidden(21, True)
    assert not small.is_hidden(21)


def test_hidden_items_are_read_from_a_partial_index(small):
    if small.dialect == "sqlite":
        with small._reading() as connection:
            for statement, values in ((small._hidden, ()), (small._profile, ("1",))):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement.text}", values).all()
                assert "ix_items_hidden" in str(plan)


def drop_images(step):
    op.drop_column("items", "image")


def rename_items_to_movies(step):
    op.drop_index("ix_items_hidden", "items")
    op.drop_index("ix_ratings_item_key", "ratings")
    for old, new in step.TABLES:
        op.rename_table(new, old)
    for table, old, new in step.COLUMNS:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {new} TO {old}")
    op.create_index("ix_movies_hidden", "movies", ["movie_key"], **step.WHERE)
    op.create_index("ix_ratings_movie_key", "ratings", ["movie_key"])
    op.execute("UPDATE facts SET name = 'movie_id_type' WHERE name = 'item_id_type'")
    op.execute("DELETE FROM facts WHERE name = 'noun'")


def drop_hidden_movies(step):
    op.drop_index("ix_movies_hidden", "movies")
    op.drop_column("movies", "hidden")


UNDO = {"0005_images": drop_images, "0004_items": rename_items_to_movies, "0003_hidden_movies": drop_hidden_movies}


def downgrade(store, *steps):
    """Undo the last migrations."""
    with store._writing() as connection, Operations.context(MigrationContext.configure(connection)):
        for name in steps:
            step = importlib.import_module(f"reelated.store.migrations.versions.{name}")
            UNDO[name](step)
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{step.down_revision}'")


def test_the_migration_from_movies_to_items_keeps_all_data(small):
    small.set_hidden(20, True)
    small.visitor_rate("ann", 10, 4)
    small.dismiss("ann", 40)
    downgrade(small, "0005_images", "0004_items")
    with small._writing() as connection:
        connection.exec_driver_sql("UPDATE movies SET title = 'Movie 10', folded = 'movie 10' WHERE movie_id = '10'")
    other = Store(small.url.render_as_string(hide_password=False)).upgrade()
    assert other.about().noun == "movie"
    assert other.size() == {"users": 3, "items": 3, "ratings": 5}
    assert other.item(10).title == "Item 10"
    assert [item.item_id for item in other.find_items("item 10")] == [10]
    assert other.is_hidden(20)
    assert other.dismissed("ann") == [40]
    assert [(row.item_id, row.rating) for row in other.visitor_ratings("ann")] == [(10, 4)]
    assert other.dataset()[0].noun == "movie"
    other.close()


def test_a_store_of_an_earlier_version_hides_no_items(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/store.db").upgrade()
    store.put_item("m", "M")
    downgrade(store, "0005_images", "0004_items", "0003_hidden_movies")
    with store._reading() as connection:
        assert "hidden" not in {column["name"] for column in sa.inspect(connection).get_columns("movies")}
    store.upgrade()
    assert [item.item_id for item in store.find_items()] == ["m"]
    assert store.hidden_keys() == frozenset()
    store.close()


def test_items_are_found_by_parts_of_titles_closest_first(store):
    for item_id, title in {"a": "The Alien Files", "b": "Alien", "c": "Aliens", "d": "100% Wolf"}.items():
        store.put_item(item_id, title, None, ["Drama"] if item_id == "c" else [])
    assert [item.item_id for item in store.find_items("alien")] == ["b", "c", "a"]
    assert [item.item_id for item in store.find_items("%")] == ["d"]
    assert [item.item_id for item in store.find_items(genres=["DRAMA"])] == ["c"]
    assert [item.item_id for item in store.find_items(start=1, n=2)] == ["b", "c"]
    assert store.find_items("zzz") == store.find_items("alien", genres=["Horror"]) == []


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        (("", 1999, []), "title"), (("T" * 501, 1999, []), "title"), (("a\0b", None, []), "title"),
        (("T", "1999", []), "year"), (("T", 10**6, []), "year"), (("T", None, [""]), "genres"),
        (("T", None, [str(index) for index in range(51)]), "genres"),
    ],
)  # fmt: skip
def test_an_invalid_item_is_rejected(store, attributes, name):
    with pytest.raises(InputError, match=name):
        store.put_item("m", *attributes)
    assert store.is_empty()


def test_a_store_with_text_ids_takes_numbers_as_text(store):
    store.put_item("10", "Ten")
    store.import_data(reelated.read(SMALL, scale=(1, 5, 1)), "small")
    assert store.item("10").n_ratings == 2
    assert store.info.scale == Scale(1, 5, 1)


def test_an_online_backup_restores_everything(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/store.db").upgrade()
    store.import_data(reelated.read(SMALL, scale=(1, 5, 1)), "small")
    with (
        closing(sqlite3.connect(tmp_path / "store.db")) as running,
        closing(sqlite3.connect(tmp_path / "b.db")) as copy,
    ):
        running.backup(copy)
    store.rate(1, 10, 1)
    store.close()
    for path in tmp_path.glob("store.db*"):
        path.unlink()
    (tmp_path / "b.db").rename(tmp_path / "store.db")
    restored = Store(f"sqlite:///{tmp_path}/store.db").upgrade()
    assert {row.item_id: row.rating for row in restored.ratings_of(1)} == {10: 5, 20: 4}
    restored.close()


def test_concurrent_writes_are_neither_lost_nor_doubled(small):
    errors = []

    def write(user_id):
        try:
            for index in range(20):
                small.rate(user_id, (10, 20, 40)[index % 3], 1 + (user_id + index) % 5)
                small.rate_many([(user_id, 10, 2), (1000, 20, 3)])
        except Exception as error:  # pragma: no cover
            errors.append(error)

    threads = [threading.Thread(target=write, args=(user_id,)) for user_id in range(100, 108)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert small.size() == {"users": 12, "items": 3, "ratings": 5 + 8 * 3 + 1}
    with small._reading() as connection:
        pairs = connection.execute(sa.select(ratings.c.user_key, ratings.c.item_key)).all()
    assert len(set(pairs)) == len(pairs)


def test_single_ratings_reuse_one_connection_until_it_fails(small):
    small.rate(1, 10, 4)
    small.rate(1, 20, 4)
    assert small.engine.pool.checkedout() == (1 if small.dialect == "sqlite" else 0)
    with small._writing() as connection:
        connection.exec_driver_sql("ALTER TABLE ratings RENAME TO elsewhere")
    with pytest.raises(StoreUnavailable, match="ratings"):
        small.rate(1, 10, 5)
    with small._writing() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO ratings")
    small.rate(1, 10, 3)
    small.close()
    assert small.engine.pool.checkedout() == 0
    assert {row.item_id: row.rating for row in small.ratings_of(1)} == {10: 3, 20: 4}


def test_a_snapshot_sees_one_state(small):
    with small._reading(snapshot=True) as connection:
        count = sa.select(sa.func.count()).select_from(ratings)
        before = connection.scalar(count)
        small.rate(500, 10, 3)
        assert connection.scalar(count) == before
    assert small.size()["ratings"] == before + 1


def test_a_full_disk_is_reported_and_the_store_recovers_when_there_is_room(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/store.db").upgrade()
    store.import_data(reelated.read(SMALL, scale=(1, 5, 1)), "small")
    store.close()

    def fill(connection, _record):
        connection.execute(f"PRAGMA max_page_count={connection.execute('PRAGMA page_count').fetchone()[0]}")

    sa.event.listen(store.engine, "connect", fill)
    many = [(user, item, 3) for user in range(100, 1100) for item in (10, 20)]
    with pytest.raises(StoreUnavailable, match="full"):
        store.rate_many(many)
    assert store.size()["users"] == 3
    with pytest.raises(StoreUnavailable, match="full"):
        [store.rate(*row) for row in many]
    n_stored = store.size()["ratings"]
    store.close()
    sa.event.remove(store.engine, "connect", fill)
    assert store.rate_many(many) == 2000
    assert store.size()["ratings"] >= max(n_stored, 2000)
    store.close()


def test_the_store_imports_no_web_server(tmp_path):
    script = "import sys, reelated.store; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", script], env=os.environ, capture_output=True, text=True, check=True)
    assert not {"fastapi", "starlette", "uvicorn"} & set(done.stdout.split())


def test_ratings_keep_their_exact_values(store):
    values = np.array([0.5, 1.5, 3.7, 4.25], np.float32)
    frame = {"user": [1, 1, 1, 1], "item": [1, 2, 3, 4], "stars": values}
    store.import_data(reelated.read(frame, scale=(0.5, 5, 0.05)), "twentieths")
    assert store.profile(1).ratings.tolist() == values.tolist()
    store.rate(1, 4, 2.1)
    assert {row.item_id: row.rating for row in store.ratings_of(1)}[4] == pytest.approx(2.1)
