"""Validation: all problems with their location and the action of `read`, and no false alarm on real data."""

import json
import os
import subprocess
import sys
import warnings
import zipfile
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import reelated
from reelated.cli.commands import app
from reelated.data import ValidationReport, validate
from reelated.data.validate import histogram
from reelated.errors import DataWarning, InputError

GOOD = {"user": [1, 1, 2, 2, 3], "item": [10, 20, 10, 30, 20], "rating": [4, 5, 3, 1, 2]}
BAD = "user,item,stars\n1,10,4\n1,,5\n2,10,five\n2,20,4\n3,20,9\n1,10,2\n4,30\n"


def codes(report, *severities):
    return [issue.code for issue in report.issues if not severities or issue.severity in severities]


def issue_of(report, code):
    (issue,) = [issue for issue in report.issues if issue.code == code]
    return issue


def write(folder, text, name="ratings.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def run(*words, code=0):
    result = CliRunner().invoke(app, ["check", *map(str, words)], env={"COLUMNS": "100"})
    assert result.exit_code == code, (result.output, result.exception)
    return result


def readable(source, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        try:
            reelated.read(source, **options)
        except InputError:
            return False
    return True


# valid data
def test_counts_equal_those_of_read():
    report, data = validate("sample"), reelated.read("sample")
    assert report.usable
    assert (report.n_ratings, report.n_users, report.n_items) == (len(data.ratings), *data.ratings.matrix.shape)
    assert report.density == data.ratings.density
    assert report.scale == data.ratings.scale
    assert sum(part.n_ratings for part in report.histogram) == len(data.ratings)
    assert report.issues == ()


@pytest.mark.parametrize(("name", "n_ratings"), [("ml-100k.zip", 100_000), ("ml-1m", 1_000_209)])
def test_movielens_is_usable_without_warnings(shared_data, name, n_ratings):
    report = validate(shared_data / name)
    assert report.usable
    assert report.n_ratings == n_ratings
    assert codes(report, "error", "warning") == []
    assert "rated_once" in codes(report)


def test_unrated_items_are_counted(shared_data):
    assert issue_of(validate(shared_data / "ml-1m"), "unrated_item").count == 177


# invalid rows
def test_all_issues_of_a_file_are_listed_with_file_and_line(tmp_path):
    report = validate(write(tmp_path, BAD), scale=(1, 5, 1))
    places = {issue.code: (issue.severity, issue.file, issue.line) for issue in report.issues}
    assert not report.usable
    assert places["missing_field"] == ("error", "ratings.csv", 3)
    assert places["unreadable_field"] == ("error", "ratings.csv", 4)
    assert places["off_scale"] == ("error", "ratings.csv", 6)
    assert places["repeated_rating"] == ("warning", "ratings.csv", 7)
    assert places["bad_line"] == ("error", "ratings.csv", 8)
    assert (report.n_rows, report.n_refused, report.n_ratings) == (7, 4, 2)


def test_invalid_rows_are_warnings_with_invalid_drop(tmp_path):
    report = validate(write(tmp_path, BAD), scale=(1, 5, 1), invalid="drop")
    assert report.usable
    assert codes(report, "error") == []
    assert issue_of(report, "off_scale").action == "drops them."


def test_the_report_has_the_noun_of_the_data():
    table = {"user": [1, 1, 2], "item": [10, 20, 20], "stars": [4, 5, 3]}
    assert " of 490 movies: " in str(validate("sample"))
    assert " of 2 books: " in str(validate(table, noun="book"))
    with pytest.raises(InputError, match="noun"):
        validate(table, noun="")


def test_rejects_hold_the_original_text(tmp_path):
    rejects = validate(write(tmp_path, BAD), scale=(1, 5, 1)).rejects
    assert rejects["line"].to_list() == [3, 4, 8, 6]
    assert rejects["text"].to_list()[:3] == ["1,,5", "2,10,five", "4,30"]


@pytest.mark.parametrize(
    ("column", "value", "code"), [("user", None, "missing_field"), ("rating", np.inf, "unreadable_field")]
)
def test_an_invalid_row_of_a_frame_has_a_row_number(column, value, code):
    frame = {**GOOD, column: [*GOOD[column][:2], value, *GOOD[column][3:]]}
    issue = issue_of(validate(pl.DataFrame(frame, strict=False)), code)
    assert (issue.severity, issue.row, issue.line) == ("error", 3, None)


def test_line_numbers_count_multi_line_fields(tmp_path):
    path = write(tmp_path, 'user,item,rating,about\n1,10,4,"a\nb"\n\n1,20,3,x\n2,10,7,y\n')
    assert issue_of(validate(path, scale=(1, 5, 1)), "off_scale").line == 6


# ratings, users, items
@pytest.mark.parametrize(("duplicates", "usable"), [("last", True), ("mean", True), ("error", False)])
def test_repeated_ratings_are_counted(duplicates, usable):
    frame = {"user": [1, 1, 1, 2], "item": [10, 10, 10, 10], "rating": [4, 5, 5, 3]}
    report = validate(frame, duplicates=duplicates)
    issue = issue_of(report, "repeated_rating")
    assert (issue.count, issue.row, report.usable) == (2, 2, usable)
    assert "1 pair of user and item with different ratings" in issue.message
    assert report.n_ratings == 2


def test_ratings_between_the_steps_of_the_scale_are_reported():
    frame = {**GOOD, "rating": [4, 3.7, 3, 1, 2]}
    assert issue_of(validate(frame, scale=(1, 5, 1)), "between_steps").row == 2
    assert "between_steps" not in codes(validate(frame, scale=(1, 5, 0.1)))


def test_an_outlier_rating_is_reported():
    frame = {"user": [*range(200)], "item": [1, 2] * 100, "rating": [1, 2, 3, 4] * 49 + [5, 4, 3, 55]}
    assert issue_of(validate(frame), "stray_rating").row == 200
    assert "stray_rating" not in codes(validate({**frame, "rating": [1, 2, 3, 4] * 50}))


def test_users_with_one_rating_or_equal_ratings_are_reported():
    report = validate({"user": [1, 2, 2, 3, 3], "item": [10, 10, 20, 20, 30], "rating": [4, 3, 3, 1, 2]})
    assert issue_of(report, "single_rating").example == "user_id=1"
    assert issue_of(report, "all_alike").example == "user_id=2"
    assert issue_of(report, "all_alike").message.startswith("1 user whose ratings are all the same.")
    assert issue_of(report, "rated_once").example == "item_id=30"


def test_equal_ratings_are_reported():
    report = validate({"user": GOOD["user"], "item": GOOD["item"], "rating": [1.0] * 5})
    assert issue_of(report, "one_value").severity == "warning"
    assert report.kind == "constant"


def test_a_single_user_or_item_is_reported():
    assert "one_user" in codes(validate({**GOOD, "user": [1] * 5}))
    assert "one_item" in codes(validate({**GOOD, "item": [1] * 5}))


def test_ids_are_compared_with_the_tables_of_items_and_users():
    report = validate(GOOD, items={"item_id": [10, 20, 40], "title": ["a", "b", "c"]}, users={"user_id": [1, 2, 9]})
    assert issue_of(report, "unknown_item").example == "item_id=30"
    assert issue_of(report, "unrated_item").example == "item_id=40"
    assert issue_of(report, "unknown_user").example == "user_id=3"
    assert issue_of(report, "silent_user").example == "user_id=9"
    assert report.usable


def test_two_tables_that_do_not_fit_the_ratings_are_both_reported():
    report = validate(GOOD, items={"item_id": ["a", "b"]}, users={"user_id": [1, 1], "age": [3, 4]})
    assert codes(report, "error") == ["unreadable_items", "unreadable_users"]


def test_a_bad_line_in_the_table_of_items_has_a_line_number(tmp_path):
    write(tmp_path, "user,item,rating\n1,10,4\n2,20,five\n2,10,3\n")
    write(tmp_path, "item_id,title\n10,Alien\n20,Heat,1995\n", "movies.csv")
    report = validate(tmp_path)
    assert (issue_of(report, "bad_line").file, issue_of(report, "bad_line").line) == ("movies.csv", 3)
    assert issue_of(report, "unreadable_field").line == 3


def test_an_unreadable_table_of_items_does_not_hide_issues_of_the_ratings(tmp_path):
    write(tmp_path, BAD)
    write(tmp_path, "name,year\nAlien,1979\n", "movies.csv")
    report = validate(tmp_path)
    assert {"missing_field", "bad_line"} <= set(codes(report, "error"))
    assert issue_of(report, "unreadable_items").severity == "warning"
    assert issue_of(report, "unreadable_items").action == "leaves the table out."


# heuristics
def test_text_ids_among_integers_are_reported(tmp_path):
    lines = "".join(f"{user},{item},3\n" for user in range(1, 12) for item in (1, 2))
    report = validate(write(tmp_path, f"user,item,rating\n{lines}total,1,5\n"))
    issue = issue_of(report, "mixed_ids")
    assert (issue.severity, issue.count, issue.line) == ("warning", 1, 24)


def test_a_column_of_mixed_types_is_reported():
    report = validate(pd.DataFrame({**GOOD, "user": [1, "u2", 3, 4, 5]}))
    assert codes(report, "error") == ["mixed_types"]


def moments(user_first=True):
    """Return 20 users who each rate 15 items in one session, some days apart."""
    times = [1_000_000_000 + 500_000 * user + 60 * item for user in range(20) for item in range(15)]
    users, items = [user for user in range(20) for _ in range(15)], [*range(15)] * 20
    first, second = (users, items) if user_first else (items, users)
    return {"user": first, "item": second, "rating": [1, 2, 3, 4, 5] * 60, "timestamp": times}


def test_swapped_columns_are_detected_by_the_pauses_between_ratings():
    issue = issue_of(validate(moments(user_first=False)), "swapped_columns")
    assert issue.severity == "warning"
    assert "1 minute" in issue.message
    assert "swapped_columns" not in codes(validate(moments()))


def test_swapped_columns_of_movielens_are_detected(shared_data):
    ratings = reelated.read(shared_data / "ml-100k.zip").ratings.to_polars()
    turned = ratings.rename({"user_id": "item_id", "item_id": "user_id"})
    assert "swapped_columns" in codes(validate(turned))
    assert "swapped_columns" not in codes(validate(ratings))


def test_swapped_columns_are_detected_by_names_and_tables():
    swapped = {"item_id": "user", "user_id": "item"}
    assert "'item' is taken for user_id" in issue_of(validate(GOOD, columns=swapped), "swapped_columns").message
    turned = {"user": GOOD["item"], "item": GOOD["user"], "rating": GOOD["rating"]}
    issue = issue_of(validate(turned, items={"item_id": [10, 20, 30]}, users={"user_id": [1, 2, 3]}), "swapped_columns")
    assert "6 ids are missing" in issue.message


def test_a_table_of_rejected_rows_is_not_called_empty(tmp_path):
    report = validate(write(tmp_path, "user;item;rating\n1;10;good\n2;10;bad\n"))
    assert "No row of ratings.csv can be used." in issue_of(report, "unreadable").message
    assert "holds no rows" in issue_of(validate(write(tmp_path, "user,item,rating\n")), "unreadable").message


def test_the_reason_is_given_if_no_row_can_be_used(tmp_path):
    path = write(tmp_path, f"user,item,rating\n1,{'x' * 2000},4\n")
    assert "expected an id of at most 1,000 characters" in issue_of(validate(path), "unreadable_field").example
    with pytest.raises(InputError, match=r"No row of ratings\.csv can be used\. The first is line 2: item_id='xx"):
        reelated.read(path, invalid="drop")


def test_the_number_of_interactions_is_that_of_read():
    events = {
        "user": [1, 1, 2, 3, 3],
        "item": [10, 20, 20, 30, 30],
        "event": ["view", "refund", "hide", "view", "view"],
    }
    counts = {"user": [1, 1, 2, 2], "item": [10, 10, 10, 20], "quantity": [3, -3, 2, -1]}
    for table in (events, counts):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            n_ratings = len(reelated.read(table).ratings)
        assert validate(table).n_ratings == n_ratings < len(table["user"])


def test_a_report_on_the_current_folder_has_its_name(tmp_path, monkeypatch):
    write(tmp_path, "user,item\n")
    monkeypatch.chdir(tmp_path)
    assert repr(validate(".")).startswith(f"{tmp_path.name}: not usable\n")


def test_an_empty_zip_is_called_so(tmp_path):
    zipfile.ZipFile(tmp_path / "a.zip", "w").close()
    assert "a.zip is an empty zip." in issue_of(validate(tmp_path / "a.zip"), "unreadable").message


def test_times_before_1990_and_after_next_year_are_reported():
    year = datetime.now(UTC).year
    edges = [datetime(each, 1, 1, tzinfo=UTC).timestamp() for each in (1990, year + 2)]
    times = [edges[0] - 1, edges[0], edges[1] - 1, edges[1], None]
    issue = issue_of(validate({**GOOD, "timestamp": times}), "odd_time")
    assert (issue.count, issue.row) == (2, 1)


# shapes
@pytest.mark.parametrize(
    "text", ["user_id,m1,m2,m3,m4,m5\n1,5,,3,4,1\n2,,2,2,1,1\n", "5,1,3,4,1,2\n1,2,2,1,1,2\n2,3,3,5,1,1\n"]
)
def test_a_matrix_of_users_and_items_is_detected(tmp_path, text):
    assert "matrix" in codes(validate(write(tmp_path, text)), "warning")
    frame = pl.DataFrame({"user": [1, 2], **{f"m{number}": [None, 3] for number in range(5)}})
    assert codes(validate(frame)) == ["unreadable", "matrix"]


@pytest.mark.parametrize(("first", "of"), [("who", "user"), ("item_id", "item")])
def test_the_advice_for_a_matrix_names_its_first_column(tmp_path, first, of):
    other = {"user": "item", "item": "user"}[of]
    text = f"{first}," + ",".join(f"m{at}" for at in range(6)) + "\n1,5,,3,4,,1\n2,1,2,3,,4,5\n"
    issue = issue_of(validate(write(tmp_path, text)), "matrix")
    assert f"a row for each {of} and a column for each {other}" in issue.message
    assert issue.action == "stops here; layout='wide' reads it."


def test_additional_columns_are_not_taken_for_a_matrix(tmp_path):
    text = "user,item,rating,a,b,c,d,e\n1,10,4,1,1,1,1,1\n2,10,3,1,1,1,1,1\n"
    assert "matrix" not in codes(validate(write(tmp_path, text)))


@pytest.mark.parametrize("first", ["1,2,3", "1,1,2"])
def test_a_transposed_table_is_detected(tmp_path, first):
    text = f"user_id,{first}\nitem_id,10,20,10\nrating,5,4,3\n"
    assert "transposed" in codes(validate(write(tmp_path, text)))


@pytest.mark.parametrize("text", ["", "\n\n", "user,item,rating\n", "who,what\na,b\n", "user,item,rating\n1,2,x\n"])
def test_an_unreadable_source_is_an_issue(tmp_path, text):
    report = validate(write(tmp_path, text))
    assert not report.usable
    assert "unreadable" in codes(report, "error")
    assert "not usable" in repr(report)


@pytest.mark.parametrize("source", ["nowhere.csv", 3, ""])
def test_a_missing_source_is_an_error(source):
    with pytest.raises(InputError):
        validate(source)


@pytest.mark.parametrize("options", [{"scale": (5, 1, 1)}, {"invalid": "skip"}, {"duplicates": "best"}])
def test_an_invalid_argument_is_an_error(options):
    with pytest.raises(InputError, match=next(iter(options))):
        validate(GOOD, **options)


# properties
FIELD = st.sampled_from(["", "1", "2", "30", "a", "4.5", "inf", '"', "-1", "007"])
LINE = st.lists(FIELD, min_size=2, max_size=4).map(",".join)


@given(
    lines=st.lists(LINE, max_size=6),
    invalid=st.sampled_from(["error", "drop"]),
    duplicates=st.sampled_from(["last", "error"]),
    scale=st.sampled_from([None, (1, 5, 1)]),
)
def test_usable_data_can_be_read(tmp_path_factory, lines, invalid, duplicates, scale):
    path = write(tmp_path_factory.mktemp("drawn"), "user,item,rating\n" + "\n".join(lines))
    options = {"invalid": invalid, "duplicates": duplicates, "scale": scale}
    report = validate(path, **options)
    assert report.usable == readable(path, **options)
    assert report.usable == (codes(report, "error") == [])
    assert len(report.rejects) == report.n_refused
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50))
def test_a_histogram_counts_every_rating_once(values):
    bins = histogram(np.array(values, dtype=np.float32))
    assert sum(each.n_ratings for each in bins) == len(values)
    assert len(bins) <= 12


