"""Tables as programs and people export them: sheets, pivots, joined files, sizes, thousands, times of day, features."""

import datetime as dt
import io

import polars as pl
import pytest

from reelated import InputError, read, validate
from reelated.ratings.frames import read_whole_ids
from reelated.ratings.times import as_seconds
from reelated.ratings.values import as_numbers

pytestmark = pytest.mark.filterwarnings("ignore::reelated.errors.DataWarning")

TABLE = "user,item,rating\n1,10,4\n1,20,2\n2,20,5\n"
ROWS = [(1, 10, 4.0), (1, 20, 2.0), (2, 20, 5.0)]
PIVOT = [["Reader", "Dune", "Emma", "It", "Total"], ["ann", 4, None, 5, 9], ["ben", None, 3, 1, 4], ["Total", 4, 3, 6]]


def rows(source, **options):
    return read(source, **options).ratings.to_polars().select("user_id", "item_id", "rating").rows()


def write(folder, text, name="table.txt"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def has_note(source, start, **options):
    return any(note.startswith(start) for note in read(source, **options).notes)


# --------------------------------------------------------------------------------------------- lines that are no rows
@pytest.mark.parametrize(
    ("text", "note"),
    [
        (f"Ratings of 2021\n\n{TABLE}", "skipped 1 line above the table, such as 'Ratings of 2021'"),
        ("-- of the shop\n1,10,4\n1,20,2\n2,20,5\n", "skipped 1 line above the table, such as '-- of the shop'"),
        (TABLE + TABLE.split("\n", 1)[0] + "\n", "skipped 1 repeated line of column names"),
        (TABLE.replace("1,20", "user,item,rating\r\n1,20"), "skipped 1 repeated line of column names"),
    ],
)
def test_headings_and_repeated_column_names_are_no_rows(tmp_path, text, note):
    path = write(tmp_path, text)
    assert rows(path) == ROWS
    assert has_note(path, note)
    assert validate(path).n_rows == 3


def test_a_first_row_without_a_decimal_comma_is_no_heading(tmp_path):
    assert rows(write(tmp_path, "1 10 4\n1 20 2,5\n2 20 5,0\n")) == [(1, 10, 4.0), (1, 20, 2.5), (2, 20, 5.0)]


def test_a_first_row_with_one_number_is_no_heading(tmp_path):
    assert rows(write(tmp_path, "1,,,,\n2,,4,,5\n3,1,,2,\n"), layout="wide")[0] == (1, 1, 1.0)
    with pytest.raises(InputError, match="line 1: one field only, '1'"):
        read(write(tmp_path, "1\n1,10,4\n1,20,2\n"))


def test_files_joined_with_their_byte_order_marks_are_one_table(tmp_path):
    head, first, second, third = TABLE.splitlines(keepends=True)
    assert rows(write(tmp_path, f"\ufeff{head}{first}{second}\ufeff{head}{third}")) == ROWS


def test_a_row_that_begins_like_the_column_names_is_a_row(tmp_path):
    path = write(tmp_path, "user,item\nann,x\nuser,item\nuser,item7\n")
    assert [row[:2] for row in rows(path)] == [("ann", "x"), ("user", "item"), ("user", "item7")]


def sized(first, rating=3):
    return first + "".join(f"{user} {item} {rating}\n" for user in range(1, 8) for item in range(1, 8))


def test_a_line_of_sizes_is_no_rating_in_a_part_of_its_table(tmp_path):
    path = write(tmp_path, sized("943 1682 100000\n"))
    assert len(rows(path)) == 49
    assert has_note(path, "skipped 1 line above the table, such as '943 1682 100000'")


@pytest.mark.parametrize("text", [sized("30 20 5\n"), sized("3 20 1000\n"), sized("30 20 4000\n", 300)])
def test_a_first_row_with_large_numbers_is_a_rating(tmp_path, text):
    assert len(rows(write(tmp_path, text))) == 50


# -------------------------------------------------------------------------------------------------- separators, names
@pytest.mark.parametrize("mark", ["~", "^"])
def test_rare_separators_are_found(tmp_path, mark):
    assert rows(write(tmp_path, TABLE.replace(",", mark))) == ROWS
    quoted = TABLE.replace(",", mark).replace("10", f'"1{mark}0"')
    assert rows(write(tmp_path, quoted))[0] == (1, f"1{mark}0", 4.0)


def test_spaces_in_front_of_quotes_may_be_in_the_header_alone(tmp_path):
    path = write(tmp_path, '"user", "what", "rating"\n1,10,4\n1,20,2\n2,20,5\n')
    assert rows(path, columns={"item_id": "what"}) == ROWS


def test_only_names_that_are_read_must_differ(tmp_path):
    assert rows(write(tmp_path, "user,item,rating,x,x\n1,10,4,a,b\n1,20,2,a,b\n2,20,5,a,b\n")) == ROWS
    with pytest.raises(InputError, match="more than one column 'item'"):
        read(write(tmp_path, "user,item,rating,item\n1,10,4,10\n"))


@pytest.mark.parametrize(
    "names",
    [
        "Identifiant client;Référence produit;Note", "código do cliente;código do produto;quantidade",
        "Benutzername;Filmtitel;Sternebewertung",
    ],
)  # fmt: skip
def test_more_names_of_ids_are_known(tmp_path, names):
    text = TABLE.replace(",", ";").replace("user;item;rating", names)
    assert rows(write(tmp_path, text)) == ROWS


# ------------------------------------------------------------------------------------------------------ numbers, times
@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        (["1,234", "17"], [1234, 17]),
        (["1,234,567", "999"], [1_234_567, 999]),
        (["1.234", "17", "12.000"], [1234, 17, 12_000]),
        (["1.234", "4.5"], [1.234, 4.5]),
        (["1.234", "17"], [1.234, 17]),  # no number shows that it is no decimal number
        (["1,234", "1000"], [None, 1000]),
    ],
)
def test_whole_numbers_may_have_thousands_separators(values, numbers):
    assert as_numbers(pl.Series("rating", values)).values.to_list() == pytest.approx(numbers)


