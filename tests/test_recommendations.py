"""Recommendations print, display in a notebook, convert to tables and JSON, and compare by content."""

import json
import re
from dataclasses import FrozenInstanceError, asdict, fields
from html import unescape
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from reelated import ItemKNN, read, validate
from reelated.formatting import with_year
from reelated.ratings import Dataset
from reelated.recommender import (
    ItemRow,
    Prediction,
    Reason,
    Recommendations,
    Recommender,
    SearchHit,
    SimilarRow,
    Truncation,
    UserRow,
)
from reelated.recommender.rows import make_item_row, make_reason

WHY = Reason(7, "Alien", 1979, 5.0, 0.5, 12, 2.5, liked=True)
MEH = Reason(8, "Cats", None, 1.0, 0.25, 3, 0.25, liked=False)
ROWS = (
    ItemRow(1, 3, "Fargo", 1996, ("Crime", "Drama"), 2.75, 4.5, 2, "model", (WHY, MEH), 0.0),
    ItemRow(2, 4, "Untitled", None, (), None, None, 0, "popular"),
)
HOSTILE = '<script>alert(1)</script> [bold]x[/bold] \x1b[31mred\x07\nnext & "quoted"'


def answers(rows=ROWS, short=None):
    return Recommendations(rows, "Items for user 5, by score", ItemRow, short)


def test_recommendations_are_a_sequence_of_rows():
    rows = answers()
    assert len(rows) == 2
    assert (rows[0], rows[-1], list(rows)) == (ROWS[0], ROWS[1], list(ROWS))
    assert ROWS[1] in rows
    assert rows.index(ROWS[1]) == 1
    with pytest.raises(IndexError):
        rows[2]


def test_a_slice_of_recommendations_is_recommendations():
    part = answers(short=Truncation(3, 2, "no_neighbours"))[1:]
    assert isinstance(part, Recommendations)
    assert list(part) == [ROWS[1]]
    assert part.short is None
    assert part.heading == answers().heading


def test_recommendations_are_equal_if_rows_and_truncation_are():
    assert answers() == answers()
    assert answers() != answers(ROWS[:1])
    assert answers() != answers(short=Truncation(3, 2, "no_neighbours"))
    assert answers() != list(ROWS)
    with pytest.raises(TypeError):
        hash(answers())


def test_rows_cannot_be_changed():
    with pytest.raises(AttributeError):
        ROWS[0].rank = 2


def test_rows_made_from_values_equal_those_of_the_class():
    for make, row in ((make_item_row, ROWS[0]), (make_reason, WHY)):
        made = make(*(getattr(row, field.name) for field in fields(row)))
        assert type(made) is type(row)
        assert (made, repr(made), hash(made), asdict(made)) == (row, repr(row), hash(row), asdict(row))
        with pytest.raises(FrozenInstanceError):
            made.title = "Cats"


def test_because_names_the_largest_positive_contributions_in_order():
    against = Reason(9, "Her", 2013, 5.0, -0.5, 4, -1.0, liked=True)
    row = ItemRow(1, 3, "Fargo", 1996, (), 2.75, 4.5, 2, "model", (WHY, MEH, against), 0.0)
    assert row.because == ("Alien (1979)", "Cats")


def test_recommendations_print_as_a_table_with_a_heading():
    assert repr(answers(short=Truncation(3, 2, "no_neighbours"))).splitlines() == [
        "Items for user 5, by score",
        "rank  item id  title     year  genres        score  predicted rating  n neighbors used  source "
        "  because you rated",
        "1     3        Fargo     1996  Crime, Drama  2.75   4.50              2                 model  "
        "  Alien (1979), Cats",
        "2     4        Untitled  –                   –      –                 0                 popular",
        "short: 2 of 3: nothing else is linked to it (no_neighbours)",
    ]
    assert repr(answers(())).splitlines() == ["Items for user 5, by score", "(none)"]


