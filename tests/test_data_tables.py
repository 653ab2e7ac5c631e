"""Tables of any kind, intact and damaged: their contents, the notes, and an `InputError` for every fault."""

import contextlib
import gzip
import io
import re
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelated.data import cache_folder, fingerprint, folds, read, validate
from reelated.data.table_reader import read_table
from reelated.errors import DataWarning, InputError, InputTypeError
from reelated.ratings.frames import rating_columns

HEADED = "userId,movieId,rating,timestamp\n1,10,4.5,964982703\n2,20,3,964982704\n"
ROWS = [(1, 10, 4.5, 964982703), (2, 20, 3.0, 964982704)]


def put(tmp_path, data, name="mine.csv"):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def rows(source, **options):
    return read(source, **options).ratings.to_polars().rows()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("mine.csv", HEADED),
        ("mine.tsv", HEADED.replace(",", "\t")),
        ("mine.txt", HEADED.replace(",", ";")),
        ("mine.dat", HEADED.replace(",", "::")),
        ("mine.txt", HEADED.replace(",", "|")),
        ("mine.csv", HEADED.replace("\n", "\r\n")),
        ("mine.csv", "\n" + HEADED.rstrip() + "\n\n\n"),
        ("mine.csv", b"\xef\xbb\xbf" + HEADED.encode()),
        ("mine.csv.gz", gzip.compress(HEADED.encode(), mtime=0)),
        ("unknown ending", HEADED),
        ("mine.csv", HEADED.encode("utf-16")),
        ("mine.csv", HEADED.encode("utf-32")),
    ],
)
def test_text_with_any_separator_is_read(tmp_path, name, data):
    assert rows(put(tmp_path, data, name)) == ROWS


@pytest.mark.parametrize("write", ["write_parquet", "write_ipc", "write_ipc_stream"])
def test_binary_tables_keep_their_text_ids(tmp_path, write):
    table = pl.DataFrame({"user": ["1", "2"], "item_id": [10, 20], "stars": [4.5, 3.0], "review": ["good", "bad"]})
    path = tmp_path / "mine.table"
    getattr(table, write)(path)
    assert rows(path) == [("1", 10, 4.5), ("2", 20, 3.0)]


def test_polars_pandas_and_mappings_are_read():
    columns = {"user_id": [1, 2], "item_id": [10, 20], "rating": [4.5, 3.0]}
    for frame in (columns, pl.DataFrame(columns), pd.DataFrame(columns), pl.DataFrame(columns).to_arrow()):
        assert rows(frame) == [(1, 10, 4.5), (2, 20, 3.0)]


@pytest.mark.parametrize("separator", [",", "\t", "::"])
def test_without_a_header_the_default_order_is_used_with_a_warning(tmp_path, separator):
    path = put(tmp_path, HEADED.split("\n", 1)[1].replace(",", separator))
    with pytest.warns(DataWarning, match="no line with column names: the columns are taken as user, item, rating, ti"):
        data = read(path)
    assert data.ratings.to_polars().rows() == ROWS
    assert len(data.notes) == 1


def test_a_mapping_without_ratings_is_implicit_feedback():
    assert rows({"user": [1, 2], "item": [10, 20]}, columns={"rating": None}) == [(1, 10, 1.0), (2, 20, 1.0)]


@pytest.mark.parametrize("text", ["1,10\n2,20\n", "ann,tent\nben,rope\n"])
def test_a_file_without_ratings_is_implicit_feedback(tmp_path, text):
    path = put(tmp_path, "user,item\n" + text)
    ids = [int(field) if field.isdigit() else field for field in text.replace("\n", ",").split(",")[:4]]
    for columns in (None, {"rating": None}):
        ratings = read(path, columns=columns).ratings
        assert ratings.to_polars().rows() == [(*ids[:2], 1.0), (*ids[2:], 1.0)]
        assert ratings.feedback == "implicit"


def test_a_column_of_numbers_that_may_be_ratings_must_be_named(tmp_path):
    path = put(tmp_path, "user,item,much\na,b,3\nc,d,4\n")
    with pytest.raises(InputError, match="No column for rating"):
        read(path)
    assert read(path, feedback="implicit").ratings.matrix.data.tolist() == [1.0, 1.0]
    assert read(path, columns={"rating": "much"}).ratings.matrix.data.tolist() == [3.0, 4.0]


