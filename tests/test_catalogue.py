"""The catalogue: search by title with typos, filters, and attributes."""

import time
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

import naive
from reelated.errors import InputError, InputTypeError
from reelated.ratings import Dataset
from reelated.recommender import Recommender
from reelated.recommender.catalogue import check_years
from reelated.recommender.title_search import TitleIndex, main_title

TITLES = [
    ("The Godfather", 1972, ["Crime"]),
    ("The Godfather: Part II", 1974, ["Crime"]),
    ("Sabrina", 1954, ["Comedy"]),
    ("Sabrina", 1995, ["Comedy"]),
    ("A Beautiful Mind", 2001, ["Drama"]),
    ("$", 1971, ["Crime", "Comedy"]),
    ("Amélie", None, ["Comedy"]),
    ("七人の侍", 1954, []),
    ("300", 2006, ["Action"]),
    ("x" * 10**6, 2000, ["Drama"]),
]


@pytest.fixture(scope="module")
def odd():
    """A few items with odd titles; the later ones are rated more often."""
    pairs = [(user, item) for item in range(len(TITLES)) for user in range(item + 2)]
    frame = {
        "user_id": [user for user, _ in pairs],
        "item_id": [10 + item for _, item in pairs],
        "rating": [1 + (user * item) % 5 for user, item in pairs],
    }
    known = pl.DataFrame(TITLES, schema=["title", "year", "genres"], orient="row")
    return Recommender().fit(
        Dataset.from_frames(frame, known.with_columns(item_id=pl.int_range(10, 20, dtype=pl.Int64)))
    )


@pytest.fixture(scope="module")
def rec(fitted):
    return fitted


def message(kind, function, *arguments, **options):
    with pytest.raises(kind) as caught:
        function(*arguments, **options)
    return str(caught.value)


# ------------------------------------------------------------------------------------------------------------ titles
@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("star wars", "Star Wars"),
        ("STAR WARS", "Star Wars"),
        ("star wasr", "Star Wars"),
        ("stra wars", "Star Wars"),
        ("starwars", "Star Wars"),
        ("Star Wars (1977)", "Star Wars"),
        ("godfather", "The Godfather"),
        ("the godfathr", "The Godfather"),
        ("schindlers list", "Schindler's List"),
        ("shawshank", "The Shawshank Redemption"),
        ("amelie", "Amélie"),
        ("  fargo ", "Fargo"),
    ],
)
def test_titles_are_found_with_typos_and_without_their_articles(rec, text, title):
    assert rec.find(text)[0].title == title


def test_an_exact_title_matches_with_100_and_comes_first(rec):
    titles = dict(zip(rec.item_ids, rec.catalogue_.titles, strict=True))
    for item_id, title in titles.items():
        first = rec.find(title, n=1)[0]
        assert first.match == 100
        assert first.item_id == item_id or titles[first.item_id] == title


def test_titles_with_a_word_prefix_rank_above_similar_titles(rec):
    found = [match.title for match in rec.find("star", n=20)]
    begins = ["star" in title.lower().split()[0] for title in found]
    assert begins == sorted(begins, reverse=True)
    assert sum(begins) > 3


def test_the_more_rated_of_similar_titles_comes_first(odd, rec):
    found = odd.find("sabrina")
    assert [match.year for match in found[:2]] == [1995, 1954]
    assert found[0].n_ratings > found[1].n_ratings
    for text in ("star", "the", "man"):
        found = rec.find(text, n=50)
        assert all(0 <= hit.match <= 100 for hit in found)
        for hit, later in pairwise(found):  # a more rated item may stand before one that matches a little better
            assert hit.match >= later.match or hit.n_ratings > later.n_ratings


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("dr strangelove", "Dr. Strangelove or: How I Learned to Stop Worrying"),
        ("doctor strangelove", "Dr. Strangelove or: How I Learned to Stop Worrying"),
        ("seven", "Seven (a.k.a. Se7en)"),
        ("se7en", "Seven (a.k.a. Se7en)"),
        ("leon", "Léon: The Professional"),
        ("amelei", "Fabulous Destiny (Amélie)"),
        ("good bad ugly", "The Good, the Bad and the Ugly"),
        ("rocky 4", "Rocky IV"),
        ("ghost busters", "Ghostbusters"),
        ("wall e", "WALL·E"),
        ("walle", "WALL·E"),
        ("et", "E.T. the Extra-Terrestrial"),
        ("mash", "M*A*S*H"),
        ("12 monkeys", "Twelve Monkeys"),
        ("star wars episode 1", "Star Wars: Episode I"),
        ("thelma and louise", "Thelma & Louise"),
        ("schindlers", "Schindler’s List"),
        ("x-men", "X-Men"),
        ("godfa", "The Godfather"),
        ("fith element", "The Fifth Element"),
    ],
)
def test_titles_are_found_as_users_type_them(query, title):
    titles = [
        "Dr. Strangelove or: How I Learned to Stop Worrying", "Doctor Strange", "Seven (a.k.a. Se7en)", "Seven Pounds",
        "Léon: The Professional", "Leonard Part 6", "Fabulous Destiny (Amélie)", "Amen", "The Game",
        "The Good, the Bad and the Ugly", "The Good Boy", "Rocky", "Rocky IV", "Rocky II", "Ghostbusters", "Ghost",
        "WALL·E", "Wall Street", "E.T. the Extra-Terrestrial", "Eternity", "M*A*S*H", "The Mask", "Twelve Monkeys",
        "Star Wars: Episode I", "Star Wars: Episode V", "Thelma & Louise", "Schindler’s List", "X-Men", "Ten Men",
        "The Godfather", "Goodbye", "The Fifth Element", "Elements",
    ]  # fmt: skip
    index = TitleIndex(titles, [None] * len(titles), np.full(len(titles), 5))
    assert titles[index.search(query, np.ones(len(titles), bool)).items[0]] == title


