"""Every edition of MovieLens, from folders and zips, intact and damaged; the real 100K and 1M."""

import datetime
import zipfile

import polars as pl
import pytest

from reelated.data import folds, read
from reelated.data.items import split_title
from reelated.errors import DataWarning, InputError

GENRES = 19


def item(number, title, date="", flags=()):
    return "|".join([str(number), title, date, "", "", *("1" if at in flags else "0" for at in range(GENRES))])


FILES_100K = {
    "u.data": "1\t10\t4\t880000000\n1\t20\t5\t880000001\n2\t20\t3\t880000002\n",
    "u.item": "\n".join(
        [
            item(10, "Café Under the Bridge, The (1994)", "02-Feb-1994", (5, 8)),
            item(20, "unknown", "", (0,)),
            item(30, 'Never "Rated" (1996)', "4-Mar-1996"),
        ]
    ),
    "u.user": "1|24|M|technician|08511\n2|53|F|other|T8H1N\n",
    "u.genre": "unknown|0\nAction|1\n",
}
FILES_1M = {
    "ratings.dat": "1::10::4::978300760\n2::20::5::978300761\n2::10::1::978300762\n",
    "movies.dat": "10::Uomo di Città, L' (1995)::Comedy|Drama\n20::Plain (1990)::Thriller\n",
    "users.dat": "1::F::1::10::08067\n2::M::56::16::70072-1234\n",
}
FILES_10M = {
    "ratings.dat": "1::10::4.5::978300760\n2::20::5::978300761\n",
    "movies.dat": "10::Vie à deux, La (1995)::Comedy\n20::Plain (1990)::(no genres listed)\n",
    "tags.dat": '1::10::a "quoted" tag::1215184630\n',
}
FILES_CSV = {
    "ratings.csv": "userId,movieId,rating,timestamp\n1,10,4.0,964982703\n1,20,0.5,964982704\n2,20,3.5,964982705\n",
    "movies.csv": 'movieId,title,genres\n10,"Beautiful Day, A (2001)",Drama|Romance\n'
    '20,"""Quoted"" Cats, The (1998)",(no genres listed)\n30,No Year,Comedy\n',
    "links.csv": "movieId,imdbId,tmdbId\n10,0268978,453\n20,0099999,\n30,0000030,30\n",
    "tags.csv": 'userId,movieId,tag,timestamp\n1,10,"slow, but good",1445714994\n',
}
EDITIONS = {"100K": FILES_100K, "1M": FILES_1M, "10M": FILES_10M, "csv": FILES_CSV}
LATIN = ("100K", "1M")


def encoded(edition):
    return {name: text.encode("latin-1" if edition in LATIN else "utf-8") for name, text in EDITIONS[edition].items()}