def test_columns_can_be_named(tmp_path):
    path = put(tmp_path, "who,what,much\na,b,3\nc,d,4\n")
    with pytest.raises(InputError, match=r"mine.csv: No column for user_id and item_id and rating among"):
        read(path)
    assert rows(path, columns={"user_id": "who", "item_id": "what", "rating": "much"}) == [
        ("a", "b", 3.0),
        ("c", "d", 4.0),
    ]


@pytest.mark.parametrize(
    "header",
    [
        "用户ID,电影ID,评分（1-5）,时间戳",
        "会員番号,商品コード,評価,日付",
        "사용자 ID,영화 번호,평점,날짜",
        "ID пользователя,Код товара,Рейтинг,Дата",
    ],
)
def test_column_names_in_other_scripts_are_known(tmp_path, header):
    data = read(put(tmp_path, f"{header}\n1,10,4,2020-01-02\n2,10,5,2020-01-03\n".encode()))
    columns = "user_id", "item_id", "rating", "timestamp"
    expected = [(1, 10, 4, 1_577_923_200), (2, 10, 5, 1_578_009_600)]
    assert data.ratings.to_polars().select(columns).rows() == expected


@pytest.mark.filterwarnings("ignore::reelated.errors.DataWarning")
@pytest.mark.parametrize("names", ["date,time", "time,date", "Datum,Uhrzeit"])
def test_a_date_and_a_time_of_day_are_one_time(tmp_path, names):
    values = {"date": ("02.01.2020", "14.01.2020"), "time": ("1:45 PM", "")}
    columns = [values["date" if name.lower().startswith("dat") else "time"] for name in names.split(",")]
    lines = [
        f"user,item,rating,{names}",
        *(f"{at},10,4,{a},{b}" for at, (a, b) in enumerate(zip(*columns, strict=True))),
    ]
    path = put(tmp_path, "\n".join(lines).encode())
    for source in (path, pl.read_csv(path), pd.read_csv(path)):
        data = read(source)
        assert data.ratings.timestamps.tolist() == [1_577_972_700, 1_578_960_000]
        assert any("such as '1:45 PM'; 1 row without one" in note for note in data.notes)
    assert read(path, columns={"time_of_day": None}).ratings.timestamps[0] == 1_577_923_200


@pytest.mark.filterwarnings("ignore::reelated.errors.DataWarning")
@pytest.mark.parametrize("times", [("2020-01-02 13:45", "2020-01-03 08:00"), (1_577_972_700, 1_578_038_400)])
def test_times_beside_dates_are_read(tmp_path, times):
    text = f"user,item,rating,date,time\n1,10,4,2020-01-02,{times[0]}\n2,10,5,2020-01-03,{times[1]}\n"
    assert read(put(tmp_path, text.encode())).ratings.timestamps.tolist() == [1_577_972_700, 1_578_038_400]


def test_a_time_with_a_time_of_day_is_not_changed(tmp_path):
    path = put(tmp_path, b"user,item,rating,timestamp,time\n1,10,4,1577923201,13:45\n2,10,5,1577923202,8:00\n")
    assert read(path).ratings.timestamps.tolist() == [1_577_923_201, 1_577_923_202]


def test_unreadable_column_names_suggest_an_encoding(tmp_path):
    path = put(tmp_path, "пользователь,фильм,рейтинг\n1,10,4\n2,10,5\n".encode("cp1251"))
    with pytest.raises(InputError, match=r"not UTF-8\. Name the encoding, such as encoding='cp1251'"):
        read(path)
    assert rows(path, encoding="cp1251") == [(1, 10, 4.0), (2, 10, 5.0)]


def test_ids_become_integers_only_if_no_value_changes(tmp_path):
    assert rows(put(tmp_path, "user,item,rating\n7,007,1\n8,12,2\n")) == [(7, "007", 1.0), (8, "12", 2.0)]
    assert rows(put(tmp_path, "user,item,rating\n+7,1,1\n8,1,2\n")) == [("+7", 1, 1.0), ("8", 1, 2.0)]
    huge = str(2**63)
    assert rows(put(tmp_path, f"user,item,rating\n{huge},1,1\n8,1,2\n"))[1][0] == huge


def test_spaces_around_ids_are_removed_with_a_warning(tmp_path):
    with pytest.warns(DataWarning, match="removed the spaces around item_id"):
        assert rows(put(tmp_path, "user, item, rating\n7, 1, 4\n8, 2, 5\n")) == [(7, 1, 4.0), (8, 2, 5.0)]


