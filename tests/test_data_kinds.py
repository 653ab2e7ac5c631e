"""Every kind of table by its rule, on small tables made here: folders, formats, notations, matrices, objects."""

import bz2
import datetime as dt
import io
import json
import lzma
import sqlite3
import sys
import tarfile
import tempfile
import uuid
import warnings
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import fuzz_read
from reelated import InputError, read, validate
from reelated.data import fingerprint
from reelated.errors import DataWarning
from reelated.ratings.times import as_seconds
from reelated.ratings.values import as_numbers

pytestmark = pytest.mark.filterwarnings("ignore::reelated.errors.DataWarning")

RATINGS = "user,item,rating\n1,10,4\n1,20,2\n2,20,5\n"
ROWS = [(1, 10, 4.0), (1, 20, 2.0), (2, 20, 5.0)]
ITEMS = 'id,name,genre\n10,"Matrix, The","Action, Drama"\n20,Up,Comedy\n'


def put(folder, **files):
    """Write files, named with `__` for a point and `___` for a slash, and return the folder."""
    for name, data in files.items():
        path = folder / name.replace("___", "/").replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


def rows(source, **options):
    return read(source, **options).ratings.to_polars().select("user_id", "item_id", "rating").rows()


# ------------------------------------------------------------------------------------------------------------ folders
def test_the_columns_decide_which_table_of_a_folder_is_which(tmp_path):
    people = "user,age,city\n1,30,Rome\n2,NULL,Oslo\n"
    put(tmp_path, stars__csv=RATINGS, shelf__csv=ITEMS, people__csv=people, other__csv="a,b\n1,2\n", notes__md="x")
    data = read(tmp_path)
    assert data.ratings.to_polars().rows() == ROWS
    assert data.items.row(0) == (10, "The Matrix", None, ["Action", "Drama"])
    assert data.users["age"].to_list() == [30, None]
    assert "left out other.csv: neither the ratings nor attributes of items or users" in data.notes
    assert read(tmp_path).notes == data.notes
    before = fingerprint(tmp_path)
    put(tmp_path, people__csv=people.replace("30", "31"))
    assert fingerprint(tmp_path) != before
    assert "unreadable_users" not in [issue.code for issue in validate(tmp_path).issues]


def test_an_archive_is_read_like_its_folder(tmp_path):
    put(tmp_path, stars__csv=RATINGS, shelf__csv=ITEMS)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive, tarfile.open(tmp_path / "all.tar.gz", "w:gz") as tar:
        for name in ("stars.csv", "shelf.csv"):
            archive.write(tmp_path / name, f"set/{name}")
            tar.add(tmp_path / name, f"set/{name}")
    for name in ("all.zip", "all.tar.gz"):
        data = read(tmp_path / name)
        assert data.ratings.to_polars().rows() == ROWS
        assert data.items["title"].to_list() == ["The Matrix", "Up"]