def test_thousands_separators_are_found_in_files(tmp_path):
    text = 'user,item,plays\n1,10,"1,234"\n1,20,17\n2,20,"2,000"\n'
    assert rows(write(tmp_path, text)) == [(1, 10, 1234), (1, 20, 17), (2, 20, 2000)]
    text = "user;item;menge\n1;10;1.234\n1;20;17\n2;20;2.000\n"
    assert rows(write(tmp_path, text)) == [(1, 10, 1234), (1, 20, 17), (2, 20, 2000)]
    assert has_note(tmp_path / "table.txt", "read ratings such as '1.234' as 1234")


def test_ids_have_thousands_separators_only_where_a_group_begins_with_zero():
    assert read_whole_ids(pl.Series("item_id", ["1,045", "17"]))[0].to_list() == [1045, 17]
    for ids in (["101,202", "101"], ["1,045", "1000"], ["1,045", "x"]):
        assert read_whole_ids(pl.Series("item_id", ids))[0].to_list() == ids


@pytest.mark.parametrize("times", [("1345", "905", "0"), ("134500", "090500", "000000"), ("13:45", "9:05", "0:00")])
def test_numbers_beside_dates_are_times_of_day(tmp_path, times):
    text = "user,item,rating,date,time\n" + "".join(f"1,{at},4,2021-05-01,{time}\n" for at, time in enumerate(times))
    expected = [1619827200 + seconds for seconds in (13 * 3600 + 45 * 60, 9 * 3600 + 300, 0)]
    path = write(tmp_path, text)
    for source in (path, pl.read_csv(path)):
        assert read(source).ratings.to_polars()["timestamp"].to_list() == expected


@pytest.mark.parametrize("times", [(1345, 975), (99, 7), (240_001, 1)])
def test_other_numbers_beside_dates_are_no_times_of_day(times):
    frame = {"user": [1, 2], "item": [1, 2], "rating": [1, 2], "date": ["2021-05-01", "2021-05-02"], "time": times}
    assert read(frame).ratings.to_polars()["timestamp"].to_list() == [1619827200, 1619913600]


