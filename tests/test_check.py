"""The check-up: every fault at once, where it is, what reading does about it, and no false alarm on real data."""

import json
import os
import subprocess
import sys
import warnings
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
from reelated.data import Checkup, check
from reelated.data.check import histogram
from reelated.errors import DataWarning, InputError

GOOD = {"user": [1, 1, 2, 2, 3], "item": [10, 20, 10, 30, 20], "rating": [4, 5, 3, 1, 2]}
BAD = "user,item,stars\n1,10,4\n1,,5\n2,10,five\n2,20,4\n3,20,9\n1,10,2\n4,30\n"


def codes(checkup, *severities):
    return [finding.code for finding in checkup.findings if not severities or finding.severity in severities]


def the(checkup, code):
    (found,) = [finding for finding in checkup.findings if finding.code == code]
    return found


def written(folder, text, name="ratings.csv"):
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


# ------------------------------------------------------------------------------------------------------ sound data
def test_the_counts_are_those_of_reading():
    checkup, data = check("sample"), reelated.read("sample")
    assert checkup.usable
    assert (checkup.n_ratings, checkup.n_users, checkup.n_items) == (len(data.ratings), *data.ratings.matrix.shape)
    assert checkup.density == data.ratings.density
    assert checkup.scale == data.ratings.scale
    assert sum(each.n_ratings for each in checkup.histogram) == len(data.ratings)
    assert checkup.findings == ()


@pytest.mark.parametrize(("name", "n_ratings"), [("ml-100k.zip", 100_000), ("ml-1m", 1_000_209)])
def test_real_data_are_usable_and_raise_no_alarm(shared_data, name, n_ratings):
    checkup = check(shared_data / name)
    assert checkup.usable
    assert checkup.n_ratings == n_ratings
    assert codes(checkup, "error", "warning") == []
    assert "rated_once" in codes(checkup)


def test_items_of_the_catalogue_that_nobody_rated_are_counted(shared_data):
    assert the(check(shared_data / "ml-1m"), "unrated_item").count == 177


# -------------------------------------------------------------------------------------------------------- bad rows
def test_all_faults_of_a_file_are_listed_at_once_with_file_and_line(tmp_path):
    checkup = check(written(tmp_path, BAD), scale=(1, 5, 1))
    places = {finding.code: (finding.severity, finding.file, finding.line) for finding in checkup.findings}
    assert not checkup.usable
    assert places["missing_field"] == ("error", "ratings.csv", 3)
    assert places["unreadable_field"] == ("error", "ratings.csv", 4)
    assert places["off_scale"] == ("error", "ratings.csv", 6)
    assert places["repeated_rating"] == ("warning", "ratings.csv", 7)
    assert places["bad_line"] == ("error", "ratings.csv", 8)
    assert (checkup.n_rows, checkup.n_refused, checkup.n_ratings) == (7, 4, 2)


def test_rows_that_are_to_be_dropped_do_not_make_data_unusable(tmp_path):
    checkup = check(written(tmp_path, BAD), scale=(1, 5, 1), invalid="drop")
    assert checkup.usable
    assert codes(checkup, "error") == []
    assert the(checkup, "off_scale").reading == "drops them."


def test_refused_rows_are_kept_as_they_stand(tmp_path):
    rejects = check(written(tmp_path, BAD), scale=(1, 5, 1)).rejects
    assert rejects["line"].to_list() == [3, 4, 8, 6]
    assert rejects["text"].to_list()[:3] == ["1,,5", "2,10,five", "4,30"]


@pytest.mark.parametrize(
    ("column", "value", "code"), [("user", None, "missing_field"), ("rating", np.inf, "unreadable_field")]
)
def test_a_bad_row_of_a_frame_is_named_by_its_number(column, value, code):
    frame = {**GOOD, column: [*GOOD[column][:2], value, *GOOD[column][3:]]}
    found = the(check(pl.DataFrame(frame, strict=False)), code)
    assert (found.severity, found.row, found.line) == ("error", 3, None)


def test_lines_are_told_though_a_quoted_title_spans_several(tmp_path):
    path = written(tmp_path, 'user,item,rating,about\n1,10,4,"a\nb"\n\n1,20,3,x\n2,10,7,y\n')
    assert the(check(path, scale=(1, 5, 1)), "off_scale").line == 6


# ------------------------------------------------------------------------------------------- ratings, users, items
@pytest.mark.parametrize(("duplicates", "usable"), [("last", True), ("mean", True), ("error", False)])
def test_repeated_ratings_are_counted(duplicates, usable):
    frame = {"user": [1, 1, 1, 2], "item": [10, 10, 10, 10], "rating": [4, 5, 5, 3]}
    checkup = check(frame, duplicates=duplicates)
    found = the(checkup, "repeated_rating")
    assert (found.count, found.row, checkup.usable) == (2, 2, usable)
    assert "1 pair of user and item with different ratings" in found.sentence
    assert checkup.n_ratings == 2