@pytest.mark.parametrize("names", [("part-0000.csv", "part-0001.csv"), ("year=2020/a.csv", "year=2021/a.csv")])
def test_part_files_are_one_table(tmp_path, names):
    header, *lines = RATINGS.splitlines(keepends=True)
    for name, part in zip(names, ("".join(lines[:2]), "u7,20,5\n"), strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(header + part)
    (tmp_path / "_SUCCESS").touch()
    assert rows(tmp_path) == [("1", 10, 4.0), ("1", 20, 2.0), ("u7", 20, 5.0)]
    pl.DataFrame({"user": [1], "item": [2], "rating": [3]}).write_parquet(tmp_path / "0.parquet")


def test_the_netflix_prize_is_read_as_it_was_distributed(tmp_path):
    put(
        tmp_path,
        movie_titles__txt=b"1,2003,Dinosaur Planet\n2,2004,Part One, Two\n",
        probe__txt="1:\n7\n2:\n8\n",
        qualifying__txt="1:\n7,2005-12-19\n",
        README="The files",
        training_set___mv_0000001__txt="1:\n7,3,2005-09-06\n8,5,2005-05-13\n",
        training_set___mv_0000002__txt="2:\n7,4,2005-09-05\n",
        training_set___mv_0000003__txt="3:\n8,1,2005-09-07\n",
    )
    data = read(tmp_path)
    assert data.ratings.to_polars().select("user_id", "item_id", "rating").rows() == [
        (7, 1, 3.0), (7, 2, 4.0), (8, 1, 5.0), (8, 3, 1.0),
    ]  # fmt: skip
    assert data.items.select("title", "year").rows() == [
        ("Dinosaur Planet", 2003),
        ("Part One, Two", 2004),
        ("Item 3", None),
    ]
    assert sum("layout of the Netflix Prize" in note for note in data.notes) == 1  # 17,770 files have one note
    assert any("and so 2 other parts" in note for note in data.notes)


def test_a_folder_without_ratings_is_described_by_its_own_tables(tmp_path):
    put(tmp_path, a__csv="x,y\n1,2\n", b__csv="x,z\n1,2\n", sub___c__csv="v,w\n1,2\n", sub___d__csv="v,u\n1,2\n")
    with pytest.raises(InputError, match=r"several tables \('a.csv', 'b.csv'\)"):
        read(tmp_path)


@pytest.mark.parametrize(
    "links", ["movieId,imdbId,tmdbId\n10,0112792,99\n20,0033563,10\n", "movieId,imdbId\n10,0112792\n20,33563\n"]
)
def test_a_table_of_links_leads_from_the_ratings_to_the_catalogue(tmp_path, links):
    with_tmdb = "tmdbId" in links
    ids = {"Jumanji": 99, "Dumbo": 10} if with_tmdb else {"Jumanji": "tt0112792", "Dumbo": "tt0033563"}
    catalogue = "id,title,genre\n" + "".join(f"{id_},{title},Drama\n" for title, id_ in ids.items())
    put(tmp_path, ratings__csv=RATINGS, links__csv=links, movies_metadata__csv=catalogue)
    data = read(tmp_path)
    assert data.items.select("item_id", "title").rows() == [(10, "Jumanji"), (20, "Dumbo")]
    assert any(f"its ids as {'tmdb' if with_tmdb else 'imdb'}_id" in note for note in data.notes)


def test_links_do_not_change_a_catalogue_that_has_the_ids_of_the_ratings(tmp_path):
    put(tmp_path, ratings__csv=RATINGS, links__csv="movieId,tmdbId\n10,20\n20,10\n", items__csv=ITEMS)
    assert read(tmp_path).items["title"].to_list() == ["The Matrix", "Up"]


def test_a_catalogue_beside_the_ratings_never_stops_reading(tmp_path):
    put(tmp_path, ratings__csv=RATINGS, movies__csv='item,title\n10,"Alien\n20,Up\n30\n')
    data = read(tmp_path)
    assert len(data.ratings) == 3
    assert data.items["title"].to_list()[1] == "Up"
    put(tmp_path, movies__csv="item,title\nten,Alien\n")
    assert any(note.startswith("left out movies.csv: item_id is of type int") for note in read(tmp_path).notes)
    with pytest.raises(InputError, match="item_id is of type int"):
        read(tmp_path / "ratings.csv", items=tmp_path / "movies.csv")


def test_columns_of_the_catalogue_can_be_named(tmp_path):
    put(tmp_path, ratings__csv=RATINGS, shelf__csv="code,label,kind\n10,Alien,Horror\n20,Up,Comedy\n")
    names = {"item_id": "code", "title": "label", "genres": "kind"}
    for items in (tmp_path / "shelf.csv", pl.read_csv(tmp_path / "shelf.csv")):
        data = read(tmp_path / "ratings.csv", items=items, item_columns=names)
        assert data.items.row(0) == (10, "Alien", None, ["Horror"])
    with pytest.raises(InputError, match=r"item_columns\[.title.\]='none': the table has no such column"):
        read(tmp_path / "ratings.csv", items=tmp_path / "shelf.csv", item_columns={"title": "none"})


def test_titles_merged_with_ratings_are_used_unless_they_differ_within_items():
    frame = {
        "user": [1, 2, 1],
        "item": [1, 1, 2],
        "rating": [1, 2, 3],
        "title": ["A", "A", "B"],
        "genres": ["x|y", None, ""],
    }
    assert read(frame).items.rows() == [(1, "A", None, ["x", "y"]), (2, "B", None, [])]
    data = read({**frame, "title": ["Great!", "Bad", "So so"], "genres": [""] * 3})
    assert data.items["title"].to_list() == ["Item 1", "Item 2"]
    assert "left out title, which differs between ratings of one item" in data.notes


def test_genres_may_be_lists_of_objects_with_names():
    items = {"item_id": [1, 2], "genres": [[{"id": 1, "name": "Drama"}, {"id": 2, "name": "War"}], None]}
    for table in (items, pd.DataFrame(items), pl.DataFrame(items)):
        assert read({"user": [1, 2], "item": [1, 2], "rating": [1, 2]}, items=table).items["genres"].to_list() == [
            ["Drama", "War"],
            [],
        ]


def test_rows_of_the_catalogue_with_broken_ids_are_left_out(tmp_path):
    put(tmp_path, ratings__csv=RATINGS, movies__csv="id,title\n10,Alien\n1997-08-20,Broken\n20,Up\n")
    data = read(tmp_path)
    assert data.items["title"].to_list() == ["Alien", "Up"]
    assert data.notes == ("movies.csv: left out 1 row without an integer item_id, such as '1997-08-20'",)
    put(tmp_path, movies__csv="").joinpath("movies.csv").unlink()
    put(tmp_path, movies__json='[{"id": "10", "title": "Alien"}, {"id": "20", "title": "Up"}]')
    assert read(tmp_path).items["title"].to_list() == ["Alien", "Up"]


COLUMNS = ["item_id", "title", "year", "genres", "release_date", "image", "user_id", "age", "gender"]


@pytest.mark.parametrize(
    ("header", "cells", "images"),
    [
        (
            "Poster URL",
            ["https://img.example/1.jpg", "https://img.example/2.jpg"],
            ["https://img.example/1.jpg", "https://img.example/2.jpg"],
        ),
        ("image_url", [" https://img.example/1.jpg ", ""], ["https://img.example/1.jpg", None]),
        ("Image-URL-L", ["http://img.example/1.jpg", "http://127.0.0.1:8/2.jpg"], [None, "http://127.0.0.1:8/2.jpg"]),
        ("cover", ["hardcover", "javascript:alert(1)"], None),
        ("thumbnail", ["https://img.example/a b.jpg", "https://img.example/1.jpg\u202e"], None),
        ("img", [["https://img.example/1.jpg", "https://img.example/2.jpg"], []], ["https://img.example/1.jpg", None]),
        ("picture", [7, 8], None),
    ],
)
def test_addresses_of_pictures_are_read_and_others_are_ignored_with_a_note(tmp_path, header, cells, images):
    rows = [{"id": id_, "title": f"Item {id_}", header: cell} for id_, cell in zip((10, 20), cells, strict=True)]
    put(tmp_path, ratings__csv=RATINGS, movies__json=json.dumps(rows))
    data = read(tmp_path)
    assert images == (data.items["image"].to_list() if "image" in data.items.columns else None)
    n_ignored = sum(map(bool, cells)) - sum(map(bool, images or []))
    note = f"movies.json: ignored {n_ignored} picture{'s' * (n_ignored > 1)} without a URL that begins with https://"
    assert data.notes == ((note,) if n_ignored else ())


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("value", [{1}, [[1]], [{"name": ["x"]}], {"a": 1}, 1j, b"x", dt.timedelta(1), 10**30, ...])
def test_attributes_of_any_type_are_read_or_refused(column, value):
    kind = "users" if column in ("user_id", "age", "gender") else "items"
    table = {f"{kind[:-1]}_id": [1, 2], column: [value, value]}
    for source in (table, pd.DataFrame(table)):
        try:
            read({"user": [1, 2], "item": [1, 2], "rating": [1, 2]}, **{kind: source})
        except InputError as error:
            assert column in str(error) or kind in str(error)  # noqa: PT017


# ------------------------------------------------------------------------------------------------------------ formats
def test_json_in_every_form_is_read(tmp_path):
    records = [{"user": user, "item": item, "rating": rating, "note": {"a": [1]}} for user, item, rating in ROWS]
    texts = {
        "array.json": json.dumps(records),
        "lines.jsonl": "\n".join(map(json.dumps, records)) + "\n\n",
        "python.json": "\n".join(map(repr, records)),
        "inside.json": json.dumps({"ratings": records}),
        "columns.json": json.dumps({name: [row[name] for row in records] for name in ("user", "item", "rating")}),
        "pandas.json": pd.DataFrame(records).drop(columns="note").to_json(),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert rows(tmp_path / name) == ROWS, name
    (tmp_path / "mixed.json").write_text(
        '[{"user": 1, "item": 2, "rating": 3}, {"user": "x", "item": 2, "rating": "4"}]'
    )
    assert rows(tmp_path / "mixed.json") == [("1", 2, 3.0), ("x", 2, 4.0)]
    (tmp_path / "bad.jsonl").write_text(json.dumps(records[0]) + "\n{oops\n" + json.dumps(records[1]))
    with pytest.raises(InputError, match=r"bad.jsonl, line 2: no JSON object: '\{oops'"):
        read(tmp_path / "bad.jsonl")
    assert rows(tmp_path / "bad.jsonl", invalid="drop") == ROWS[:2]


def test_a_database_has_tables_like_a_folder(tmp_path):
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE stars (user INT, item INT, rating REAL)")
        connection.executemany("INSERT INTO stars VALUES (?, ?, ?)", ROWS)
        connection.execute("CREATE TABLE shelf (id INT, name TEXT)")
        connection.execute("INSERT INTO shelf VALUES (10, 'Alien'), (20, 'Up')")
    connection.close()
    assert rows(path) == ROWS
    assert read(path).items["title"].to_list() == ["Alien", "Up"]
    assert read(f"{path}::stars").items["title"].to_list() == ["Item 10", "Item 20"]
    assert fingerprint(f"{path}::stars") != fingerprint(path)
    with pytest.raises(InputError, match=r"shop.db has no table 'none', but: stars, shelf"):
        read(f"{path}::none")


@pytest.mark.parametrize(("suffix", "pack"), [("bz2", bz2.compress), ("xz", lzma.compress)])
def test_compressed_text_is_read(tmp_path, suffix, pack):
    path = tmp_path / f"a.csv.{suffix}"
    path.write_bytes(pack(RATINGS.encode()))
    assert rows(path) == ROWS
    path.write_bytes(pack(RATINGS.encode())[:-5])
    with pytest.raises(InputError, match="damaged or cut short"):
        read(path)


@pytest.mark.parametrize(
    ("name", "data", "package"),
    [("a.csv.zst", b"\x28\xb5\x2f\xfd", "zstandard"), ("https://example.org/a.csv", None, "fsspec")],
)
def test_a_missing_package_is_named_with_the_line_that_installs_it(tmp_path, monkeypatch, name, data, package):
    monkeypatch.setitem(sys.modules, package, None)
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=rf"{package} is not installed.*pip install '\.\[formats\]'"):
        read(name if data is None else tmp_path / name)


def test_an_excel_workbook_is_read(tmp_path):
    pl.DataFrame(ROWS, schema=["user", "item", "rating"], orient="row").write_excel(tmp_path / "a.xlsx")
    assert rows(tmp_path / "a.xlsx") == ROWS


def test_standard_input_is_read_once(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(RATINGS.encode())))
    from reelated.data.files import _standard_input

    _standard_input.cache_clear()
    assert len(fingerprint("-")) == 32
    assert rows("-") == ROWS
    _standard_input.cache_clear()