def test_fame_decides_between_titles_that_match_equally():
    titles = ["Star Wars: Holiday Special", "Star Wars: Episode IV - A New Hope", "Star Trek"]
    shown = np.ones(3, bool)
    found = TitleIndex(titles, [1978, 1977, 1979], np.array([3, 3000, 900])).search("star wars", shown)
    assert found.items.tolist() == [1, 0]  # Star Trek is far below the best


def test_the_year_distinguishes_two_items_of_the_same_title(odd):
    assert odd.find("Sabrina (1954)")[0].year == 1954
    assert odd.find("Sabrina 1995")[0].year == 1995


@pytest.mark.parametrize(("text", "item_id"), [("$", 15), ("七人の侍", 17), ("300", 18), ("AMÉLIE", 16)])
def test_titles_without_latin_letters_are_found(odd, text, item_id):
    assert (odd.find(text)[0].item_id, odd.find(text)[0].match) == (item_id, 100)


def test_at_most_n_titles_are_found_and_no_dissimilar_ones(rec):
    assert len(rec.find("the", n=3)) == 3
    nothing = rec.find("qqqqzzzz")
    assert len(nothing) == 0
    assert nothing.short is None


@pytest.mark.parametrize("text", ["", "   ", "\n\t", None, 5, b"star", ["star"]])
def test_a_search_for_anything_but_text_is_rejected(rec, text):
    assert message(InputError, rec.find, text) == f"text={text!r}: expected a part of a title."


@pytest.mark.parametrize("text", ["x" * 10**6, "star " * 10**5, "\x00\x1b[31m", "\ud800", "[bold]", ".*(", "!!!", "‮"])
def test_every_search_is_fast(odd, rec, text):
    start = time.perf_counter()
    for made in (odd, rec):
        found = made.find(text)
        assert all(match.match >= 55 for match in found)
        assert len(found.heading) < 120
    assert time.perf_counter() - start < 5


# ----------------------------------------------------------------------------------------------------------- filters
def test_genres_match_any_of_several_and_ignore_case(rec):
    def listed(genres):
        return {row.item_id for row in rec.recommend(42, n=490, genres=genres)}

    assert listed("western") == listed(["WESTERN"]) == listed({"Western"}) == listed(iter(["Western"]))
    assert listed(["Western", "war"]) == listed("Western") | listed("War")
    assert listed("Western")


@pytest.mark.parametrize("genre", ["Comdy", "", "x" * 10**6])
def test_an_unknown_genre_gives_an_empty_list_with_the_reason(rec, genre):
    for answers in (rec.recommend(42, genres=[genre]), rec.similar(1, genres=genre)):
        assert len(answers) == 0
        assert answers.short == (10, 0, "unknown_genre")
        assert "no item has any of these genres" in repr(answers)
    assert sum(len(table) for table in rec.recommend_batch(genres=[genre])) == 0
    assert rec.recommend(42, genres=["Western", genre]) == rec.recommend(42, genres="Western")


@pytest.mark.parametrize("genre", [5, None, ("Comedy",)])
def test_a_genre_must_be_text(rec, genre):
    assert message(InputTypeError, rec.recommend, 42, genres=[genre]).startswith(f"genres={genre!r}: expected text")


def test_a_misspelt_genre_has_a_suggestion(rec):
    hint = rec.catalogue_.genres_hint(["War", "Comdy"])
    assert hint.startswith("no item has 'Comdy'; known: Action, Adventure, ")
    assert hint.endswith("Did you mean 'Comedy'?")
    assert len(rec.catalogue_.genres_hint("x" * 10**6)) < 500
    assert rec.catalogue_.genres_hint(["war"]) == ""


def test_an_empty_list_of_genres_is_rejected(rec):
    said = "genres=[]: expected one genre or more, or None for all."
    assert message(InputError, rec.recommend, 42, genres=[]) == said
    assert "expected a list" in message(InputError, rec.recommend, 42, genres=5.5)