def test_times_may_be_missing_or_dates(tmp_path):
    path = put(tmp_path, "user,item,rating,time\n1,1,4,\n1,2,4,5\n")
    assert [time for *_, time in rows(path)] == [None, 5]
    path = put(tmp_path, "user,item,rating,date\n1,1,4,1970-01-02\n1,2,4,1970-01-03\n")
    assert [time for *_, time in rows(path)] == [86400, 172800]


@pytest.mark.filterwarnings("ignore:.*outside UTF-8")
def test_latin1_quotes_and_line_breaks_in_fields_are_read(tmp_path):
    path = put(tmp_path, 'user,item,rating,note\nJosé,"a,""b""",4,"two\nlines"\nx,y,3,z\n'.encode("latin-1"))
    assert rows(path) == [("José", 'a,"b"', 4.0), ("x", "y", 3.0)]


FAULTS = {
    "too few fields": ("1,10,4\n", r"line 4: 3 fields where 4 are expected: '1,10,4'"),
    "too many fields": ("1,10,4,5,6\n", r"line 4: 5 fields where 4 are expected"),
    "no user": (",10,4,5\n", r"line 4: no user_id in ',10,4,5'"),
    "no rating": ("1,10,,5\n", r"line 4: no rating"),
    "all fields empty": (",,,\n", r"line 4: no user_id"),
    "a word for a rating": ("1,10,good,5\n", r"line 4: rating='good', expected a finite number, in '1,10,good,5'"),
    "an infinite rating": ("1,10,inf,5\n", r"line 4: rating='inf', expected a finite number"),
    "a rating beyond float32": ("1,10,1e39,5\n", r"line 4: rating='1e39', expected a finite number"),
    "no number for a rating": ("1,10,nan,5\n", r"line 4: rating='nan'"),
    "a word for a time": ("1,10,4,noon\n", r"line 4: timestamp='noon', expected a finite number"),
    "a NUL": ("1\0,10,4,5\n", r"NUL"),
    "an endless id": (f"{'9' * 1001},10,4,5\n", r"line 4: user_id=.*expected an id of at most 1,000 characters"),
    "an endless field": (f"1,10,4,{'9' * 200_000}\n", r"line 4: a field of more than 131,072 characters"),
    "an open quote": ('"1,10,4,5\n', r"line 4: 1 field where 4 are expected"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_line_is_an_error_with_its_number(tmp_path, fault):
    line, message = FAULTS[fault]
    with pytest.raises(InputError, match=message) as caught:
        read(put(tmp_path, HEADED + line))
    assert len(str(caught.value)) < 400
    assert str(caught.value).startswith("mine.csv")


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "a NUL"])
def test_bad_lines_are_dropped_with_a_warning(tmp_path, fault):
    line, message = FAULTS[fault]
    with pytest.warns(DataWarning, match=f"mine: dropped 1 bad line, the first is {message}"):
        data = read(put(tmp_path, HEADED + line), invalid="drop")
    assert data.ratings.to_polars().rows() == ROWS
    assert "dropped 1 bad line" in data.notes[0]


def test_an_unclosed_quote_affects_only_its_own_line(tmp_path):
    path = put(tmp_path, HEADED + '"1,10,4,5\n3,1,1,1\n4,1,1,1\n')
    with pytest.warns(DataWarning, match="dropped 1 bad line, the first is line 4: 1 field"):
        assert rows(path, invalid="drop") == [*ROWS, (3, 1, 1.0, 1), (4, 1, 1.0, 1)]
    with pytest.raises(InputError, match="line 4: 1 field where 4 are expected, because a quote is not closed"):
        read(path)


@pytest.mark.filterwarnings("ignore::reelated.errors.DataWarning")
@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize(
    ("notes", "stray"),
    [
        (['"great', "ok", "fine", '"so"', "x"], 1),  # never closed
        (['"great', "ok", "fine", 'so"', "x"], 1),  # closed by a quote that belongs elsewhere
        (['"great', "ok", "fine", 'so "so"', '"closed" early'], 2),
        (['"great', '"ok', '""fine', '5" disc', '"'], 4),
        (["good", "ok", "fine", "so", '"x'], 1),  # in the last line
    ],
)
def test_an_unclosed_quote_swallows_no_rows(tmp_path, separator, notes, stray):
    ids = [(1, 10, 5.0), (1, 20, 3.0), (2, 10, 4.0), (2, 20, 2.0), (3, 10, 1.0)]
    lines = ["user,item,rating,note", *(f"{u},{m},{r:g},{note}" for (u, m, r), note in zip(ids, notes, strict=True))]
    path = put(tmp_path, "\n".join(lines).replace(",", separator))
    assert rows(path) == ids
    first = 2 + next(row for row, note in enumerate(notes) if note.startswith('"'))
    assert read(path).notes == (f"found {stray} line{'s' * (stray > 1)} with a stray quote, the first is line {first}",)