@pytest.mark.parametrize(
    "text",
    [
        "1 10 4\n1   20 2\n2 20 5\n",
        "sep=;\nuser;item;rating\n1;10;4\n1;20;2\n2;20;5\n",
        "% a comment\n%\n1 10 4\n1 20 2\n% another\n2 20 5\n",
        "# user item rating\n1 10 4\n1 20 2\n2 20 5\n",
        "user_id:token\titem_id:token\trating:float\n1\t10\t4\n1\t20\t2\n2\t20\t5\n",
        "10:\n1,4,2005-01-01\n20:\n1,2,2005-01-02\n2,5,2005-01-03\n",
    ],
)
def test_text_in_unusual_forms(tmp_path, text):
    assert rows(put(tmp_path, a__txt=text) / "a.txt") == ROWS


# --------------------------------------------------------------------------------------------- encodings and notations
def test_one_stray_byte_changes_nothing_else(tmp_path):
    items = "item,title\n10,Amélie\n20,Čapek ".encode() + b"\x96 x\n"
    data = read(put(tmp_path, a__csv=RATINGS) / "a.csv", items=put(tmp_path, b__csv=items) / "b.csv")
    assert data.items["title"].to_list() == ["Amélie", "Čapek – x"]
    assert data.notes == (
        "b.csv: took 1 byte outside UTF-8 for Windows-1252, the first in line 3; the option encoding names another",
    )
    with pytest.raises(InputError, match=r"a.csv, line 2: the bytes are not ascii. Name the encoding"):
        read(put(tmp_path, a__csv="user,item,rating\né,1,2\n") / "a.csv", encoding="ascii")
    with pytest.raises(InputError, match="encoding='nope': expected an encoding"):
        read(tmp_path / "a.csv", encoding="nope")


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["4", "3.5", None], [4, 3.5, None]),
        (["4,5", "3", "2,0"], [4.5, 3, 2]),
        (["4/5", "3 / 5", "1/5"], [4, 3, 1]),
        (["7/10", "7.5/10"], [7, 7.5]),
        (["★★★★", "★★½", "★☆☆☆☆", "½"], [4, 2.5, 1, 0.5]),
        (["4 stars", "1 star", "3.5-stars"], [4, 1, 3.5]),
        (["True", "false"], [1, 0]),
        (["80%", "30 %"], [80, 30]),
        (["4.0 out of 5 stars", "2.0 out of 5 stars"], [4, 2]),
        (["Rated 4 out of 5 stars.", "Rated 2,5 out of 5 stars."], [4, 2.5]),
        (["4.0/5.0", "2.5/5.0"], [4, 2.5]),
        (["4 von 5 Sternen", "2 von 5 Sternen"], [4, 2]),
        (["4 von 5", "2 sur 5"], [4, 2]),
        (["4★", "2 ⭐", "3 star(s)", "1 étoile", "5 points", "2,5 Sterne"], [4, 2, 3, 1, 5, 2.5]),
        (["3½", "4"], [3.5, 4]),
        (["t", "f"], [1, 0]),
        (["1.234,5", "1.234", "7"], [1234.5, 1234, 7]),
        (["1,234.5", "1,000"], [1234.5, 1000]),
        (["1,234,567", "700"], [1_234_567, 700]),
        (["1 234,5", "1'000"], [1234.5, 1000]),
    ],
)
def test_ratings_in_any_notation_are_read(values, numbers):
    converted = as_numbers(pl.Series("rating", values))
    assert converted.values.to_list() == numbers
    assert not converted.unreadable.any()