# the report
def test_the_text_shows_counts_histogram_and_issues_within_its_width(tmp_path):
    report = validate(write(tmp_path, BAD), scale=(1, 5, 1))
    text = report.to_text(width=60)
    assert max(map(len, text.splitlines())) <= 60
    assert text.splitlines()[0] == "ratings: not usable"
    assert "█" in text
    assert "at ratings.csv, line 3: no item_id" in text
    assert isinstance(report, ValidationReport)


def test_the_terminal_prints_the_report_of_the_library(tmp_path):
    path = write(tmp_path, BAD)
    output = run(path, "--scale", "1,5,1", "--json", code=1).stdout
    assert json.loads(output) == [json.loads(json.dumps(validate(path, scale=(1, 5, 1)).to_dict()))]
    text = run(path, "--scale", "1,5,1", code=1).stdout
    assert "error: 1 row of ratings.csv has a field that cannot be read." in text
    assert "--invalid drop drops them" in text
    run(path, "--invalid", "drop", "--columns", "rating=stars", "--duplicates", "mean")


def test_the_terminal_keeps_column_names(tmp_path):
    file = write(tmp_path, "user_id,item_id,rating\n1,10,4\nu2,10,3\n2,11,5\n")
    assert "The column user_id mixes 2 whole numbers with 1 text" in " ".join(run(file).stdout.split())