def folder_of(tmp_path, files, inner=""):
    folder = tmp_path / "set"
    (folder / inner).mkdir(parents=True)
    for name, data in files.items():
        (folder / inner / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


def zip_of(tmp_path, files, inner="ml/"):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(inner + name, data)
    return path


def row(table, key, value):
    return table.row(by_predicate=pl.col(key) == value, named=True)


def test_the_100k_layout_has_titles_genres_dates_and_users(tmp_path):
    data = read(folder_of(tmp_path, encoded("100K")))
    item = row(data.items, "item_id", 10)
    assert (item["title"], item["year"]) == ("The Café Under the Bridge", 1994)
    assert item["genres"] == ["Comedy", "Drama"]
    assert item["release_date"] == datetime.date(1994, 2, 2)
    assert row(data.users, "user_id", 1) == {
        "user_id": 1,
        "age": 24,
        "gender": "M",
        "occupation": "technician",
        "zip_code": "08511",
    }
    assert data.ratings.scale == (1, 5, 1)
    assert data.ratings.to_polars().rows()[0] == (1, 10, 4.0, 880000000)


def test_the_genre_unknown_is_no_genre_and_an_item_without_a_date_is_kept(tmp_path):
    item = row(read(folder_of(tmp_path, encoded("100K"))).items, "item_id", 20)
    assert item == {"item_id": 20, "title": "unknown", "year": None, "genres": [], "release_date": None}


def test_an_unrated_item_is_in_the_item_table(tmp_path):
    data = read(folder_of(tmp_path, encoded("100K")))
    assert row(data.items, "item_id", 30)["title"] == 'Never "Rated"'
    assert 30 not in data.ratings.item_ids


def test_two_items_may_have_the_same_title(tmp_path):
    files = encoded("100K") | {"u.item": "\n".join(item(at, "Twice (1990)") for at in (10, 20))}
    assert read(folder_of(tmp_path, files)).items["title"].to_list() == ["Twice", "Twice"]


def test_the_1m_layout_decodes_occupations_but_not_ages(tmp_path):
    data = read(folder_of(tmp_path, encoded("1M")))
    assert row(data.users, "user_id", 1) == {
        "user_id": 1,
        "gender": "F",
        "age": 1,
        "occupation": "K-12 student",
        "zip_code": "08067",
    }
    assert row(data.items, "item_id", 10)["title"] == "L'Uomo di Città"
    assert data.ratings.scale == (1, 5, 1)


def test_the_10m_layout_has_half_stars_tags_and_utf8(tmp_path):
    data = read(folder_of(tmp_path, encoded("10M")))
    assert data.ratings.scale == (0.5, 5, 0.5)
    assert row(data.items, "item_id", 10)["title"] == "La Vie à deux"
    assert row(data.items, "item_id", 20)["genres"] == []
    assert data.tags.rows() == [(1, 10, 'a "quoted" tag', 1215184630)]


def test_the_csv_layout_has_quoted_titles_links_and_tags(tmp_path):
    data = read(folder_of(tmp_path, encoded("csv")))
    assert row(data.items, "item_id", 10) == {
        "item_id": 10,
        "title": "A Beautiful Day",
        "year": 2001,
        "genres": ["Drama", "Romance"],
        "imdb_id": "0268978",
        "tmdb_id": 453,
    }
    assert row(data.items, "item_id", 20)["title"] == 'The "Quoted" Cats'
    assert row(data.items, "item_id", 20)["tmdb_id"] is None
    assert row(data.items, "item_id", 30)["title"] == "No Year"
    assert data.tags["tag"].to_list() == ["slow, but good"]
    assert data.ratings.scale == (0.5, 5, 0.5)
    assert data.name == "MovieLens (3 ratings)"


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_zip_is_read_like_its_folder(tmp_path, edition):
    folder, archive = folder_of(tmp_path, encoded(edition)), zip_of(tmp_path, encoded(edition))
    from_folder, from_zip = read(folder), read(archive)
    assert from_folder.ratings.to_polars().equals(from_zip.ratings.to_polars())
    assert from_folder.items.equals(from_zip.items)
    assert from_folder.users.equals(from_zip.users)
    assert read(str(archive)).name == from_zip.name


def test_files_in_one_inner_folder_are_found(tmp_path):
    folder = folder_of(tmp_path, encoded("100K"), inner="ml-100k")
    assert len(read(folder).ratings) == 3


def test_two_inner_folders_with_ratings_are_an_error(tmp_path):
    folder = folder_of(tmp_path, encoded("100K"), inner="one")
    (folder / "two").mkdir()
    (folder / "two" / "u.data").write_text("1\t1\t1\t1\n")
    with pytest.raises(InputError, match="holds ratings in 'one' and in 'two'"):
        read(folder)


def test_side_files_are_read_with_any_ratings_table(tmp_path):
    files = {name: encoded("1M")[name] for name in ("movies.dat", "users.dat")}
    folder = folder_of(tmp_path, files)
    table = {"user_id": [1, 1, 2], "item_id": [10, 20, 10], "rating": [4, 5, 1], "chrono_rank": [1, 0, 0]}
    pl.DataFrame(table).write_parquet(folder / "ratings.parquet")
    data = read(folder)
    assert row(data.items, "item_id", 20)["genres"] == ["Thriller"]
    assert data.ratings.scale == (1, 5, 1)
    assert data.ratings.order.tolist() == [1, 0, 0]
    assert data.ratings.timestamps is None


def test_another_ratings_table_keeps_its_own_scale(tmp_path):
    folder = folder_of(tmp_path, {"movies.dat": encoded("1M")["movies.dat"]})
    pl.DataFrame({"user_id": [1, 2], "item_id": [10, 20], "rating": [0, 10]}).write_parquet(folder / "mine.parquet")
    assert read(folder).ratings.scale == (0, 10, 10)


def test_the_scale_of_an_edition_applies_only_if_the_ratings_fit(tmp_path):
    files = encoded("100K") | {"u.data": "1\t10\t10\t880000000\n1\t20\t4\t880000000\n"}
    assert read(folder_of(tmp_path, files)).ratings.scale == (4, 10, 6)
    with pytest.raises(InputError, match=r"set: 1 row with a rating outside the scale .1 to 5 in steps of 1."):
        read(tmp_path / "set", scale=(1, 5, 1))


def test_two_ratings_files_are_an_error(tmp_path):
    folder = folder_of(tmp_path, encoded("100K") | {"ratings.csv": FILES_CSV["ratings.csv"]})
    with pytest.raises(InputError, match=r"holds ratings in 'ratings.csv' and in 'u.data'. Pass one of them"):
        read(folder)


def test_a_folder_without_ratings_is_an_error_that_lists_its_files(tmp_path):
    with pytest.raises(InputError, match=r"set contains no ratings in a known format.*found: 'u.item, u.user'"):
        read(folder_of(tmp_path, {name: FILES_100K[name].encode() for name in ("u.item", "u.user")}))


def test_a_bad_line_is_an_error_with_file_and_line(tmp_path):
    bad = FILES_1M["ratings.dat"] + "3::10::4\n"
    folder = folder_of(tmp_path, encoded("1M") | {"ratings.dat": bad})
    with pytest.raises(InputError, match=r"ratings.dat, line 4: 3 fields where 4 are expected: '3::10::4'. Correct"):
        read(folder)
    with pytest.warns(DataWarning, match="dropped 1 bad line, the first is line 4"):
        data = read(folder, invalid="drop")
    assert len(data.ratings) == 3
    assert any("dropped 1 bad line" in note for note in data.notes)


@pytest.mark.parametrize("name", ["u.item", "u.user"])
def test_a_bad_line_in_a_side_file_is_dropped_with_file_and_line(tmp_path, name):
    first, rest = FILES_100K[name].split("\n", 1)
    files = encoded("100K") | {name: f"{first}\n1|2\n{rest}".encode("latin-1")}
    with pytest.warns(DataWarning, match=rf"{name}: dropped 1 bad line, the first is line 2: 2 fields where"):
        data = read(folder_of(tmp_path, files))
    assert (len(data.items), len(data.users)) == (3, 2)


def test_members_of_a_zip_outside_its_folder_are_ignored(tmp_path):
    archive = tmp_path / "deep" / "set.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../ratings.csv", "user,item,rating\n9,9,9\n")
        file.writestr("/u.user", "nonsense")
        for name, data in encoded("100K").items():
            file.writestr(f"ml/{name}", data)
    before = sorted(tmp_path.rglob("*"))
    assert read(archive).ratings.to_polars()["user_id"].to_list() == [1, 1, 2]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_truncated_zip_is_an_error(tmp_path):
    archive = zip_of(tmp_path, encoded("csv"))
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"set.zip: the zip is damaged or cut short"):
        read(archive)


