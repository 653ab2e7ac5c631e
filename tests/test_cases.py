"""Tables from bug reports and public data sets, each with the values that it holds.

Nearly all hold the same 48 ratings by 8 users of 8 items, in another notation each.
"""

import datetime as dt
import importlib.util
import uuid

import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from reelated import EASE, InputError, Recommender, read, validate
from reelated.refit import Versions, refit
from reelated.store import Store

pytestmark = pytest.mark.filterwarnings("ignore::reelated.errors.DataWarning")

# user 1 rated six of the items 101 to 108
FIRST = {101: 1, 103: 2, 104: 5, 105: 1, 107: 1, 108: 5}
UTC = dt.UTC


def ratings_of(data, user=None):
    """Return item → rating of a user, by default the first."""
    table = data.ratings.to_polars()
    user = data.ratings.user_ids[0] if user is None else user
    return dict(table.filter(pl.col("user_id") == user).select("item_id", "rating").rows())


def seconds(data):
    return [int(second) for second in data.ratings.timestamps]


def titles(data):
    return dict(data.items.select("item_id", "title").rows())


def check_first(data, ratings=FIRST):
    assert (len(data.ratings), len(data.ratings.user_ids), len(data.ratings.item_ids)) == (48, 8, 8)
    assert ratings_of(data) == ratings


READ_AT_ONCE = [
    ("aliases/data.csv", {}),
    ("aliases/interactions.csv", {}),
    ("aliases/small.inter", {}),
    ("anime-two-tables", {"map": {-1: 1, 2: 1, 4: 2, 8: 4, 10: 5}}),
    ("any-encoding-is-latin1/cp1252", {}),
    ("dates-stop-reading/amazon.csv", {}),
    ("dates-stop-reading/nat.csv", {}),
    ("dates-stop-reading/us.csv", {}),
    ("dates-stop-reading/utc-word.csv", {}),
    ("dates-stop-reading/words.csv", {}),
    ("dates-stop-reading/ratings.csv", {"columns": {"timestamp": None}}),
    ("float-ids-in-text/float-ids", {}),
    ("folder-with-foreign-tags/goodbooks", {}),
    ("folder-with-foreign-tags/hetrec-movielens", {}),
    ("headless-many-columns/data.csv", {"columns": {"user_id": 2, "item_id": 3, "rating": 4, "timestamp": 5}}),
    ("headless-many-columns/movie-ratings.txt", {"columns": {"user_id": "1", "item_id": "2", "rating": "5"}}),
    ("json-xlsx-sqlite-xz/packed-bz2", {}),
    ("json-xlsx-sqlite-xz/packed-tgz", {}),
    ("json-xlsx-sqlite-xz/packed-xz", {}),
    ("json-xlsx-sqlite-xz/ratings.db", {}),
    ("json-xlsx-sqlite-xz/ratings.db::ratings", {}),
    ("json-xlsx-sqlite-xz/ratings.json", {}),
    ("json-xlsx-sqlite-xz/ratings.xlsx", {}),
    ("merged-table/all.csv", {}),
    ("ratings-in-words/rating-of-five", {}),
    ("ratings-in-words/rating-stars", {}),
    ("space-separated/out.ratings", {}),
    ("space-separated/space-header", {}),
    ("title-html-and-articles/entities", {}),
    ("uuid-ids/parquet/brotli.parquet", {}),
    ("uuid-ids/parquet/dec.parquet", {}),
    ("uuid-ids/parquet/decid.parquet", {}),
    ("uuid-ids/parquet/f.feather", {}),
    ("uuid-ids/parquet/indexed.parquet", {}),
]


@pytest.mark.parametrize(("name", "options"), READ_AT_ONCE, ids=[name for name, _ in READ_AT_ONCE])
def test_the_ratings_of_a_reported_table_are_read(shared_cases, name, options):
    if name.endswith(".xlsx") and importlib.util.find_spec("fastexcel") is None:
        with pytest.raises(InputError, match="fastexcel is not installed"):
            read(shared_cases / name)
        return
    check_first(read(str(shared_cases / name), **options))