def test_the_column_decides_the_notation_of_ratings(tmp_path):
    path = put(tmp_path, a__csv="user;item;rating\n1;1;4,5\n1;2;3\n2;1;good\n2;2;4/5\n2;3;2,5\n") / "a.csv"
    with pytest.raises(InputError, match=r"line 4: rating='good'.*invalid='drop'"):
        read(path)
    assert [rating for *_, rating in rows(path, invalid="drop")] == [4.5, 3.0, 2.5]
    assert not as_numbers(pl.Series("rating", ["1,000", "2,500"])).values.is_not_null().any()


def test_words_and_sentinels_are_mapped(tmp_path):
    path = put(tmp_path, a__csv="user,item,rating\n1,1,Like\n1,2,dislike\n2,1,like\n2,2,-1\n") / "a.csv"
    mapping = {"like": 1, "dislike": 0, -1: None}
    assert [rating for *_, rating in rows(path, map=mapping)] == [1, 0, 1]
    assert "left out 1 row that the map gives no rating" in read(path, map=mapping).notes
    assert validate(path, map=mapping).usable
    assert rows({"user": [1, 1], "item": [1, 2], "rating": [1, 2]}, map={1: 2, 2: 1}) == [(1, 1, 2.0), (1, 2, 1.0)]
    with pytest.raises(InputError, match=r"map\['a'\]='b': expected a finite number"):
        read(path, map={"a": "b"})


@pytest.mark.parametrize(
    ("values", "dates", "expected"),
    [
        (["2021-05-01", "2021-05-02 10:00:00"], None, (2021, 5, 1)),
        (["2021/5/1", "2021/12/31"], None, (2021, 5, 1)),
        (["12/31/2020", "1/2/2020"], None, (2020, 12, 31)),
        (["1/2/2020", "12/31/2020"], None, (2020, 1, 2)),
        (["1/2/2020", "31/12/2020"], None, (2020, 2, 1)),
        (["1.2.2020", "3.4.2020"], None, (2020, 2, 1)),
        (["1/2/20", "31/12/19"], None, (2020, 2, 1)),
        (["3/4/2020", "5/6/2020"], "day-first", (2020, 4, 3)),
        (["3/4/2020", "5/6/2020"], "month-first", (2020, 3, 4)),
        (["May 1, 2021", "Jun 2, 2021"], None, (2021, 5, 1)),
        (["1 May 2021", "02-Jun-2021"], None, (2021, 5, 1)),
        (["Sat, 01 May 2021 00:00:00 GMT", "Sun, 02 May 2021 00:00:00 +0000"], None, (2021, 5, 1)),
        (["2021-05-01 02:00:00.25+02", "2021-05-02 00:00:00+00"], None, (2021, 5, 1)),  # as PostgreSQL writes them
        (["Sat May 01 00:00:00 +0000 2021", "Sun May 02 00:00:00 +0000 2021"], None, (2021, 5, 1)),
        (["20210501", "20210502"], None, (2021, 5, 1)),
        ([2021, 2022], None, (2021, 1, 1)),
        ([1619827200, 1619827201], None, (2021, 5, 1)),
        ([1619827200000, 1619827201000], None, (2021, 5, 1)),
        (["1619827200000000", None], None, (2021, 5, 1)),
        (["2021-05-01T02:00:00+02:00", "2021-05-01 00:00:00Z"], None, (2021, 5, 1)),
        (["5/1/2021 12:00 AM", "5/13/2021 1:30 pm"], None, (2021, 5, 1)),
        (["NaT", "2021-05-01", "NULL"], None, None),
        (["0000-00-00", "2021-05-01"], None, None),
        (["2021-05", "2021-06"], None, (2021, 5, 1)),
        (["May 2021", "June 2021"], None, (2021, 5, 1)),
        (["May-01-2021", "May-02-2021"], None, (2021, 5, 1)),
        (["01/May/2021:00:00:00 +0000", "02/May/2021:10:00:00 +0000"], None, (2021, 5, 1)),
        (["2021年5月1日", "2021年12月1日"], None, (2021, 5, 1)),
        (["2021-04-30 19:00:00 EST", "2021-05-01 20:00:00 EDT"], None, (2021, 5, 1)),
        (["2021-05-01_00:00:00", "2021-05-01 00.00"], None, (2021, 5, 1)),
        (["1619827200,0", "1619827201,5"], None, (2021, 5, 1)),
        (["1. Mai 2021", "3. März 2020", "5. Dezember 2021"], None, (2021, 5, 1)),
        (["1er mai 2021", "14 juillet 2021", "15 août 2021", "2 févr. 2021"], None, (2021, 5, 1)),
        (["1 de mayo de 2021", "2 de enero de 2021 10:30"], None, (2021, 5, 1)),
        (["1 maggio 2021", "2 gennaio 2021", "3 luglio 2021"], None, (2021, 5, 1)),
        (["1 de maio de 2021", "2 de outubro de 2021", "3 de fevereiro de 2021"], None, (2021, 5, 1)),
        (["1 mei 2021", "2 maart 2021", "3 okt 2021"], None, (2021, 5, 1)),
        (["Fri Apr 30 17:00:00 PDT 2021", "Sat May 01 00:00:00 UTC 2021"], None, (2021, 5, 1)),
        ([44317, 44318], None, (2021, 5, 1)),
        (["44317.0", "44318.25"], None, (2021, 5, 1)),
    ],
)
def test_the_column_decides_the_notation_of_times(values, dates, expected):
    converted = as_seconds(pl.Series("timestamp", values), dates)
    first = None if expected is None else int(dt.datetime(*expected, tzinfo=dt.UTC).timestamp())
    assert converted.values[0] == first
    assert converted.unreadable is None or not converted.unreadable.any()