def test_a_zip_with_a_damaged_member_is_an_error(tmp_path):
    archive = zip_of(tmp_path, {"ratings.csv": "user,item,rating\n" + "1,2,3\n" * 999})
    data = bytearray(archive.read_bytes())
    data[60] ^= 0xFF
    archive.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"ratings.csv: the zip is damaged"):
        read(archive)


def test_an_encrypted_zip_is_an_error(tmp_path):
    archive = zip_of(tmp_path, encoded("csv"))
    data = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 1)
    archive.write_bytes(bytes(data))
    with pytest.raises(InputError, match=r"it is encrypted\. Unpack it first"):
        read(archive)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Beautiful Mind, A (2001)", ("A Beautiful Mind", 2001)),
        ("Postino, Il (Postman, The) (1994)", ("Il Postino (The Postman)", 1994)),
        (
            "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
            ("The City of Lost Children (La Cité des enfants perdus)", 1995),
        ),
        ("Enfer, L' (1994)", ("L'Enfer", 1994)),
        ("Boot, Das (1981)", ("Das Boot", 1981)),
        ("Blue Angel, The (Blaue Engel, Der) (1930)", ("The Blue Angel (Der Blaue Engel)", 1930)),
        ("Good, The Bad and The Ugly, The (1966)", ("The Good, The Bad and The Ugly", 1966)),
        ("I, Worst of All (Yo, la peor de todas) (1990)", ("I, Worst of All (Yo, la peor de todas)", 1990)),
        ("Cry, the Beloved Country (1995)", ("Cry, the Beloved Country", 1995)),
        ("Live and Let Die (1973)", ("Live and Let Die", 1973)),
        ("Sting (a.k.a. Con, The) (1973)", ("Sting (a.k.a. The Con)", 1973)),
        ("Associate, The (L'Associe)(1982)", ("The Associate (L'Associe)", 1982)),
        ("Long Show, The (2006–2007)", ("The Long Show", 2006)),
        ("Going On (2007-)", ("Going On", 2007)),
        ("For Video (1995) (V)", ("For Video (V)", 1995)),
        ("And Then (Et puis&#8230;) (1956) ", ("And Then (Et puis…)", 1956)),
        ("1984", ("1984", None)),
        ("(1999)", ("(1999)", 1999)),
        ("", ("", None)),
    ],
)
def test_catalogue_titles_become_display_titles(title, expected):
    assert split_title(title) == expected


