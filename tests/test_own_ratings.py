"""The ratings of a new user from the exports of Letterboxd, IMDb and Goodreads, several users, and pairs."""

import json
import zipfile

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from reelated import EASE, InputError, Recommender, read
from reelated.cli.commands import app
from reelated.data import read_own_ratings

pytestmark = pytest.mark.filterwarnings("ignore::reelated.errors.DataWarning")

LETTERBOXD = """Date,Name,Year,Letterboxd URI,Rating
2021-01-01,Alien,1979,https://boxd.it/1,4.5
2021-01-02,The Matrix,1998,https://boxd.it/2,5
2021-01-03,Hamlet,1996,https://boxd.it/3,0.5
2021-01-04,No Such Film,2001,https://boxd.it/4,3
"""
IMDB = """Const,Your Rating,Date Rated,Title,Original Title,IMDb Rating,Year,Genres
tt0078748,10,2020-01-01,Something else,Alien,8.5,1979,Horror
tt0000009,5,2020-01-01,Le Fabuleux Destin,Amélie,8.1,2001,Comedy
tt0000008,2,2020-01-01,Nope,Nope,6.8,2022,Horror
"""
GOODREADS = '''Book Id,Title,ISBN,ISBN13,My Rating,Average Rating,Year Published,Original Publication Year,Bookshelves
3,"Alien (Series, #1)","=""0439023483""","=""""",4,4.33,2008,1979,read
4,Hamlet,"=""""","=""""",0,4.33,2008,1948,to-read
2,Another Book,"=""""","=""""",5,4.33,2008,1996,read
'''


@pytest.fixture(scope="module")
def rec():
    items = {
        "item_id": [1, 2, 3, 4, 5],
        "title": ["Alien (1979)", "Matrix, The (1999)", "Hamlet (1948)", "Hamlet (1996)", "Amélie (2001)"],
        "imdb_id": ["0078748", None, "tt0040416", None, None],
    }
    rng = np.random.default_rng(1)
    ratings = pl.DataFrame({"user": np.repeat(np.arange(1, 21), 4), "item": [1, 2, 3, 4, 2, 3, 4, 5] * 10})
    ratings = ratings.with_columns(rating=pl.Series(rng.integers(1, 6, len(ratings))))
    return Recommender(EASE()).fit(read(ratings, items=items, scale=(1, 5, 1)))