def test_ratings_between_the_steps_of_the_scale_are_told():
    frame = {**GOOD, "rating": [4, 3.7, 3, 1, 2]}
    assert the(check(frame, scale=(1, 5, 1)), "between_steps").row == 2
    assert "between_steps" not in codes(check(frame, scale=(1, 5, 0.1)))


def test_a_rating_far_from_all_others_is_suspected():
    frame = {"user": [*range(200)], "item": [1, 2] * 100, "rating": [1, 2, 3, 4] * 49 + [5, 4, 3, 55]}
    assert the(check(frame), "stray_rating").row == 200
    assert "stray_rating" not in codes(check({**frame, "rating": [1, 2, 3, 4] * 50}))


def test_users_with_one_rating_and_those_who_rate_everything_alike_are_told():
    checkup = check({"user": [1, 2, 2, 3, 3], "item": [10, 10, 20, 20, 30], "rating": [4, 3, 3, 1, 2]})
    assert the(checkup, "single_rating").example == "user_id=1"
    assert the(checkup, "all_alike").example == "user_id=2"
    assert the(checkup, "all_alike").sentence.startswith("1 user whose ratings are all the same.")
    assert the(checkup, "rated_once").example == "item_id=30"


def test_ratings_that_are_all_the_same_are_told():
    frame = {"user": GOOD["user"], "item": GOOD["item"]}
    assert the(check(frame, columns={"rating": None}), "one_value").severity == "warning"


def test_a_single_user_or_item_is_told():
    assert "one_user" in codes(check({**GOOD, "user": [1] * 5}))
    assert "one_item" in codes(check({**GOOD, "item": [1] * 5}))


def test_items_and_users_are_compared_with_their_tables():
    checkup = check(GOOD, items={"item_id": [10, 20, 40], "title": ["a", "b", "c"]}, users={"user_id": [1, 2, 9]})
    assert the(checkup, "unknown_item").example == "item_id=30"
    assert the(checkup, "unrated_item").example == "item_id=40"
    assert the(checkup, "unknown_user").example == "user_id=3"
    assert the(checkup, "silent_user").example == "user_id=9"
    assert checkup.usable


def test_tables_that_do_not_go_with_the_ratings_are_both_told():
    checkup = check(GOOD, items={"item_id": ["a", "b"]}, users={"user_id": [1, 1]})
    assert codes(checkup, "error") == ["unreadable_items", "unreadable_users"]


def test_a_bad_line_in_the_table_of_items_is_told_with_its_line(tmp_path):
    written(tmp_path, "user,item,rating\n1,10,4\n2,20,five\n2,10,3\n")
    written(tmp_path, "item_id,title\n10,Alien\n20,Heat,1995\n", "movies.csv")
    checkup = check(tmp_path)
    assert (the(checkup, "bad_line").file, the(checkup, "bad_line").line) == ("movies.csv", 3)
    assert the(checkup, "unreadable_field").line == 3


def test_an_unreadable_table_of_items_does_not_hide_the_faults_of_the_ratings(tmp_path):
    written(tmp_path, BAD)
    written(tmp_path, "name,year\nAlien,1979\n", "movies.csv")
    assert {"unreadable_items", "missing_field", "bad_line"} <= set(codes(check(tmp_path), "error"))


# -------------------------------------------------------------------------------------------------------- suspicions
def test_text_ids_among_whole_numbers_are_told(tmp_path):
    lines = "".join(f"{user},{item},3\n" for user in range(1, 12) for item in (1, 2))
    checkup = check(written(tmp_path, f"user,item,rating\n{lines}total,1,5\n"))
    found = the(checkup, "mixed_ids")
    assert (found.severity, found.count, found.line) == ("warning", 1, 24)


def test_a_column_of_several_types_is_told():
    checkup = check(pd.DataFrame({**GOOD, "user": [1, "u2", 3, 4, 5]}))
    assert codes(checkup, "error") == ["mixed_types"]


def moments(user_first=True):
    """Return 20 users who each rate 15 items in one sitting, some days apart."""
    times = [1_000_000_000 + 500_000 * user + 60 * item for user in range(20) for item in range(15)]
    users, items = [user for user in range(20) for _ in range(15)], [*range(15)] * 20
    first, second = (users, items) if user_first else (items, users)
    return {"user": first, "item": second, "rating": [1, 2, 3, 4, 5] * 60, "timestamp": times}


def test_columns_that_have_changed_places_are_suspected_by_the_rhythm_of_rating():
    found = the(check(moments(user_first=False)), "swapped_columns")
    assert found.severity == "warning"
    assert "1 minute" in found.sentence
    assert "swapped_columns" not in codes(check(moments()))