def test_an_ambiguous_order_of_day_and_month_is_asked_for():
    frame = {"user": [1, 2], "item": [1, 2], "rating": [1, 2], "date": ["3/4/2020", "5/6/2020"]}
    with pytest.raises(InputError, match=r"timestamp='3/4/2020': day or month first.*dates='day-first'"):
        read(frame)
    assert read(frame, dates="day-first").ratings.timestamps[0] == 1_585_872_000
    assert as_seconds(pl.Series("date", ["5/5/2020"])).values.to_list() == [1_588_636_800]


def test_a_bad_time_is_named_and_dropped(tmp_path):
    path = (
        put(tmp_path, a__csv="user,item,rating,date\n1,1,1,2020-01-01\n1,2,2,\n2,1,3,soon\n2,2,4,2020-02-30\n")
        / "a.csv"
    )
    with pytest.raises(InputError, match=r"line 4: timestamp='soon', expected seconds .*read without times"):
        read(path)
    assert len(read(path, invalid="drop").ratings) == 2
    assert len(read(path, columns={"timestamp": None}).ratings) == 4
    rejects = validate(path, invalid="drop").rejects
    assert rejects["line"].to_list() == [4, 5]


def test_whole_floats_are_integers(tmp_path):
    assert rows(put(tmp_path, a__csv="user,item,rating\n1.0,10.0,4\n2.0,20,5\n") / "a.csv") == [(1, 10, 4), (2, 20, 5)]
    assert rows(put(tmp_path, a__csv="user,item,rating\n1.0,1.5,4\n2.0,x,5\n") / "a.csv") == [
        (1, "1.5", 4),
        (2, "x", 5),
    ]


# ------------------------------------------------------------------------------------------------- positions, matrices
def test_columns_can_be_given_by_position(tmp_path):
    path = put(tmp_path, a__csv="7,u1,i1,x,4\n8,u1,i2,x,5\n") / "a.csv"
    with pytest.raises(InputError, match=r"line 1: no column names for 5 columns.*'7,u1,i1,x,4'.*by position"):
        read(path)
    columns = {"user_id": 2, "item_id": "3", "rating": 5}
    assert rows(path, columns=columns) == [("u1", "i1", 4), ("u1", "i2", 5)]
    headed = put(tmp_path, b__csv="n,who,what,why,much\n7,u1,i1,x,4\n") / "b.csv"
    assert rows(headed, columns=columns) == [("u1", "i1", 4)]
    assert rows(pd.read_csv(headed), columns=columns) == [("u1", "i1", 4)]


def test_a_matrix_of_users_and_items_is_read(tmp_path):
    path = put(tmp_path, a__csv="user,10,20,30,40,50\n1,4,,2,1,1\n2,,5,1,1,nan\n") / "a.csv"
    expected = [(1, 10, 4), (1, 30, 2), (1, 40, 1), (1, 50, 1), (2, 20, 5), (2, 30, 1), (2, 40, 1)]
    frame = pd.read_csv(path)
    with pytest.raises(InputError, match="layout='wide'"):
        read(path)
    for source in (path, frame, frame.set_index("user"), pl.read_csv(path, null_values=["nan"])):
        table = read(source, layout="wide").ratings.to_polars()
        assert table.select(pl.col("user_id"), pl.col("item_id").cast(pl.Int64), "rating").rows() == expected
    assert [issue.code for issue in validate(path).issues if issue.code == "matrix"] == ["matrix"]
    unnamed = frame.astype({"user": str}).set_index("user").rename_axis(None)
    assert len(read(unnamed, layout="wide").ratings) == 7
    turned = frame.set_index("user").T.rename_axis("item").reset_index()
    assert sorted(read(turned, layout="wide").ratings.to_polars()["rating"]) == sorted(
        rating for *_, rating in expected
    )


def test_sparse_matrices_records_and_arrays_are_read():
    matrix = sp.csr_array([[4.0, 2, 0], [0, 5, 0]])
    assert rows(matrix) == [(0, 0, 4), (0, 1, 2), (1, 1, 5)]
    assert rows((matrix, [1, 2], ["a", "b", "c"])) == [(1, "a", 4), (1, "b", 2), (2, "b", 5)]
    with pytest.raises(InputError, match="2 ids for 3 items"):
        read((matrix, [1, 2], ["a", "b"]))
    assert rows(ROWS) == rows(np.array(ROWS)) == ROWS
    structured = np.array(ROWS, dtype=[("user", int), ("item", int), ("rating", float)])
    assert rows(structured) == ROWS


@pytest.mark.parametrize(
    ("ids", "first"),
    [
        ([uuid.UUID(int=1), uuid.UUID(int=2)], str(uuid.UUID(int=1))),
        ([uuid.UUID(int=1).bytes, uuid.UUID(int=2).bytes], str(uuid.UUID(int=1))),
        ([Decimal(1), Decimal(2)], 1),
        ([1.0, None], 1),
    ],
)
def test_ids_of_other_types_are_read(ids, first):
    frame = {"user": ids, "item": [1, 2], "rating": [1, 2]}
    for source in (frame, pd.DataFrame(frame)):
        assert read(source, invalid="drop").ratings.user_ids[0] == first


@pytest.mark.parametrize("as_objects", [False, True])
def test_periods_and_long_floats_are_read(as_objects):
    days = pd.Series(pd.period_range("2020-01-01", periods=2, freq="D"))
    ratings = np.array([4, 5], np.longdouble)
    frame = {"user": [1, 2], "item": [1, 2], "rating": ratings, "date": days.astype(object) if as_objects else days}
    for source in (frame, pd.DataFrame(frame)):
        read_back = read(source).ratings
        assert read_back.timestamps.tolist() == [1_577_836_800, 1_577_923_200]
        assert read_back.matrix.data.tolist() == [4, 5]