def test_line_breaks_within_quotes_start_no_rows(tmp_path):
    """A properly closed field is text unless its lines look like rows with numbers."""
    text = 'user,item,rating,note\n1,10,5,"so, so, so, so\n\nand, one, of, ""those"""\n1,20,3,ok\n2,10,4,"\r\n"\n'
    path = put(tmp_path, text)
    assert rows(path) == [(1, 10, 5.0), (1, 20, 3.0), (2, 10, 4.0)]
    assert read(path).notes == ()
    joined = [issue.message for issue in validate(path).issues if "oined" in issue.message]
    assert joined == ["Joined 3 lines to the quoted field that begins before, the first is line 3."]


def test_lines_within_quotes_that_may_be_rows_are_reported(tmp_path):
    path = put(tmp_path, 'user,item\nu1,"m1\nu2,m2\nu3,m3"\nu4,m4\n')
    with pytest.warns(DataWarning, match="joined 2 lines to the quoted field that begins before, the first is line 3"):
        read(path, columns={"rating": None})


def test_blank_lines_are_counted_and_classic_mac_line_ends_are_read(tmp_path):
    with pytest.warns(DataWarning, match="skipped 3 blank lines"):
        assert rows(put(tmp_path, "user,item,rating\n1,10,4\n\n  \n2,20,3\n\n3,30,1\n\n\n")) == [
            (1, 10, 4.0), (2, 20, 3.0), (3, 30, 1.0)
        ]  # fmt: skip
    assert rows(put(tmp_path, HEADED.replace("\n", "\r"))) == ROWS


def test_a_form_feed_in_the_header_hides_no_row(tmp_path):
    assert rows(put(tmp_path, "user,item,rating,a\x0cb\u2028c\n1,10,4,\x0c\n2,20,3,x\n")) == [
        (1, 10, 4.0), (2, 20, 3.0)
    ]  # fmt: skip


PLAIN = st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 5), st.sampled_from(["", "x", "a b", "é'"]))
ODD = st.one_of(
    st.just(""),
    st.builds(
        lambda row, note: ",".join(map(str, row[:3])) + "," + note,
        PLAIN,
        st.tuples(st.text('ab "é', max_size=4), st.text('ab "é', max_size=4)).map('"'.join),
    ),
    st.text('19a,"é. ', max_size=14).map("x".__add__),  # no row that opens a quote
    st.lists(st.text("ab ,é", max_size=9), min_size=2, max_size=4).map(lambda text: '7,7,1,"' + "\n".join(text) + '"'),
)


@settings(deadline=None, max_examples=400)
@given(
    st.lists(PLAIN.map(lambda row: ",".join(map(str, row))) | ODD, min_size=1, max_size=14),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(0, 20),
)
def test_every_line_of_a_text_is_accounted_for(lines, separator, ends, nul):
    """Lines = ratings + repeated ratings + rejected lines + blank lines + lines within quotes; plain lines are read."""
    text = "\n".join(["user,item,rating,note", "8,8,2,z", *lines, "9,9,3,z" + "\0" * (nul == 20)])
    n_lines, text = text.count("\n"), text.replace(",", separator).replace("\n", ends)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        path = put(Path(folder), text.encode())
        try:
            report, data = validate(path, invalid="drop"), read(path, invalid="drop")
        except InputError as error:
            assert nul == 20 and "holds NUL bytes" in str(error)  # noqa: PT017, PT018
            return
    notes = " ".join([*data.notes, *(issue.message for issue in report.issues)])

    def count(words):
        return max((int(number.replace(",", "")) for number in re.findall(rf"([\d,]+) {words}", notes)), default=0)

    parts = {
        "ratings": len(data.ratings),
        "repeated": count("repeated ratings? of"),
        "refused": count("bad lines?") + count("rows? without"),
        "blank": count("blank lines?"),
        "joined": count("lines? to the quoted"),
    }
    assert sum(parts.values()) == n_lines, parts
    # a line break of a quoted field counts as text if another quote has closed the field before
    assert parts["blank"] <= sum(not line.strip() for line in "\n".join(lines).split("\n"))
    pairs = set(data.ratings.to_polars().select("user_id", "item_id").cast(pl.String).rows())
    plain = [line.split(",") for line in lines if re.fullmatch(r"[1-5],[1-9],[1-5],[^\"\n,]*", line)]
    assert {(user, item) for user, item, *_ in plain} <= pairs