def test_month_and_day_without_a_year_are_dates_of_one_year():
    numbers = [829, 1111, 501, None] * 7
    converted = as_seconds(pl.Series("timestamp", numbers))
    days = [dt.datetime.fromtimestamp(time, dt.UTC).strftime("%m-%d") for time in converted.values[:3]]
    assert days == ["08-29", "11-11", "05-01"]
    assert converted.notes == ("read timestamp as dates of one year (month, day), taken as 2000, such as 829",)
    for seconds in (numbers[:20], [*numbers, 1199]):  # few, and one that is no date
        assert as_seconds(pl.Series("timestamp", seconds)).values.to_list() == seconds


# ------------------------------------------------------------------------------------------------- lists and features
@pytest.mark.parametrize(
    "text",
    ["5 1:1 943:1\n3 1:1 944:1\n5 2:1 943:1\n", "4.5 0:1 9:1 20:0.5\n3 1:1 9:1 21:0.5\n", "1 1:1 9:1\n-1 2:1 9:1\n"],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_targets_with_features_are_refused_with_the_code_that_reads_them(tmp_path, text):
    path = write(tmp_path, text)
    with pytest.raises(InputError, match="has the format of libsvm and libFM") as raised:
        read(path)
    code = str(raised.value).split("in Python: read(")[1].removesuffix(").")
    user, item, rating = eval(code.replace("'table.txt'", repr(str(path))))[0]
    target, first, second, *_ = text.split()
    assert (f"{user}:1", f"{item}:1", rating) == (first, second, float(target))


def test_lists_of_ratings_by_ascending_user_are_no_features(tmp_path):
    assert rows(write(tmp_path, "1 10:4 20:2\n2 10:1 20:5\n"))[-1] == (2, 20, 5.0)


def test_pairs_in_front_of_negative_samples_are_events(tmp_path):
    path = write(tmp_path, "(0,25)\t1064\t174\n(1, 133)\t1072\t3154\n", "ml.test.negative")
    assert [row[:2] for row in rows(path)] == [(0, 25), (1, 133)]
    assert has_note(path, "read 2 pairs such as '(0,25)'; left out the negative samples")


def test_lines_that_begin_with_the_number_of_their_items_are_of_the_next_user(tmp_path):
    path = write(tmp_path, "1 5\n2 7 9\n3 1 5 8\n")
    assert [row[:2] for row in rows(path)] == [(0, 5), (1, 7), (1, 9), (2, 1), (2, 5), (2, 8)]
    below = "1 5\n" * 40 + "2 7 8 9\n"  # the first lines decide the form
    with pytest.raises(InputError, match="line 44: no user and list of items: '2 7 8 9'"):
        read(write(tmp_path, f"1 5\n2 7 9\n3 1 5 8\n{below}"))


@pytest.mark.parametrize("column", ["item_id_list:token_seq", "tags:float_seq"])
def test_lists_of_recbole_that_are_not_read_are_noted(tmp_path, column):
    path = write(tmp_path, f"user_id:token\t{column}\titem_id:token\n1\t10 20\t30\n2\t10\t50\n", "a.inter")
    assert has_note(path, f"did not read the lists in {column!r}")


def test_titles_with_commas_are_no_lists_and_an_option_says_so_for_others(tmp_path):
    titles = ["Lock, Stock, and Two Smoking Barrels", "Good, the Bad, and the Ugly, The", "Up"]
    assert len(rows(write(tmp_path, "user,item\n" + "".join(f'1,"{title}"\n' for title in titles)))) == 3
    for first, second in (("Alien, Heat, Up", "Alien, Jaws"), ("Milk, eggs, bread", "Milk, tea")):
        path = write(tmp_path, f'user,item\n1,"{first}"\n2,"{second}"\n')
        with pytest.raises(InputError, match=r"lists several items .* If each field is one item.* layout='long'"):
            read(path)
        assert [item for _, item, _ in rows(path, layout="long")] == [first, second]


# ------------------------------------------------------------------------------------------------- sheets and matrices
def sheet(folder, cells, name="book.xlsx"):
    """Write an Excel workbook with the cells of one sheet."""
    writer = pytest.importorskip("xlsxwriter")
    pytest.importorskip("fastexcel")
    book = writer.Workbook(folder / name)
    page = book.add_worksheet("Page")
    for row, values in enumerate(cells):
        for column, value in enumerate(values):
            if isinstance(value, dt.datetime):
                page.write_datetime(row, column, value, book.add_format({"num_format": "yyyy-mm-dd hh:mm"}))
            elif value is not None:
                page.write(row, column, value)
    book.close()
    return folder / name


HEAD = ["user", "item", "rating", "date"]
CELLS = [[1, 10, 4, dt.datetime(2021, 5, 1)], [1, 20, 2.0, None], [2, 20, 5, dt.datetime(2021, 5, 1, 10)]]


@pytest.mark.parametrize("above", [[HEAD], [["Ratings of 2021"], [], HEAD], [[], HEAD]])
def test_a_sheet_is_read_like_the_same_csv(tmp_path, above):
    path = sheet(tmp_path, [*above, CELLS[0], [], *CELLS[1:]])
    assert rows(path) == ROWS
    assert read(path).ratings.to_polars()["timestamp"].to_list() == [1619827200, None, 1619863200]


def test_a_fault_in_a_sheet_is_named_by_its_row(tmp_path):
    with pytest.raises(InputError, match="Page, line 3: rating='x'"):
        read(sheet(tmp_path, [HEAD, CELLS[0], [1, 20, "x", None]]))


def test_ids_in_a_sheet_keep_their_zeros_and_digits(tmp_path):
    path = sheet(tmp_path, [["user", "isbn", "rating"], [1, "0155", 4], [2, 9780143034900, 5]])
    assert rows(path) == [(1, "0155", 4.0), (2, "9780143034900", 5.0)]
    assert rows(sheet(tmp_path, [row[:3] for row in CELLS])) == ROWS  # without names of columns


def test_totals_of_a_pivot_table_are_no_ratings(tmp_path):
    expected = [("ann", "Dune", 4), ("ann", "It", 5), ("ben", "Emma", 3), ("ben", "It", 1)]
    text = io.StringIO()
    for row in PIVOT:
        print(*("" if cell is None else cell for cell in row), sep=",", file=text)
    plain = write(tmp_path, "By reader\n" + text.getvalue().replace("Total,4,3,6", "Total,4,3,6,13"), "pivot.csv")
    note = "left out the last row, 'Total' and the last column, 'Total': totals and no ratings"
    for path in (plain, sheet(tmp_path, [["By reader"], *PIVOT])):
        assert rows(path, layout="wide") == expected
        assert has_note(path, note, layout="wide")
    assert len(rows(write(tmp_path, "reader,Total,Emma\nall,4,3\nann,4,3\n"), layout="wide")) == 4


# -------------------------------------------------------------------------------------------------------- other files
@pytest.mark.parametrize(
    ("start", "what"),
    [
        ("\n <!doctype HTML>\n<html>", "a web page, perhaps one to log in"), ("<HTML>\n", "a web page"),
        ("<?xml version='1.0'?>\n", "an XML document, which read"), ("<a x='1'>\n<b/>", "an XML document"),
        ("% by Weka\n@relation r\n", "ARFF"), ("/* by MySQL */;\nDROP TABLE r;\n", "a dump in SQL"),
        ("BEGIN TRANSACTION;\n", "a dump in SQL"), ("-- SQL\nCREATE TABLE r", "a dump in SQL"),
    ],
)  # fmt: skip
def test_other_texts_are_named_behind_comments_and_in_any_case(tmp_path, start, what):
    with pytest.raises(InputError, match=what):
        read(write(tmp_path, start + "1,2,3\n", "ratings.csv"))