def test_swapped_columns_of_real_data_are_suspected(shared_data):
    ratings = reelated.read(shared_data / "ml-100k.zip").ratings.to_polars()
    turned = ratings.rename({"user_id": "item_id", "item_id": "user_id"})
    assert "swapped_columns" in codes(check(turned))
    assert "swapped_columns" not in codes(check(ratings))


def test_columns_that_have_changed_places_are_suspected_by_name_and_by_the_tables():
    swapped = {"item_id": "user", "user_id": "item"}
    assert "'item' is taken for user_id" in the(check(GOOD, columns=swapped), "swapped_columns").sentence
    turned = {"user": GOOD["item"], "item": GOOD["user"], "rating": GOOD["rating"]}
    found = the(check(turned, items={"item_id": [10, 20, 30]}, users={"user_id": [1, 2, 3]}), "swapped_columns")
    assert "6 ids are missing" in found.sentence


def test_ratings_and_times_that_have_changed_places_are_suspected():
    times = [881_250_949 + at for at in range(5)]
    found = the(check({**GOOD, "rating": times, "timestamp": GOOD["rating"]}), "swapped_columns")
    assert found.sentence.startswith("The columns of ratings and times may have changed places: ")
    assert "swapped_columns" not in codes(check({**GOOD, "timestamp": times}))
    assert "swapped_columns" not in codes(check({**GOOD, "rating": times, "timestamp": times}))


def test_where_all_rows_are_refused_it_is_not_said_that_there_are_none(tmp_path):
    checkup = check(written(tmp_path, "user;item;rating\n1;10;4,5\n2;10;3,5\n"))
    assert "No row of ratings.csv can be used." in the(checkup, "unreadable").sentence
    assert "holds no rows" in the(check(written(tmp_path, "user,item,rating\n")), "unreadable").sentence


@pytest.mark.parametrize("unit", ["milliseconds", "microseconds", "nanoseconds"])
def test_times_in_another_unit_are_recognised(unit):
    size = {"milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}[unit]
    found = the(check({**GOOD, "timestamp": [881_250_949 * size] * 5}), "odd_time")
    assert (found.severity, found.count) == ("warning", 5)
    assert f"As {unit}" in found.sentence


def test_times_before_1990_and_after_next_year_are_odd():
    year = datetime.now(UTC).year
    edges = [datetime(each, 1, 1, tzinfo=UTC).timestamp() for each in (1990, year + 2)]
    times = [edges[0] - 1, edges[0], edges[1] - 1, edges[1], None]
    found = the(check({**GOOD, "timestamp": times}), "odd_time")
    assert (found.count, found.row) == (2, 1)


# ------------------------------------------------------------------------------------------------------------ shapes
@pytest.mark.parametrize(
    "text", ["user_id,m1,m2,m3,m4,m5\n1,5,,3,4,1\n2,,2,2,1,1\n", "5,1,3,4,1,2\n1,2,2,1,1,2\n2,3,3,5,1,1\n"]
)
def test_a_matrix_of_users_and_items_is_recognised(tmp_path, text):
    assert "matrix" in codes(check(written(tmp_path, text)), "warning")
    frame = pl.DataFrame({"user": [1, 2], **{f"m{at}": [None, 3] for at in range(5)}})
    assert codes(check(frame)) == ["unreadable", "matrix"]


@pytest.mark.parametrize(("first", "of"), [("who", "user"), ("item_id", "item")])
def test_a_matrix_is_turned_by_the_name_of_its_own_first_column(tmp_path, first, of):
    other = {"user": "item", "item": "user"}[of]
    text = f"{first}," + ",".join(f"m{at}" for at in range(6)) + "\n1,5,,3,4,,1\n2,1,2,3,,4,5\n"
    found = the(check(written(tmp_path, text)), "matrix")
    assert f"a row for each {of} and a column for each {other}" in found.sentence
    assert f"frame.unpivot(index={first!r})" in found.reading


def test_further_columns_beside_the_ratings_are_no_matrix(tmp_path):
    text = "user,item,rating,a,b,c,d,e\n1,10,4,1,1,1,1,1\n2,10,3,1,1,1,1,1\n"
    assert "matrix" not in codes(check(written(tmp_path, text)))


@pytest.mark.parametrize("first", ["1,2,3", "1,1,2"])
def test_a_table_on_its_side_is_recognised(tmp_path, first):
    text = f"user_id,{first}\nitem_id,10,20,10\nrating,5,4,3\n"
    assert "transposed" in codes(check(written(tmp_path, text)))


@pytest.mark.parametrize("text", ["", "\n\n", "user,item,rating\n", "who,what\na,b\n", "user,item,rating\n1,2,x\n"])
def test_what_cannot_be_read_is_a_finding(tmp_path, text):
    checkup = check(written(tmp_path, text))
    assert not checkup.usable
    assert "unreadable" in codes(checkup, "error")
    assert "not usable" in repr(checkup)


@pytest.mark.parametrize("source", ["nowhere.csv", 3, ""])
def test_a_source_that_is_not_there_is_refused(source):
    with pytest.raises(InputError):
        check(source)


@pytest.mark.parametrize("options", [{"scale": (5, 1, 1)}, {"invalid": "skip"}, {"duplicates": "best"}])
def test_a_wrong_argument_is_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        check(GOOD, **options)


# -------------------------------------------------------------------------------------------------------- properties
FIELD = st.sampled_from(["", "1", "2", "30", "a", "4.5", "inf", '"', "-1", "007"])
LINE = st.lists(FIELD, min_size=2, max_size=4).map(",".join)


@given(
    lines=st.lists(LINE, max_size=6),
    invalid=st.sampled_from(["error", "drop"]),
    duplicates=st.sampled_from(["last", "error"]),
    scale=st.sampled_from([None, (1, 5, 1)]),
)
def test_usable_means_that_reading_gives_data(tmp_path_factory, lines, invalid, duplicates, scale):
    path = written(tmp_path_factory.mktemp("drawn"), "user,item,rating\n" + "\n".join(lines))
    options = {"invalid": invalid, "duplicates": duplicates, "scale": scale}
    checkup = check(path, **options)
    assert checkup.usable == readable(path, **options)
    assert checkup.usable == (codes(checkup, "error") == [])
    assert len(checkup.rejects) == checkup.n_refused
    assert json.loads(json.dumps(checkup.to_dict(), allow_nan=False))


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50))
def test_a_histogram_counts_every_rating_once(values):
    bins = histogram(np.array(values, dtype=np.float32))
    assert sum(each.n_ratings for each in bins) == len(values)
    assert len(bins) <= 12