@pytest.mark.parametrize("column", ["user", "item", "rating", "timestamp"])
@pytest.mark.parametrize("value", [{1}, object(), 1j, [1], {"a": 1}, b"\0", dt.time(1), ..., float, 10**30])
def test_a_column_that_cannot_be_read_is_named(column, value):
    """No traceback of polars, pandas or NumPy reaches a user."""
    frame = {"user": [1, 2], "item": [1, 2], "rating": [1, 2], "timestamp": [1, 2], column: [value, value]}
    for source in (frame, pd.DataFrame(frame)):
        try:
            read(source)
        except InputError as error:
            assert column in str(error)  # noqa: PT017


# ------------------------------------------------------------------------------------------------------- all the same
TIMES = st.one_of(
    st.none(), st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2030, 1, 1)).map(lambda t: t.replace(microsecond=0))
)
TITLES = st.sampled_from(["Matrix, The (1999)", "Up (2009)", "Bed &amp; Board (1970)", "Enfer, L' (1994)"])
KINDS = st.sampled_from(["Drama|War", "(no genres listed)", "Comedy"])


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(1, 10), TIMES),
        min_size=1,
        max_size=12,
        unique_by=lambda row: row[:2],
    ),
    st.lists(st.tuples(TITLES, KINDS), min_size=6, max_size=6),
)
def test_files_and_frames_of_the_same_content_give_the_same(table, catalogue):
    ratings = pl.DataFrame(
        table, schema={"user": pl.Int64, "item": pl.Int64, "rating": pl.Int64, "time": pl.Datetime("us")}, orient="row"
    )
    items = pl.DataFrame(
        [(at, *row) for at, row in enumerate(catalogue, 1)], schema=["movieId", "title", "genres"], orient="row"
    )
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        paths = Path(folder) / "ratings.csv", Path(folder) / "shelf.csv"
        ratings.write_csv(paths[0])
        items.write_csv(paths[1])
        ratings.write_parquet(Path(folder) / "r.parquet")
        results = [
            read(paths[0], items=paths[1]),
            read(ratings, items=items),
            read(ratings.to_pandas(), items=items.to_pandas()),
            read(ratings.to_arrow(), items=items.to_arrow()),
            read(ratings.to_dicts(), items=items.to_dict(as_series=False)),
            read(Path(folder) / "r.parquet", items=items.lazy()),
        ]
    for result in results[1:]:
        assert result.ratings.to_polars().equals(results[0].ratings.to_polars())
        assert result.items.equals(results[0].items)