@pytest.mark.parametrize(
    ("name", "n_ratings", "user", "first"),
    [
        ("aliases/Books.csv", 48, "AE1", {f"B00{item}": rating for item, rating in FIRST.items()}),
        ("aliases/plays.csv", 48, 1, {101: 1, 103: 64, 104: 15625, 105: 1, 107: 1, 108: 15625}),
        ("decimal-comma/euro-csv/known.csv", 48, 1, {101: 0.5, 103: 1.5, 104: 4.5, 105: 0.5, 107: 0.5, 108: 4.5}),
        ("json-xlsx-sqlite-xz/review.json", 48, "u_1", {f"b-{item}": rating for item, rating in FIRST.items()}),
        ("kaggle-ml20m/kaggle-ml20m", 48, 1, {101: 1.5, 103: 2.5, 104: 5, 105: 1.5, 107: 1.5, 108: 5}),
        ("open-quote-swallows-rows/rev.csv", 5, 1, {10: 5, 20: 3}),
        ("open-quote-swallows-rows/rev.tsv", 7, 1, {10: 5, 20: 3}),
        ("ratings-in-words/rating-bool", 48, 1, {101: 0, 103: 0, 104: 1, 105: 0, 107: 0, 108: 1}),
        ("space-separated/filmtrust", 48, 1, {101: 1.5, 103: 2, 104: 3.5, 105: 1.5, 107: 1.5, 108: 3.5}),
        ("uuid-ids/parquet/dict.parquet", 48, "u1", FIRST),
        ("uuid-ids/parquet/uuid-bin.parquet", 48, str(uuid.UUID(int=1)), FIRST),
        ("uuid-ids/parquet/uuid-ext.parquet", 48, str(uuid.UUID(int=1)), FIRST),
        ("netflix-blocks/netflix-blocks", 48, 1001, {1: 1, 3: 2, 4: 5, 5: 1, 7: 1, 8: 5}),
        ("netflix-blocks/netflix-blocks/combined_data_1.txt", 48, 1001, {1: 1, 3: 2, 4: 5, 5: 1, 7: 1, 8: 5}),
    ],
)
def test_ids_and_ratings_keep_their_values(shared_cases, name, n_ratings, user, first):
    data = read(shared_cases / name)
    assert len(data.ratings) == n_ratings
    assert ratings_of(data, user) == first


@pytest.mark.parametrize(
    ("name", "moments"),
    [
        ("us.csv", [(2010, 12, 1, 8, 0), (2010, 12, 2, 8, 1), (2010, 12, 3, 8, 2)]),
        ("words.csv", [(2021, 1, 1), (2021, 1, 2), (2021, 1, 3)]),
        ("amazon.csv", [(2015, 9, 1), (2015, 9, 2), (2015, 9, 3)]),
        ("utc-word.csv", [(2019, 11, 1), (2019, 11, 2, 0, 1), (2019, 11, 3, 0, 2)]),
    ],
)
def test_times_are_read_in_any_notation(shared_cases, name, moments):
    data = read(shared_cases / "dates-stop-reading" / name)
    assert seconds(data)[:3] == [int(dt.datetime(*moment, tzinfo=UTC).timestamp()) for moment in moments]


def test_a_bad_date_is_named_and_dropped(shared_cases):
    path = shared_cases / "dates-stop-reading" / "one-bad.csv"
    with pytest.raises(InputError, match=r"line 4: timestamp='unknown'.*columns=\{'timestamp': None\}"):
        read(path)
    assert len(read(path, invalid="drop").ratings) == 3
    with pytest.raises(InputError, match="line 2: timestamp='18:00'"):
        read(path.with_name("ratings.csv"))


def test_text_in_several_encodings_is_read(shared_cases):
    folder = shared_cases / "any-encoding-is-latin1"
    data = read(folder / "cp1252")
    assert data.items["title"][0] == "Schindler’s “List” 101 – Amélie"
    assert "Windows-1252" in data.notes[0]
    assert read(folder / "cp1251", encoding="cp1251").items.row(0)[1:] == ("Сталкер 101", 1979, ["Драма"])