PARQUET = io.BytesIO()
pl.DataFrame({"user": [1] * 99, "item": range(99), "rating": [1.0] * 99}).write_parquet(PARQUET)
ARROW = io.BytesIO()
pl.DataFrame({"user": [1] * 99, "item": range(99), "rating": [1.0] * 99}).write_ipc(ARROW)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "mine.csv is empty"),
        (b"\n\n", "mine.csv is empty"),
        (b"user,item,rating\n", "mine.csv holds no rows"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "mine.csv is a picture"),
        (b"a\0b,c\n", "mine.csv holds NUL bytes"),
        (b"x" * 10**6, "mine.csv, line 1: longer than 65,536 characters"),
        (b"only one column\n1\n", "mine.csv, line 1: one field only"),
        (b"\x1f\x8bnonsense", "mine.csv: the gzip file is damaged"),
        (gzip.compress(HEADED.encode(), mtime=0)[:-9], "mine.csv: the gzip file is damaged"),
        (PARQUET.getvalue()[:-20], "mine.csv: the Parquet file is damaged"),
        (ARROW.getvalue()[:-20], "mine.csv: the Arrow file is damaged"),
        (b"PK\x03\x04 no zip at all", "mine.csv: the zip is damaged"),
        (b"a,b,c\nd,e,f\n", "mine.csv: No column for user_id"),
        (b"user,user,item,rating\n1,2,3,4\n", "mine.csv has more than one column 'user'"),
        ((",".join(f"column{at}" for at in range(5000)) + "\n").encode(), "mine.csv: No column for user_id"),
    ],
)
def test_an_unreadable_file_is_an_error(tmp_path, data, message):
    with pytest.raises(InputError, match=message) as caught:
        read(put(tmp_path, data))
    assert len(str(caught.value)) < 1000


def test_a_parquet_file_without_rows_is_an_error(tmp_path):
    pl.DataFrame(schema=["user", "item", "rating"]).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet holds no rows"):
        read(tmp_path / "a.parquet")


def test_a_file_without_read_permission_is_an_error(tmp_path, monkeypatch):
    path = put(tmp_path, HEADED)

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(InputError, match=r"mine.csv: no permission to read it"):
        read(path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("ml-100l", "Did you mean 'ml-100k'"),
        ("smaple", "Did you mean 'sample'"),
        ("/dev/zero", "source='/dev/zero': neither a folder nor a file"),
        ("no/such/folder", "there is no such folder, zip or file"),
        ("", "source='': expected a path"),
        ("a\0b", "expected a path"),
        ("x" * 10_000, "source='x"),
    ],
)
def test_a_missing_source_is_an_error_with_similar_names(source, message):
    with pytest.raises(InputError, match=message):
        read(source)


def test_a_mistyped_path_is_an_error_with_the_existing_file(tmp_path):
    put(tmp_path, HEADED, "ratings.csv")
    with pytest.raises(InputError, match=r"Did you mean '.*ratings.csv'"):
        read(tmp_path / "ratigns.csv")


def test_an_edition_missing_in_the_cache_is_an_error_with_the_command():
    with pytest.raises(InputError, match=r"Get it with: reelated fetch ml-25m. Without a network, use 'sample'"):
        read("ml-25m")


def test_the_name_of_the_sample_says_simulated():
    data = read("sample")
    assert data.name == "Reelated sample (simulated ratings)"
    assert data.ratings.scale == (1, 5, 1)
    with pytest.raises(InputError, match="Write them with: reelated sample DIR"):
        next(folds("sample"))


def test_an_existing_path_has_precedence_over_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(tmp_path, HEADED, "sample")
    assert rows("sample") == ROWS


def test_a_source_of_another_type_is_an_error():
    with pytest.raises(InputTypeError, match="expected a polars or pandas DataFrame"):
        read(42)