def test_a_printed_table_has_one_line_per_row_for_any_title():
    row = ItemRow(1, "a\nb\x1b", HOSTILE * 9, 1999, ("x\ty",), 1.0, 2.0, 1, "model", (WHY,), 0.0)
    shown = repr(Recommendations([row], f"Items like {HOSTILE}", ItemRow))
    assert len(shown.splitlines()) == 3
    assert all(sign.isprintable() or sign == "\n" for sign in shown)
    assert max(map(len, shown.splitlines())) < 300


@pytest.mark.parametrize("title", ["千と千尋\u3000完全版", "Amélie\u202f: le film", "می\u200cخواهم", "👩\u200d🚀"])
def test_spaces_and_joiners_of_every_script_are_printed(title):
    assert title in repr(answers([ItemRow(1, 3, title, None, (), None, None, 0, "popular")]))


def test_a_notebook_shows_a_table_with_escaped_text():
    hostile = ItemRow(1, HOSTILE, HOSTILE, 1999, (HOSTILE,), 1.0, 2.0, 1, HOSTILE, (), 0.0)
    shown = Recommendations([hostile], HOSTILE, ItemRow, Truncation(2, 1, "no_neighbours"))._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert shown.count("<tr>") == 2
    assert ">because you rated</th>" in shown
    assert "<p>short: 1 of 2: " in shown


def test_dicts_contain_plain_values_and_reasons_as_dicts():
    first, second = answers().to_dicts()
    assert list(first) == [
        *(
            "rank",
            "item_id",
            "title",
            "year",
            "genres",
            "score",
            "predicted_rating",
            "n_neighbors_used",
            "source",
            "reasons",
        ),
        "other",
    ]
    assert [reason["title"] for reason in first["reasons"]] == ["Alien", "Cats"]
    assert second["reasons"] == ()
    json.dumps([first, second], allow_nan=False)


def test_polars_tables_have_the_same_columns_and_types_even_if_empty():
    full, bare, none = answers().to_polars(), answers(ROWS[1:]).to_polars(), answers(()).to_polars()
    assert full.columns == bare.columns == none.columns == [field.name for field in fields(ItemRow)]
    assert full.schema == bare.schema
    assert full["reasons"].to_list()[0][0]["title"] == "Alien"
    assert full["genres"].to_list() == [["Crime", "Drama"], []]
    assert {name: kind for name, kind in none.schema.items() if kind != full.schema[name]}.keys() <= {
        "item_id",
        "reasons",
    }
    assert len(none) == 0


def test_pandas_tables_have_the_same_columns():
    full, none = answers().to_pandas(), answers(()).to_pandas()
    assert isinstance(full, pd.DataFrame)
    assert list(full.columns) == list(none.columns) == [field.name for field in fields(ItemRow)]
    assert (len(full), len(none)) == (2, 0)
    assert full["title"].tolist() == ["Fargo", "Untitled"]


@pytest.mark.parametrize("kind", [ItemRow, UserRow, SimilarRow, SearchHit, Prediction])
def test_every_kind_of_row_has_a_type_for_every_column(kind):
    assert Recommendations([], "", kind).to_polars().columns == [field.name for field in fields(kind)]
    assert repr(Recommendations([], "none", kind)) == "none\n(none)"


def test_ids_that_are_text_stay_text():
    rows = Recommendations([UserRow(1, "007", 1.5, 2.5, 3, 1.25, None)], "", UserRow)
    assert rows.to_polars()["user_id"].to_list() == ["007"]
    assert rows.to_polars().schema["user_id"] == pl.String


@pytest.mark.parametrize(
    ("short", "said"),
    [
        (Truncation(10, 3, "no_candidates_left"), "3 of 10: nothing else is left to choose from (no_candidates_left)"),
        (Truncation(10, 0, "no_neighbours"), "0 of 10: nothing else is linked to it (no_neighbours)"),
    ],
)
def test_a_short_list_has_a_readable_and_a_machine_readable_reason(short, said):
    assert str(short) == said