def test_a_backslash_before_a_quote_is_read(shared_cases):
    folder = shared_cases / "bx-books-backslash" / "bx"
    data = read(folder / "BX-Book-Ratings.csv", items=folder / "BX-Books.csv")
    assert data.items["title"].to_list()[:4] == ["Été; an Autumn", 'Say "Hi" Again', "Plain", 'The X (Level 4)";Mike T']
    assert data.items["year"].to_list()[:3] == [2002, None, 1999]
    assert read(folder).users["age"].to_list()[:2] == [None, 34]


def test_decimal_commas_with_named_columns_are_read(shared_cases):
    columns = {"user_id": "Benutzer", "item_id": "Film", "rating": "Bewertung"}
    data = read(shared_cases / "decimal-comma" / "euro-csv" / "ratings.csv", columns=columns)
    assert ratings_of(data)[104] == 4.5


def test_titles_come_from_the_tables_beside_the_ratings(shared_cases):
    goodbooks = read(shared_cases / "folder-with-foreign-tags" / "goodbooks")
    assert titles(goodbooks)[101] == "Book 101 (Saga, #1)"
    assert any(note.startswith("left out tags.csv") for note in goodbooks.notes)
    assert titles(read(shared_cases / "folder-with-foreign-tags" / "hetrec-movielens"))[101].startswith("Movie N")
    kaggle = read(shared_cases / "kaggle-ml20m" / "kaggle-ml20m")
    assert (kaggle.noun, titles(kaggle)[101], kaggle.items["imdb_id"][0]) == ("movie", "The Film 101", "114709")
    anime = read(shared_cases / "anime-two-tables")
    assert anime.items.row(0)[1:] == ("Show 101's", None, ["Action", "Comedy", "School"])
    folder = shared_cases / "anime-two-tables"
    named = read(folder / "rating.csv", columns={"item_id": "anime_id"}, items=folder / "anime.csv")
    assert titles(named) == titles(anime)
    netflix = read(shared_cases / "netflix-blocks" / "netflix-blocks")
    assert netflix.items.rows()[1][:3] == (2, "The Isle, of Man", 2004)
    tweetings = read(shared_cases / "movietweetings")
    assert tweetings.ratings.scale == (2, 10, 2)
    assert titles(tweetings)["0112211"] == "Film Number 101"
    assert any(note.startswith("left out users.dat") for note in tweetings.notes)


def test_a_catalogue_has_its_own_column_names(shared_cases):
    folder = shared_cases / "movies-own-names"
    names = {"item_id": "id", "title": "original_title", "year": "release", "genres": "kind"}
    data = read(folder / "ratings.csv", items=folder / "catalogue.csv", item_columns=names)
    assert data.items.row(0) == (101, "Film 101", 1991, ["Drama"])
    assert titles(read(folder / "ratings.csv", items=folder / "artists.dat"))[101] == "Bänd 101"


def test_frames_are_read_like_files(shared_cases):
    folder = shared_cases / "frame-movies-lose-years"
    files = read(folder)
    frames = read(pd.read_csv(folder / "ratings.csv"), items=pd.read_csv(folder / "movies.csv"))
    assert frames.items.equals(files.items)
    assert frames.items.row(5) == (106, "War of the Worlds", None, [])
    assert frames.items.row(7) == (108, "The Show", 2008, ["Action"])


@pytest.mark.parametrize("name", ["comma", "semi", "json", "pylist", "dicts", "slash"])
def test_genres_in_any_notation_are_read(shared_cases, name):
    folder = shared_cases / "genres-other-separators" / "genre-lists"
    data = read(folder / "ratings.csv", items=folder / f"movies-{name}.csv")
    assert set(map(tuple, data.items["genres"])) == {("Action", "Comedy")}