def test_a_folder_with_several_tables_is_an_error(tmp_path):
    put(tmp_path, HEADED, "a.csv")
    put(tmp_path, HEADED, "b.csv")
    with pytest.raises(InputError, match=r"holds several tables \('a.csv', 'b.csv'\)"):
        read(tmp_path)


def test_items_and_users_may_be_files_with_the_id_type_of_the_ratings(tmp_path):
    ratings = put(tmp_path, "user,item,rating\nu1,1,4\nu2,x2,5\n")
    items = put(tmp_path, "item,title,year,genres\n1,First,1990,Drama|War\nx2,Second,1991,\n", "catalogue.csv")
    users = put(tmp_path, "user,age,zip\nu1,30,01234\n", "people.csv")
    data = read(ratings, items=items, users=str(users))
    assert data.items.rows() == [("1", "First", 1990, ["Drama", "War"]), ("x2", "Second", 1991, [])]
    assert data.users.rows() == [("u1", 30, "01234"), ("u2", None, None)]


def test_integer_ids_of_a_side_file_become_text_where_the_ratings_have_text(tmp_path):
    ratings = put(tmp_path, "user,item,rating\n1,1,4\n2,x,5\n")
    items = put(tmp_path, "item,title\n1,First\n", "catalogue.csv")
    assert read(ratings, items=items).items["title"].to_list() == ["First", "x"]


def test_a_replaced_side_file_is_not_read(tmp_path):
    put(tmp_path, HEADED, "ratings.csv")
    put(tmp_path, "item,title\n10\n", "movies.csv")
    with pytest.warns(DataWarning, match=r"left out movies\.csv: No row of movies\.csv can be used"):
        read(tmp_path)
    assert read(tmp_path, items={"item_id": [10], "title": ["Mine"]}).items["title"].to_list() == [
        "Mine",
        "Item 20",
    ]


def test_a_missing_side_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match="there is no such folder, zip or file"):
        read(put(tmp_path, HEADED), items=tmp_path / "none.csv")


def test_a_fingerprint_depends_on_contents_and_not_on_the_path(tmp_path):
    original, copy = tmp_path / "original", tmp_path / "copy"
    for folder in (original, copy):
        folder.mkdir()
        put(folder, HEADED, "ratings.csv")
        put(folder, "item,title\n10,First\n", "movies.csv")
    first = fingerprint(original)
    assert fingerprint(copy) == first
    put(copy, "not read", "notes.md")
    assert fingerprint(copy) == first
    put(copy, "item,title\n10,Other\n", "movies.csv")
    assert fingerprint(copy) != first
    assert fingerprint(original / "ratings.csv") != first


def test_the_cache_folder_is_private_to_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("REELATED_CACHE", str(tmp_path / "deep" / "cache"))
    assert cache_folder() == tmp_path / "deep" / "cache"
    assert cache_folder().stat().st_mode & 0o777 == 0o700
    put(tmp_path, "", "file")
    monkeypatch.setenv("REELATED_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match="Name another with the environment variable REELATED_CACHE"):
        cache_folder()


def read_bytes(data):
    return rating_columns(read_table("mine.csv", data)[0])


IDS = st.one_of(st.integers(0, 2**62).map(str), st.text("abc019 ,;|\"'\té\n", min_size=1, max_size=6))
TABLE = st.lists(st.tuples(IDS, IDS, st.integers(1, 10)), min_size=1, max_size=12, unique_by=lambda row: row[:2])


@settings(deadline=None, max_examples=60)
@given(TABLE, st.sampled_from([",", ";", "\t", "|"]))
def test_a_frame_survives_the_round_trip_through_csv(table, separator):
    table = [(f"u{user.strip()}", f"m{item.strip()}", rating) for user, item, rating in table]
    frame = pl.DataFrame(table, schema=["user_id", "item_id", "rating"], orient="row")
    frame = frame.unique(["user_id", "item_id"], keep="last").with_columns(pl.col("rating").cast(pl.Float32))
    table = read_bytes(frame.write_csv(separator=separator).encode())
    assert table.sort("user_id", "item_id").equals(frame.sort("user_id", "item_id"))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(-9, 99), st.integers(0, 2**63 - 1)), min_size=1, max_size=20, unique=True))