def test_letterboxd_matches_by_title_and_year(rec, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(LETTERBOXD)
    own = read_own_ratings(path, rec)
    assert own.ratings == {1: 4.5, 2: 5, 4: 1}  # a year off is the same film, and 0.5 is below the scale
    assert own.unmatched == ("No Such Film (2001)",)
    assert own.notes[-1] == "Letterboxd: 3 of 4 rated items found"
    with zipfile.ZipFile(tmp_path / "letterboxd-ann.zip", "w") as archive:
        for name, text in {
            "ratings.csv": LETTERBOXD,
            "watched.csv": "Date,Name,Year\n",
            "profile.csv": "a,b\n",
        }.items():
            archive.writestr(name, text)
    assert read_own_ratings(tmp_path / "letterboxd-ann.zip", rec) == own
    assert read_own_ratings(LETTERBOXD.encode(), rec) == own


def test_imdb_matches_by_id_or_original_title_on_ten_points(rec):
    own = read_own_ratings(IMDB.encode(), rec)
    assert own.ratings == {1: 5, 5: 2.5}
    assert own.unmatched == ("Nope (2022)",)
    assert own.notes == (
        "took ratings of up to 10 for the scale 1 to 5", "IMDb: 2 of 3 rated items found",
    )  # fmt: skip


def test_the_ids_of_goodreads_count_only_with_the_title_and_0_is_no_rating(rec):
    own = read_own_ratings(GOODREADS.encode(), rec)
    assert own.ratings == {1: 4}
    assert own.unmatched == ("Another Book (1996)",)
    assert "left out 1 row without a rating" in own.notes
    books = Recommender(EASE()).fit(read([("a", "0439023483", 4), ("a", "x", 2), ("b", "x", 3)], scale=(1, 5, 1)))
    assert read_own_ratings(GOODREADS.replace('"Alien (Series, #1)"', "").encode(), books).ratings == {"0439023483": 4}


@pytest.mark.parametrize(
    ("table", "ratings", "unmatched"),
    [
        ({"movie": ["Alien", "hamlet (1948)"], "rating": [5, 3]}, {1: 5, 3: 3}, ()),
        ({"title": ["Hamlet"], "stars": [4]}, {}, ("Hamlet",)),  # of two films, neither is chosen
        ({"item_id": [2, 99], "rating": ["4", "3,5"]}, {2: 4}, ("99",)),
        ({"Title": ["Matrix"], "Year": ["1999.0"], "Score": ["★★★★"]}, {2: 4}, ()),
    ],
)
def test_plain_tables_of_ids_or_titles(rec, table, ratings, unmatched):
    assert read_own_ratings(table, rec)[:2] == (ratings, unmatched)


def test_a_scale_that_is_not_that_of_the_model_is_asked_for(rec):
    table = {"title": ["Alien", "Hamlet (1996)"], "rating": [9, 4]}
    with pytest.raises(
        InputError, match=r"rating=9, above the highest rating, 5. Pass the .* rating of the table, such as highest=10"
    ):
        read_own_ratings(table, rec)
    assert read_own_ratings(table, rec, highest=10).ratings == {1: 4.5, 4: 2}
    with pytest.raises(InputError, match="No column with ids or titles among 'x', 'rating'"):
        read_own_ratings({"x": [1], "rating": [2]}, rec)
    with pytest.raises(InputError, match="row 1: rating='good', expected a finite number"):
        read_own_ratings({"title": ["Alien"], "rating": ["good"]}, rec)


def test_pairs_are_predicted_as_one_by_one(rec):
    table = rec.predict_batch({"user": [2, 1, 1, 777], "movie": [1, 5, 99, 1]})
    assert table.columns == ["user_id", "item_id", "predicted_rating", "low", "high"]
    one = rec.predict(1, 5)
    assert table.row(1)[2:] == pytest.approx((one.predicted_rating, one.low, one.high), abs=1e-5)
    assert table["predicted_rating"][0] == pytest.approx(
        rec.predict(2, 1).predicted_rating, abs=1e-5
    )  # rated by the user
    assert table["predicted_rating"].is_null().to_list() == [False, False, True, False]


def test_lists_of_some_users_are_those_of_all(rec):
    every = pl.concat(rec.recommend_batch(2))
    some = pl.concat(rec.recommend_batch(2, users=[7, 3]))
    assert some["user_id"].unique(maintain_order=True).to_list() == [7, 3]
    for user in (7, 3):
        assert some.filter(user_id=user).equals(every.filter(user_id=user))
    with pytest.raises(InputError, match="user_id=999: this user is not among the 20 users"):
        next(rec.recommend_batch(2, users=[999]))


def test_the_terminal_takes_files_of_ratings_users_and_pairs(rec, tmp_path):
    def run(*args, code=0):
        result = CliRunner().invoke(app, [str(arg) for arg in args], env={"COLUMNS": "120"})
        assert result.exit_code == code, (result.output, result.exception)
        return result

    model = rec.save(tmp_path / "my.model")
    for name, text in {
        "letterboxd.csv": LETTERBOXD, "users.csv": "user_id,age\n3,30\n7,40\n", "users.txt": "3\n7\n",
        "pairs.csv": "user_id,item_id\n1,5\n2,1\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    listed = run("recommend", model, "--ratings-file", tmp_path / "letterboxd.csv", "-n", 1, "--json")
    assert {row["item_id"] for row in json.loads(listed.stdout)} <= {3, 5}
    assert "not found: No Such Film (2001)" in " ".join(listed.stderr.split())
    lists = [run("recommend", model, "--users", users, "-n", 1, "--csv").stdout for users in (
        "3,7", tmp_path / "users.csv", tmp_path / "users.txt",
    )]  # fmt: skip
    assert lists[0] == lists[1] == lists[2]
    assert lists[0].count("\n") == 3
    assert "reasons" not in lists[0]
    predicted = json.loads(run("predict", model, "--pairs", tmp_path / "pairs.csv", "--json").stdout)
    assert [row["user_id"] for row in predicted] == [1, 2]
    assert "predicted rating" in run("predict", model, "--pairs", tmp_path / "pairs.csv").stdout
    assert "expected --item or --pairs" in " ".join(run("predict", model, "--user", 1, code=2).output.split())
    run("recommend", model, "--users", "1", "--user", "2", code=1)  # a table of users with a saved model