def test_headless_tables_of_many_columns_are_refused(shared_cases):
    folder = shared_cases / "headless-many-columns"
    for name in ("data.csv", "movie-ratings.txt", "jester-data-1.csv"):
        with pytest.raises(InputError, match=r"line 1: no column names for .*Name the columns by position"):
            read(folder / name)
    jester = read(folder / "jester-data-1.csv", layout="wide")
    assert ratings_of(jester, 1) == pytest.approx({1: -5.9, 3: -2.8, 4: 6.5, 5: -5.9, 7: -5.9, 8: 6.5})
    assert len(jester.ratings) == 48


def test_tables_without_ratings_are_read(shared_cases):
    for name in ("likes.csv", "prefs.csv"):
        for columns in (None, {"rating": None}):
            likes = read(shared_cases / "likes-hint" / name, columns=columns)
            assert (len(likes.ratings), len(likes.ratings.user_ids), len(likes.ratings.item_ids)) == (16, 8, 8)
    events = read(
        shared_cases / "aliases" / "events.csv",
        columns={"rating": "event"}, map={"view": 1, "addtocart": 2, "transaction": 3},
    )  # fmt: skip
    assert ratings_of(events) == {101: 1, 103: 1, 104: 3, 105: 1, 107: 1, 108: 3}
    bought = read(shared_cases / "aliases" / "transactions.csv", columns={"rating": None})
    assert len(bought.ratings) == 48
    assert bought.ratings.item_ids[0] == "0663713101"
    retail = read(shared_cases / "float-ids-in-text" / "retail.csv", columns={"rating": None}, invalid="drop")
    assert retail.ratings.user_ids[0] == 17801
    likes = read(shared_cases / "ratings-in-words" / "rating-likes", map={"like": 1, "dislike": 0})
    assert ratings_of(likes) == {101: 0, 103: 0, 104: 1, 105: 0, 107: 0, 108: 1}


def test_amazon_reviews_as_compressed_json_are_read(shared_cases):
    data = read(shared_cases / "json-xlsx-sqlite-xz" / "amazon-json-gz")
    assert len(data.ratings) == 48
    assert ratings_of(data) == {f"000{item}": rating for item, rating in FIRST.items()}


def test_a_matrix_is_recognised_and_read(shared_cases):
    path = shared_cases / "matrix-and-objects" / "matrix.csv"
    pivot = pd.read_csv(path).set_index("userId")
    for source in (path, pivot):
        with pytest.raises(InputError, match="layout='wide'"):
            read(source)
        data = read(source, layout="wide")
        assert len(data.ratings) == 48
        assert ratings_of(data, 1)["Film 104, The (1994)"] == 5


def test_records_and_sparse_matrices_are_read():
    assert ratings_of(read([{"user": 1, "item": 2, "rating": 3.0}])) == {2: 3.0}
    assert ratings_of(read([(1, 2, 3.0), (1, 3, 4.0)])) == {2: 3.0, 3: 4.0}
    matrix = sp.csr_array([[1.0, 0, 2], [0, 3, 0]])
    assert ratings_of(read((matrix, ["ann", "ben"], ["a", "b", "c"])), "ann") == {"a": 1.0, "c": 2.0}