def test_data_without_genres_names_the_remedy():
    bare = Recommender().fit({"user_id": [1, 1, 2], "item_id": [1, 2, 2], "rating": [1, 2, 3]})
    assert bare.recommend(1, genres="Comedy").short == (10, 0, "unknown_genre")
    assert bare.catalogue_.genres_hint("Comedy") == "this data has no genres; a table of items can add them"
    assert len(bare.recommend(2, years=1990)) == 0


@pytest.mark.parametrize(
    ("years", "pair"),
    [(1994, (1994, 1994)), ((1990, 1999), (1990, 1999)), ([1990, 1999], (1990, 1999)), (np.int16(7), (7, 7)),
     (range(1990, 1992), (1990, 1991))],
)  # fmt: skip
def test_years_are_a_year_or_a_pair(years, pair):
    assert check_years(years) == pair


@pytest.mark.parametrize(
    "years",
    ["1990", 1990.0, (1990,), (1990, 1995, 1999), (1990, "1999"), (1990, None), True, (True, 1990), None],
)
def test_an_invalid_year_is_rejected(years):
    assert message(InputError, check_years, years) == (
        f"years={years!r}: expected a year or a pair such as (1990, 1999)."
    )


def test_reversed_years_are_rejected():
    assert message(InputError, check_years, (1999, 1990)) == "years=(1999, 1990): expected the earlier year first."


@pytest.mark.parametrize("form", [list, tuple, set, np.array, pl.Series, iter, dict.fromkeys])
def test_exclude_accepts_any_iterable(rec, form):
    gone = [row.item_id for row in rec.recommend(42, n=3)]
    assert rec.recommend(42, n=3, exclude=form(gone)) == rec.recommend(42, n=3, exclude=gone)
    assert not {row.item_id for row in rec.recommend(42, n=3, exclude=form(gone))} & set(gone)


def test_exclude_accepts_a_single_item(rec):
    first = rec.recommend(42)[0].item_id
    assert rec.recommend(42, exclude=first) == rec.recommend(42, exclude=[first])
    assert rec.recommend(42, exclude=np.int64(first)) == rec.recommend(42, exclude=[first])
    assert rec.recommend(42, exclude=[]) == rec.recommend(42)


def test_unknown_ids_in_exclude_are_ignored(rec):
    first = rec.recommend(42)[0].item_id
    assert rec.recommend(42, exclude=[9999, first, -1, 10**40]) == rec.recommend(42, exclude=[first])
    assert rec.similar(1, exclude=[9999]) == rec.similar(1)


def test_an_invalid_exclude_is_named(rec):
    assert message(InputTypeError, rec.recommend, 42, exclude=["Fargo"]).startswith(
        "exclude: item_id='Fargo': the item ids"
    )
    assert message(InputError, rec.recommend, 42, exclude=5.5) == "exclude=5.5: expected a list."


# -------------------------------------------------------------------------------------------------------- attributes
def test_genres_and_years_become_attributes(odd):
    table = odd.catalogue_.attributes()
    assert table.shape == (10, 4 + 6)  # Action, Comedy, Crime, Drama; the years that part the fifths
    assert table[:, :4].tolist() == [
        [name in genres for name in ("Action", "Comedy", "Crime", "Drama")] for _, _, genres in TITLES
    ]
    years = [year for _, year, _ in TITLES]
    assert table == pytest.approx(naive.known_of_items([genres for _, _, genres in TITLES], years).T)
    assert table[:, 4:].sum(axis=1) == pytest.approx([float(year is not None) for year in years])
    parting = np.quantile([year for year in years if year], np.arange(6) / 5)
    told = [year is not None for year in years]
    assert table[told, 4:] @ parting == pytest.approx([year for year in years if year])


def test_items_without_attributes_have_a_table_without_columns():
    rec = Recommender().fit({"user_id": [1, 1, 2], "item_id": [7, 8, 7], "rating": [5, 4, 4]})
    assert rec.catalogue_.attributes().shape == (2, 0)


@pytest.mark.parametrize(
    ("title", "main"),
    [
        ("Independence Day (a.k.a. ID4)", "Independence Day"),
        ("The City of Lost Children (La Cité des enfants perdus)", "The City of Lost Children"),
        ("Kill Bill (Vol. 2)", "Kill Bill (Vol. 2)"),
        ("(500) Days of Summer", "(500) Days of Summer"),
        ("What (Not) to Do", "What (Not) to Do"),
        ("Léon: The Professional (Leon) (a.k.a. The Professional)", "Léon: The Professional"),
        ("Seven (a.k.a. Se7en) (1995)", "Seven (1995)"),
        ("(untitled)", "(untitled)"),
        ("Alien", "Alien"),
    ],
)
def test_the_main_title_leaves_out_other_titles_in_brackets(title, main):
    assert main_title(title) == main