def test_rejects_are_written_to_a_file_and_never_over_the_source(tmp_path):
    path, folder = write(tmp_path, BAD), tmp_path / "out"
    folder.mkdir()
    run(path, "--rejects", folder / "rejects.csv", code=1)
    assert pl.read_csv(folder / "rejects.csv")["text"].to_list() == ["1,,5", "2,10,five", "4,30"]
    assert os.listdir(folder) == ["rejects.csv"]
    for source, rejects in ((path, path), (tmp_path, tmp_path / "rejects.csv"), (path, folder), (path, "no/where")):
        assert isinstance(run(source, "--rejects", rejects, code=1).exception, InputError)
    assert path.read_text() == BAD


def test_a_saved_model_cannot_be_validated(tmp_path):
    (tmp_path / "model.json").touch()
    assert "saved model" in str(run(tmp_path, code=1).exception)


@pytest.mark.parametrize(("text", "code"), [(BAD, 1), ("user,item,rating\n1,10,4\n2,10,3\n", 0)])
def test_the_exit_code_is_0_for_usable_data_and_1_otherwise(tmp_path, text, code):
    command = [sys.executable, "-m", "reelated", "check", str(write(tmp_path, text)), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == code
    assert json.loads(done.stdout)[0]["usable"] == (code == 0)
    assert done.stderr == ""