def test_a_table_merged_with_titles_uses_them(shared_cases):
    path = shared_cases / "merged-table" / "all.csv"
    for data in (read(path), read(path, items=path), read(pd.read_csv(path))):
        assert data.items.row(0) == (101, "The Film 101", 1991, ["Comedy", "Drama"])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_pandas_in_every_resolution_are_read(shared_cases, unit):
    frame = pd.read_csv(shared_cases / "pandas-seconds-times" / "ratings.csv")
    expected = seconds(read(frame.copy()))
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], unit="s").astype(f"datetime64[{unit}]")
    assert seconds(read(frame)) == expected
    frame["timestamp"] = frame["timestamp"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
    assert seconds(read(frame)) == expected


def test_objects_without_a_polars_type_are_read_or_refused(shared_cases):
    frame = pd.read_csv(shared_cases / "raw-polars-errors" / "ratings.csv")
    period = frame.assign(timestamp=pd.to_datetime(frame["timestamp"], unit="s").dt.to_period("D"))
    assert seconds(read(period))[0] == 1_599_955_200
    with pytest.raises(InputError, match="Column 'rating' holds complex numbers"):
        read(frame.assign(rating=frame["rating"].astype(complex)))
    items = pd.DataFrame({"movieId": [101, 102], "title": ["A (1999)", "B (2000)"], "genres": [{"y", "x"}, set()]})
    assert read(frame, items=items).items["genres"].to_list()[:2] == [["x", "y"], []]
    ids = frame.assign(userId=[uuid.UUID(int=user) for user in frame["userId"]])
    assert read(ids).ratings.user_ids[0] == str(uuid.UUID(int=1))
    with pytest.raises(InputError, match="rating is a column of type List"):
        read(shared_cases / "uuid-ids" / "parquet" / "list.parquet")
    with pytest.raises(InputError, match=r"df\.pkl is a pickle"):
        read(shared_cases / "uuid-ids" / "parquet" / "df.pkl")


@pytest.mark.parametrize(("name", "value"), [("rating.csv", -1), ("BX-Book-Ratings.csv", 0)])
def test_sentinels_are_suspected(shared_cases, name, value):
    path = shared_cases / "sentinels" / name
    issue = next(issue for issue in validate(path).issues if issue.code == "sentinel")
    assert f"{value}" in issue.message
    assert any("no rating" in note for note in read(path).notes)
    assert min(ratings_of(read(path, map={value: None})).values()) > value


def test_titles_become_display_titles(shared_cases):
    folder = shared_cases / "title-html-and-articles"
    assert titles(read(folder / "article-year-col"))[101] == "The Matrix 101"
    assert titles(read(folder / "entities"))[101] == "Bed & Board 101's"
    data = read(shared_cases / "title-ids" / "all.csv", columns={"item_id": "title"})
    assert titles(data)["Film 101, The (1991)"] == "Film 101, The (1991)"


def test_a_recommendation_from_a_reported_folder(shared_cases):
    rec = Recommender(EASE()).fit(read(shared_cases / "kaggle-ml20m" / "kaggle-ml20m"))
    assert rec.recommend(1, n=2)[0].title.startswith("The Film")


def test_likes_in_a_store_can_be_served(shared_cases, tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'store.db'}").upgrade()
    store.import_data(read(shared_cases / "likes-store-cannot-serve/bought.csv", columns={"rating": None}), "bought")
    versions = Versions(tmp_path / "models")
    assert refit(store, versions).outcome == "switched"
    served = versions.load(versions.current())
    assert served.feedback_ == "implicit"
    assert len(served.recommend(ratings={served.item_ids[0]: 1}, n=1)) == 1
    store.close()


def test_an_observed_scale_of_a_store_widens(shared_cases, tmp_path):
    store = Store(f"sqlite:///{tmp_path / 'store.db'}").upgrade()
    folder = shared_cases / "observed-scale-locks-store"
    store.import_data(read(folder / "mon.csv"), "mon")
    assert tuple(store.info.scale) == (2, 4, 1)
    store.import_data(read(folder / "tue.csv"), "tue")
    assert tuple(store.info.scale) == (1, 5, 1)
    user, item = read(folder / "mon.csv").ratings.to_polars().row(0)[:2]
    store.rate(user, item, 5)
    store.close()


def test_an_unknown_item_of_a_new_user_is_named_and_the_rest_counts():
    rec = Recommender().fit(read("sample"))
    listed = rec.recommend(ratings={134: 5, 999_999: 4}, n=3)
    assert listed.unknown == (999_999,)
    assert list(listed) == list(rec.recommend(ratings={134: 5}, n=3))


def test_a_new_user_whose_ratings_are_equal_gets_reasons():
    for row in Recommender().fit(read("sample")).recommend(ratings={197: 5, 124: 5}, n=5):
        assert row.because