# ------------------------------------------------------------------------------------------------------- nothing lost
ROW = st.tuples(
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(1, 5),
    st.sampled_from(["x", "é", r'"a \"b\" c"', '"a,""b"""', r"\n"]),
)
GOOD = ROW.map(lambda row: ",".join(map(str, row)))
ODD = st.one_of(
    st.sampled_from(["", "   ", "1,2", "1,2,3", "1,2,3,x,y", "a,b,c,d", "1,2,x,", ",,,", "1,\0,3,x", "1,2,3,\\"]),
    st.sampled_from(['1,2,3,"open', '"1,2,3,x', '1,"2,3,x', '1,2,3,"open ""quote']),
    st.text('12,"\\é ', max_size=12),
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(
    st.lists(GOOD | ODD, min_size=1, max_size=12),
    st.sampled_from([",", ";", "\t", "|", "::"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_no_line_of_a_file_is_lost(lines, separator, ends):
    """Lines = ratings + repeated ratings + rejected + blank + comment lines + lines within quotes, by another count."""
    text = ends.join(["user,item,rating,note", *lines, "9,9,3,z"])
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        path = Path(folder) / "a.csv"
        path.write_bytes(text.replace(",", separator).encode())
        try:
            assert fuzz_read.unaccounted(path, {"invalid": "drop"}) == 0
        except InputError as error:
            assert "NUL bytes" in str(error)  # noqa: PT017


def test_a_bad_row_with_an_open_quote_takes_no_others_with_it(tmp_path):
    path = put(tmp_path, a__csv='user,item,rating,note\n1,2,1,\nx,,,"\n1,1,1,\nx"\n9,9,3,z') / "a.csv"
    assert rows(path, invalid="drop") == [(1, 1, 1.0), (1, 2, 1.0), (9, 9, 3.0)]


def test_mutated_files_are_read_or_refused():
    """A short run of benchmarks/fuzz_read.py."""
    bad = [
        (outcome, name, details)
        for outcome, name, details in fuzz_read.attempts(250, seed=7)
        if outcome not in ("read", "refused")
    ]
    assert bad == []


# ------------------------------------------------------------------------------------------- more kinds of each table
@pytest.mark.parametrize(
    "names",
    [
        "profileName,beer_beerid,review_overall", "user_nr,item_nr,rate", "buyer_id,venue_id,user_score",
        "SessionId,ItemId,Rating", "user,title,rating", "uid,tconst,star_rating", "Cust_Id,Movie_Id,Rating",
        "Benutzer,Film,Bewertung", "Kundennummer,Artikelnr,Sterne", "id_usuario,película,calificación",
        "utilisateur,livre,note", "customer_email,sku,rating", "User ID,Movie ID,Rating (1-5)",
        "utente,prodotto,voto", "klant,boek,beoordeling",
    ],
)  # fmt: skip
def test_ids_are_known_by_their_nouns_and_endings(tmp_path, names):
    assert rows(put(tmp_path, a__csv=RATINGS.replace("user,item,rating", names)) / "a.csv") == ROWS


def test_a_column_that_is_not_known_is_suggested():
    with pytest.raises(InputError, match=r"Did you mean 'the_user' for user_id, 'film_x' for item_id\?"):
        read({"the_user": [1], "film_x": [2], "rating": [3]})


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "| user | item | rating |\n|:---|---|---:|\n| 1 | 10 | 4 |\n| 1 | 20 | 2 |\n| 2 | 20 | 5 |\n",
            "rule the table",
        ),
        (
            "+----+----+----+\n| user | item | rating |\n+----+----+----+\n| 1 | 10 | 4 |\n| 1 | 20 | 2 |\n"
            "| 2 | 20 | 5 |\n+----+----+----+\n",
            "rule the table",
        ),
        (f"Export of the shop\nGenerated: 1 May, 2021\n\n{RATINGS}", "skipped 2 lines above the table"),
    ],
)
def test_lines_that_are_no_rows_are_skipped_with_a_note(tmp_path, text, note):
    data = read(put(tmp_path, a__txt=text) / "a.txt")
    assert data.ratings.to_polars().rows() == ROWS
    assert any(note in each for each in data.notes)


def test_columns_of_zeros_and_ones_are_genres(tmp_path):
    catalogue = "id,title,is_new,Drama,Sci-Fi,War,length\n10,Up,1,1,0,0,90\n20,Heat,0,0,1.0,1,170\n"
    put(tmp_path, ratings__csv=RATINGS, items__csv=catalogue)
    expected = [["Drama"], ["Sci-Fi", "War"]]
    assert read(tmp_path).items["genres"].to_list() == expected
    frame = pl.read_csv(io.StringIO(catalogue))
    data = read(tmp_path / "ratings.csv", items=frame)
    assert data.items["genres"].to_list() == expected
    assert "items: took 3 columns of 0 and 1 for genres, such as 'Drama'" in data.notes
    named = read(tmp_path / "ratings.csv", items=frame, item_columns={"genres": None})
    assert named.items["genres"].to_list() == [[], []]


def test_a_catalogue_names_items_by_their_kind(tmp_path):
    events = "customer_id,article_id,t_dat\nann,1,2021-05-01\nben,2,2021-05-02\n"
    put(tmp_path, transactions__csv=events, articles__csv="article_id,prod_name,product_code\n1,Strap,5\n2,Vest,6\n")
    assert read(tmp_path).items["title"].to_list() == ["Strap", "Vest"]


def test_ratings_dat_beside_another_catalogue_is_no_movielens(tmp_path):
    data = read(
        put(tmp_path, ratings__dat="1::10::4::978300760\n2::10::3::978300761\n", books__dat="10::Up::Fantasy\n")
    )
    assert data.noun == "item"
    assert any(note.startswith("left out books.dat") for note in data.notes)


@pytest.mark.parametrize("names", ["when", "date_added", "date", "Order Date (UTC)"])
def test_times_are_known_by_other_names(tmp_path, names):
    text = f"user,item,rating,{names}\nann,1,4,2021-05-01\n"
    assert read(put(tmp_path, a__csv=text) / "a.csv").ratings.timestamps[0] == 1619827200


def zipped(**files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("___", "/").replace("__", "."), data)
    return packed.getvalue()


@pytest.mark.parametrize(
    "files",
    [
        {"a__zip": zipped(inner__zip=zipped(ratings__csv=RATINGS, movies__csv=ITEMS))},
        {"ratings__csv__zip": zipped(ratings__csv=RATINGS), "movies__csv__zip": zipped(movies__csv=ITEMS)},
        {"ratings__zip": zipped(x___ratings__csv=RATINGS), "x___movies__csv": ITEMS},
    ],
)
def test_archives_within_a_folder_or_an_archive_are_read(tmp_path, files):
    put(tmp_path, **files)
    data = read(tmp_path / "a.zip" if "a__zip" in files else tmp_path)
    assert data.ratings.to_polars().rows() == ROWS
    assert data.items["title"].to_list() == ["The Matrix", "Up"]
    assert fingerprint(tmp_path)


def test_a_catalogue_without_any_id_of_the_ratings_is_reported(tmp_path):
    put(tmp_path, ratings__csv=RATINGS, movies__csv="movieId,title\n110,The Matrix\n120,Up\n")
    note = "no id of the table of items is in the ratings, such as 110; the ratings have ids such as 10"
    assert note in read(tmp_path).notes
    assert note in read(tmp_path / "ratings.csv", items={"item_id": [110], "title": ["The Matrix"]}).notes


def test_a_catalogue_with_a_few_repeated_ids_is_used(tmp_path):
    put(tmp_path, ratings__csv=RATINGS, movies__csv=ITEMS + "10,Other,Drama\n")
    data = read(tmp_path)
    assert data.items["title"].to_list() == ["The Matrix", "Up"]
    assert "movies.csv: dropped 1 row with a repeated item_id, such as 10" in data.notes
    with pytest.raises(InputError, match=r"item_id=10 occurs more than once.*invalid='drop'"):
        read(tmp_path / "ratings.csv", items=tmp_path / "movies.csv")
    assert len(read(tmp_path / "ratings.csv", items=tmp_path / "movies.csv", invalid="drop").items) == 2
    actors = "movieId,actor\n" + "".join(f"{item},{actor}\n" for item in (10, 20) for actor in "abcdefgh")
    data = read(put(tmp_path / "cast", ratings__csv=RATINGS, actors__csv=actors))
    assert data.items["title"].to_list() == ["Item 10", "Item 20"]


def test_the_id_of_a_catalogue_is_the_column_with_the_ids_of_the_ratings(tmp_path):
    books = "id,item,title\n10,901,A\n20,902,B\n"
    data = read(put(tmp_path, ratings__csv=RATINGS, books__csv=books.replace("item", "item_id")))
    assert data.items["title"].to_list() == ["A", "B"]
    assert any("took id for item_id" in note for note in data.notes)
    padded = read(put(tmp_path / "b", ratings__csv=RATINGS, books__csv="item_id,title\n0010,A\n0020,B\n"))
    assert padded.items["title"].to_list() == ["A", "B"]


def test_friends_and_tags_are_neither_users_nor_an_edition(tmp_path):
    put(tmp_path, user_artists__dat=RATINGS, tags__dat="tagID,value\n1,x\n", friends__dat="userID,friendID\n1,2\n")
    data = read(tmp_path)
    assert (data.noun, data.ratings.scale) == ("item", (2, 5, 1))
    assert len(data.users) == 2


def test_part_files_of_any_name_are_one_table(tmp_path):
    first, second = pl.read_csv(io.StringIO(RATINGS))[:1], pl.read_csv(io.StringIO(RATINGS))[1:]
    first.write_parquet(tmp_path / "a.parquet")
    second.write_parquet(tmp_path / "b.parquet")
    assert rows(tmp_path) == ROWS
    assert rows(put(tmp_path / "x", **{"part-0000": "1,10,4\n1,20,2\n", "part-0001": "2,20,5\n"})) == ROWS


@pytest.mark.parametrize(
    "cell",
    ["('x', 'y')", "{'x', 'y'}", "{x,y}", "['x' 'y']", "{'1': 'x', '2': 'y'}", "[['x', 'y']]", "[{'genre': 'x'}, 'y']"],
)
def test_genres_in_brackets_of_every_kind_are_read(cell):
    items = {"item_id": [10, 20], "title": ["A", "B"], "genres": [cell, "None"]}
    ratings = {"user": [1, 2], "item": [10, 20], "rating": [1, 2]}
    assert read(ratings, items=items).items["genres"].to_list() == [["x", "y"], []]


def test_titles_with_a_year_are_cut_beside_a_column_of_years():
    items = {"item_id": [10, 20], "title": ["Matrix, The (1999)", "Up (2009)"], "year": [1999, None]}
    found = read({"user": [1, 2], "item": [10, 20], "rating": [1, 2]}, items=items).items
    assert found.select("title", "year").rows() == [("The Matrix", 1999), ("Up", 2009)]
    dated = {"item_id": [10, 20], "release_date": ["1995-10-30", ""]}
    assert read({"user": [1, 2], "item": [10, 20], "rating": [1, 2]}, items=dated).items["year"].to_list() == [
        1995,
        None,
    ]


@pytest.mark.parametrize(
    "content",
    [
        {"columns": ["user", "item", "rating"], "index": [0, 1, 2], "data": [[1, 10, 4], [1, 20, 2], [2, 20, 5]]},
        [{"user": {"$numberInt": str(u)}, "item": {"id": i}, "rating": r} for u, i, r in ROWS],
    ],
)
def test_json_of_pandas_and_mongodb(tmp_path, content):
    assert [(int(u), i, r) for u, i, r in rows(put(tmp_path, a__json=json.dumps(content)) / "a.json")] == ROWS


def test_nested_mappings_and_series_are_ratings(tmp_path):
    critics = {"ann": {"Up": 3, "Heat": 4}, "ben": {"Up": 1}}
    expected = [("ann", "Heat", 4.0), ("ann", "Up", 3.0), ("ben", "Up", 1.0)]
    assert rows(critics) == expected
    assert rows(put(tmp_path, a__json=json.dumps(critics)) / "a.json") == expected
    assert rows(pd.read_csv(io.StringIO(RATINGS)).set_index(["user", "item"])["rating"]) == ROWS


def test_a_table_of_four_columns_whose_last_is_no_time_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no column names for 4 columns.*'0,1,10,4'"):
        read(put(tmp_path, a__csv="0,1,10,4\n1,1,20,2\n") / "a.csv")


def test_text_that_needs_an_encoding_beside_text_that_does_not(tmp_path):
    put(tmp_path, ratings__csv=RATINGS, movies__csv="id,name\n10,Žluť\n20,é\n".encode("utf-16-le"))
    assert read(tmp_path).items["title"].to_list() == ["Žluť", "é"]
    assert read(tmp_path, encoding="utf-16-le").items["title"].to_list() == ["Žluť", "é"]


def test_a_matrix_with_attributes_zeros_and_decimal_commas(tmp_path):
    text = "user;age;Alien;Fargo\nann;30;3,5;0\nben;40;0;2\n"
    data = read(put(tmp_path, a__csv=text) / "a.csv", layout="wide")
    assert data.ratings.to_polars().rows()[0] == ("ann", "Alien", 3.5)
    assert "left out age: no item" in data.notes
    assert any("no cell is empty, and 2 are 0" in note for note in data.notes)
    jester = "2;3,5;99;1\n2;99;4,5;2\n"
    assert rows(put(tmp_path, b__csv=jester) / "b.csv", layout="wide")[0] == (1, 1, 3.5)
    with pytest.raises(InputError, match="row 1: 'x', expected a number in each cell"):
        read(put(tmp_path, c__csv="2;x;99;1\n2;99;4,5;2\n") / "c.csv", layout="wide")


def test_damaged_parquet_prints_no_trace(tmp_path, capfd):
    packed = io.BytesIO()
    pl.read_csv(io.StringIO(RATINGS)).write_parquet(packed)
    data = bytearray(packed.getvalue())
    for at in range(4, len(data) - 8, 7):
        damaged = data.copy()
        damaged[at] ^= 0xFF
        try:
            read(put(tmp_path, a__parquet=bytes(damaged)) / "a.parquet")
        except InputError:
            continue
    assert "panicked" not in capfd.readouterr().err


# ---------------------------------------------------------------------------------------------------------- suspicions
@pytest.mark.parametrize(
    ("values", "value"),
    [
        ([-1, 1, 2, 3], -1),
        ([0, 0, 5, 6, 7, 8], 0),
        ([99, 3.5, -2, 1, -9], 99),
        ([1, 2, 3, 4], None),
        ([0, 1, 2, 3], None),
    ],
)
def test_a_sentinel_is_suspected(values, value):
    ratings = (values * 30)[:60]
    frame = {"user": [7 * at for at in range(60)], "item": [at % 7 for at in range(60)], "rating": ratings}
    found = [issue for issue in validate(frame).issues if issue.code == "sentinel"]
    assert len(found) == (value is not None)
    if found:
        assert f"{value:g} stand apart" in found[0].message
        assert any("stand apart" in note for note in read(frame).notes)


def test_row_numbers_and_genres_that_are_no_list_are_suspected():
    frame = {"user": list(range(30)), "item": [at % 12 for at in range(30)], "rating": [1, 2, 3] * 10}
    items = {"item_id": list(range(12)), "genres": [f"Kind {at} and more" for at in range(12)]}
    codes = [issue.code for issue in validate(frame, items=items).issues]
    assert {"row_numbers", "one_genre"} <= set(codes)
    lost = frame | {"user": [f"{1 + at / 100:.2f}E+12" for at in range(30)]}
    assert "lost_digits" in [issue.code for issue in validate(lost).issues]