@pytest.fixture(scope="module")
def hostile():
    frame = {"user_id": [1, 1, 2, 2, 3, 3, 3], "item_id": [1, 2, 2, 3, 1, 3, 4], "rating": [5, 2, 3, 4, 1, 5, 2]}
    titles = [HOSTILE, "[bold]Loud[/bold]", "x" * 10**6, "‮Mirror"]
    return Recommender().fit(Dataset.from_frames(frame, {"item_id": [1, 2, 3, 4], "title": titles}, name=HOSTILE))


def test_a_title_of_a_million_characters_is_truncated_for_display(hostile):
    for answer in (hostile.recommend(1), hostile.similar(3), hostile.audience(3), hostile.find("Loud")):
        assert max(map(len, repr(answer).splitlines())) < 1000
        assert len(answer._repr_html_()) < 5000
    assert len(repr(hostile.explain(1, 3))) < 2000
    assert {row.item_id: len(row.title) for row in hostile.recommend(1)}[3] == 10**6


def test_an_explanation_prints_the_parts_and_their_sum(hostile):
    why = hostile.explain(2, 1)
    lines = repr(why).splitlines()
    assert all(line.isprintable() for line in lines)
    assert lines[1].endswith("base")
    assert len(lines) == 2 + len(why.contributions) + len(why.without)
    assert why.to_dict()["contributions"][0]["item_id"] == why.contributions[0].item_id
    json.dumps(why.to_dict(), allow_nan=False)


def test_negative_contributions_are_listed_separately(hostile):
    why = hostile.explain(3, 2, by="rating")
    assert all(part.contribution > 0 for part in why.positive)
    assert all(part.contribution < 0 for part in why.negative)
    assert {p.item_id for p in (*why.positive, *why.negative)} == {
        p.item_id for p in why.contributions if p.contribution
    }


def test_no_module_of_the_recommender_reads_a_pickle():
    folder = Path(__file__).parents[1] / "src" / "reelated"
    for path in (folder / "recommender").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert "allow_pickle=True" not in source
        assert "import pickle" not in source
        assert "joblib" not in source


def test_every_answer_shows_in_a_notebook_as_a_table_without_markup_of_the_data():
    titles = {"item_id": [1, 2, 3], "title": [HOSTILE, "Fargo", "Alien"]}
    ratings = {"user_id": [1, 1, 2, 2, 3, 3], "item_id": [1, 2, 1, 3, 2, 3], "rating": [5, 4, 4, 2, 5, 1]}
    data = Dataset.from_frames(ratings, titles)
    rec = Recommender().fit(data)
    report = validate({"user": [1, 1], "item": [HOSTILE, "b"], "stars": [4, None]})
    for answer in (data, rec.recommend(3), rec.predict(1, 3), rec.explain(2, 2), report):
        html = answer._repr_html_()
        assert "<table" in html
        assert "<script" not in html
    assert html.count("<tr>") == 1 + len(report.issues)


def test_an_answer_without_rows_shows_a_sentence_in_a_notebook_instead_of_an_empty_table():
    report = validate("sample")
    assert not report.issues
    heading, sentence = re.findall("<p>(.*?)</p>", report._repr_html_())
    assert "usable; 49,653 rows; 49,653 ratings by 600 users" in heading
    assert sentence == "No issues."
    assert "<p>(none)</p>" in Recommendations([], "Movies", ItemRow)._repr_html_()
    assert "<table" not in Recommendations([], "Movies", ItemRow)._repr_html_()


def test_an_explanation_in_a_notebook_has_a_bar_for_each_contribution():
    rec = Recommender(ranker=ItemKNN(), rater=None).fit(read("sample"))
    why = rec.explain(42, 296)
    html = why._repr_html_()
    assert html.count("display:inline-block") == html.count("<tr>") - 1
    assert f"width:{8:.2f}em" in html
    assert all(with_year(part.title, part.year) in unescape(html) for part in why.top(10))
    assert f"without {with_year(why.without[0].title, why.without[0].year)}" in unescape(html)