# -------------------------------------------------------------------------------------------------------- the report
def test_a_report_shows_counts_a_histogram_and_findings_within_its_width(tmp_path):
    checkup = check(written(tmp_path, BAD), scale=(1, 5, 1))
    text = checkup.report(width=60)
    assert max(map(len, text.splitlines())) <= 60
    assert text.splitlines()[0] == "ratings: not usable"
    assert "█" in text
    assert "at ratings.csv, line 3: no item_id" in text
    assert isinstance(checkup, Checkup)


def test_the_terminal_says_what_the_library_says(tmp_path):
    path = written(tmp_path, BAD)
    told = run(path, "--scale", "1,5,1", "--json", code=1).stdout
    assert json.loads(told) == [json.loads(json.dumps(check(path, scale=(1, 5, 1)).to_dict()))]
    text = run(path, "--scale", "1,5,1", code=1).stdout
    assert "error: 1 row of ratings.csv has a field that cannot be read." in text
    assert "--invalid drop drops them" in text
    run(path, "--invalid", "drop", "--columns", "rating=stars", "--duplicates", "mean")


def test_the_terminal_keeps_the_names_of_columns_that_are_mixed(tmp_path):
    file = written(tmp_path, "user_id,item_id,rating\n1,10,4\nu2,10,3\n2,11,5\n")
    assert "The column user_id mixes 2 whole numbers with 1 text" in " ".join(run(file).stdout.split())


def test_refused_rows_go_to_a_file_and_never_over_the_source(tmp_path):
    path, folder = written(tmp_path, BAD), tmp_path / "out"
    folder.mkdir()
    run(path, "--rejects", folder / "rejects.csv", code=1)
    assert pl.read_csv(folder / "rejects.csv")["text"].to_list() == ["1,,5", "2,10,five", "4,30"]
    assert os.listdir(folder) == ["rejects.csv"]
    for source, rejects in ((path, path), (tmp_path, tmp_path / "rejects.csv"), (path, folder), (path, "no/where")):
        assert isinstance(run(source, "--rejects", rejects, code=1).exception, InputError)
    assert path.read_text() == BAD


def test_a_saved_model_is_no_source_to_check(tmp_path):
    (tmp_path / "model.json").touch()
    assert "saved model" in str(run(tmp_path, code=1).exception)


@pytest.mark.parametrize(("text", "code"), [(BAD, 1), ("user,item,rating\n1,10,4\n2,10,3\n", 0)])
def test_the_process_ends_with_the_code_that_says_whether_data_are_usable(tmp_path, text, code):
    command = [sys.executable, "-m", "reelated", "check", str(written(tmp_path, text)), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == code
    assert json.loads(done.stdout)[0]["usable"] == (code == 0)
    assert done.stderr == ""