def test_integer_ids_survive_a_round_trip_through_csv(pairs):
    frame = pl.DataFrame(pairs, schema={"user_id": pl.Int64, "item_id": pl.Int64}, orient="row")
    frame = frame.with_columns(rating=pl.Series(np.arange(len(pairs)) / 2, dtype=pl.Float32))
    assert read_bytes(frame.write_csv().encode()).equals(frame)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=80) | st.text('1,;\t|:"\n\r\0é.', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_an_input_error(data):
    for head in (b"", b"user,item,rating\n1,2,3\n"):
        with contextlib.suppress(InputError):
            read_bytes(head + data)


# catalogues of any origin
FILED = 'movieId,title,genres\n1,"Sixth Sense, The (1999)",Drama|Horror\n2,Heat (1995),(no genres listed)\n'


def test_an_item_table_as_a_frame_is_read_like_the_same_file(tmp_path):
    path = put(tmp_path, "userId,movieId,rating\n1,1,4\n2,2,5\n3,3,1\n", "ratings.csv")
    put(tmp_path, FILED, "movies.csv")
    from_files = read(tmp_path).items
    assert from_files.rows()[0] == (1, "The Sixth Sense", 1999, ["Drama", "Horror"])
    ratings, items = pd.read_csv(path), pd.read_csv(io.StringIO(FILED))
    for frame in (items, pl.from_pandas(items), pl.from_pandas(items).lazy(), items.to_dict("list")):
        assert read(ratings, items=frame).items.equals(from_files)
        assert read(path, items=frame).items.equals(from_files)


@pytest.mark.parametrize(
    ("cell", "other", "note"),
    [
        ("Action|Sci-Fi, Fantasy", "Drama|", None),
        ("Action, Sci-Fi", "Drama", "split genres at ',', as in 'Action, Sci-Fi'"),
        ("Action;Sci-Fi", "Drama, slow; ", "split genres at ';', as in 'Action;Sci-Fi'"),
        ("Action;Sci-Fi;Action;", "Drama", "split genres at ';', as in 'Action;Sci-Fi;Action;'"),
        ("Action / Sci-Fi", "Drama", "split genres at '/', as in 'Action / Sci-Fi'"),
        ('["Action", "Sci-Fi"]', '["Drama"]', "read genres as lists in brackets"),
        ("['Action', 'Sci-Fi']", "[]", "read genres as lists in brackets"),
        ("[{'id': 1, 'name': 'Action'}, {'name': 'Sci-Fi'}]", "[None]", "read genres as lists in brackets"),
        ("[Action, Sci-Fi]", "[{}]", "read genres as lists in brackets"),
    ],
)
@pytest.mark.filterwarnings("ignore::reelated.errors.DataWarning")
def test_the_genre_separator_is_chosen_for_the_column(cell, other, note):
    items = {"item_id": [1, 2, 3], "title": ["a", "b", "c"], "genres": [cell, other, None]}
    data = read({"user": [1, 2, 3], "item": [1, 2, 3], "rating": [1, 2, 3]}, items=items)
    first, second, third = data.items["genres"].to_list()
    assert first == (["Action", "Sci-Fi"] if note else ["Action", "Sci-Fi, Fantasy"])
    assert second in (["Drama"], ["Drama, slow"], [])
    assert third == []
    assert data.notes == ((f"items: {note}",) if note else ())


def test_lists_of_genres_are_unchanged():
    items = pd.DataFrame({"item_id": [1, 2], "genres": [["Action, slow", "unknown"], None]})
    data = read({"user": [1, 2], "item": [1, 2], "rating": [1, 2]}, items=items)
    assert data.items["genres"].to_list() == [["Action, slow"], []]


def test_named_id_columns_are_found_in_side_tables_too(tmp_path):
    ratings = put(tmp_path, "who,film_no,rating\n1,1,4\n2,2,5\n")
    items = put(tmp_path, "film_no,title\n1,First\n", "catalogue.csv")
    users = put(tmp_path, "who,age\n2,30\n", "people.csv")
    columns = {"user_id": "who", "item_id": "film_no"}
    for side_tables in (
        {"items": items, "users": users},
        {"items": pd.read_csv(items), "users": pd.read_csv(users)},
    ):
        data = read(ratings, columns=columns, **side_tables)
        assert data.items["title"].to_list() == ["First", "Item 2"]
        assert data.users["age"].to_list() == [None, 30]
    with pytest.raises(InputError, match=r"No column for item_id among .* Name the columns with item_columns="):
        read(ratings, columns=columns, items=put(tmp_path, "number,title\n1,First\n", "other.csv"))