def test_titles_of_a_table_with_years_become_display_titles(tmp_path):
    files = {
        "ratings.csv": "user,item,rating\n1,10,4\n",
        "movies.csv": 'item,title,year\n10,"Doors, The (Live)",1968.0\n11,Bed &amp; Board,0\n',
    }
    item = read(folder_of(tmp_path, files)).items.row(0, named=True)
    assert (item["title"], item["year"]) == ("The Doors (Live)", 1968)
    assert read(tmp_path / "set").items.row(1)[1:3] == ("Bed & Board", None)


def test_a_sample_in_a_folder_is_named_simulated(tmp_path):
    files = encoded("100K") | {"README": "Reelated sample: simulated ratings of well-known movies"}
    assert read(folder_of(tmp_path, files)).name == "Reelated sample (simulated ratings)"


def test_folds_yields_the_five_official_folds(tmp_path):
    parts = {f"u{number}.base": f"1\t10\t{number}\t88\n1\t20\t1\t88\n" for number in range(1, 6)}
    parts |= {f"u{number}.test": f"2\t20\t{number}\t88\n" for number in range(1, 6)}
    loaded = list(folds(folder_of(tmp_path, encoded("100K") | parts)))
    assert [train.ratings.matrix[0, 0] for train, _ in loaded] == [1, 2, 3, 4, 5]
    assert [test.row(0) for _, test in loaded] == [(2, 20, float(number), 88) for number in range(1, 6)]


def test_a_data_set_without_folds_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"set has no file 'u1.base' next to its ratings"):
        next(folds(folder_of(tmp_path, encoded("100K"))))


def test_movielens_100k_has_its_published_counts(shared_data):
    data = read(shared_data / "ml-100k.zip")
    assert repr(data) == "MovieLens 100K: 100,000 ratings by 943 users of 1,682 movies, 1 to 5 in steps of 1"
    assert data.notes == ()
    assert (len(data.items), len(data.users)) == (1682, 943)
    assert row(data.items, "item_id", 267)["title"] == "unknown"
    assert data.items["release_date"].null_count() == data.items["year"].null_count() == 1
    assert [len(test) for _, test in folds(shared_data / "ml-100k.zip")] == [20000] * 5


def test_movielens_1m_has_its_published_counts(shared_data):
    data = read(shared_data / "ml-1m")
    assert repr(data) == "MovieLens 1M: 1,000,209 ratings by 6,040 users of 3,706 movies, 1 to 5 in steps of 1"
    assert (len(data.items), len(data.users)) == (3883, 6040)
    assert data.items["year"].null_count() == 0
    assert data.items.filter(pl.col("title").str.contains(r", (The|A|An|La|Le|Les|Il|Der|Das)\b *(\(|\)|$)")).is_empty()
    assert data.ratings.order.min() == 0
    assert data.users["occupation"].n_unique() == 21
