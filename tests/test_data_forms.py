"""Tables in unusual forms: objects inside objects, blocks of lines, lines of sizes, quotes, rows of R, fixed widths."""

import json

import pandas as pd
import polars as pl
import pytest

from reelated import InputError, read, validate

pytestmark = pytest.mark.filterwarnings("ignore::reelated.errors.DataWarning")

ANN, BEN = [{"item": "Heat", "rating": 3}, {"item": "Up", "rating": 5}], [{"item": "Up", "rating": 4}]
ROWS = [("ann", "Heat", 3.0), ("ann", "Up", 5.0), ("ben", "Up", 4.0)]
NUMBERS = [(1, 10, 4.0), (1, 20, 2.0), (2, 20, 5.0)]


def rows(source, **options):
    return read(source, **options).ratings.to_polars().select("user_id", "item_id", "rating").rows()


def write(folder, text, name="table.txt"):
    path = folder / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


# ------------------------------------------------------------------------------------------- objects inside objects
@pytest.mark.parametrize(
    "content",
    [
        [{"user": "ann", "ratings": ANN}, {"user": "ben", "ratings": BEN}],
        [{"user": "ann", "n": 2, "ratings": {"Heat": 3, "Up": 5}}, {"user": "ben", "n": 1, "ratings": {"Up": 4}}],
        {"users": [{"id": "ann", "ratings": ANN}, {"id": "ben", "ratings": BEN}]},
        {"ann": ANN, "ben": BEN},
        {"ann": [["Heat", 3], ["Up", 5]], "ben": [["Up", 4]]},
        [{"movie": "Heat", "reviews": [{"user": "ann", "stars": 3}]},
         {"movie": "Up", "reviews": [{"user": "ann", "stars": 5}, {"user": "ben", "stars": 4}]}],
        {"ratings": {"a": {"user": "ann"} | ANN[0], "b": {"user": "ann"} | ANN[1], "c": {"user": "ben"} | BEN[0]}},
        {"hits": [{"_source": {"user": user, **row}} for user, rated in (("ann", ANN), ("ben", BEN)) for row in rated]},
        [{"user": {"id": user, "age": 7}, "item": {"id": row["item"], "n": 1}, "rating": row["rating"]}
         for user, rated in (("ann", ANN), ("ben", BEN)) for row in rated],
    ],
)  # fmt: skip
def test_objects_inside_objects_become_rows(tmp_path, content):
    assert rows(write(tmp_path, content, "a.json")) == ROWS
    assert validate(tmp_path / "a.json").usable


@pytest.mark.parametrize(
    "content",
    [
        {"ann": ["Heat", "Up"], "ben": ["Up"]},
        [{"user": "ann", "items": ["Heat", "Up"]}, {"user": "ben", "items": ["Up"]}],
    ],
)
def test_lists_of_items_are_events(tmp_path, content):
    data = read(write(tmp_path, content, "a.json"))
    assert data.ratings.to_polars().select("user_id", "item_id").rows() == [row[:2] for row in ROWS]
    assert data.ratings.declared == "implicit"


def test_lists_of_one_length_are_read_side_by_side(tmp_path):
    content = [{"user": 1, "items": [10, 20], "ratings": [4.0, 2.0]}, {"user": 2, "items": [20], "ratings": [5.0]}]
    path = write(tmp_path, content, "a.json")
    pl.DataFrame(content).write_parquet(tmp_path / "a.parquet")
    for source in (path, tmp_path / "a.parquet", pl.DataFrame(content), pd.DataFrame(content)):
        assert rows(source) == NUMBERS
        assert read(source).notes == ("read the lists in 'items' and 'ratings' side by side as 3 rows",)
    content[0]["ratings"].append(1.0)
    with pytest.raises(InputError, match="rating"):
        read(write(tmp_path, content, "a.json"))


def test_sessions_of_events_become_rows_with_their_times(tmp_path):
    sessions = [
        {"session": 7, "events": [{"aid": 1, "ts": 1661724000278, "type": "clicks"}]},
        {"session": 8, "events": [{"aid": 1, "ts": 1661724001000, "type": "carts"}, {"aid": 2, "ts": 1661724002000}]},
        {"session": 9, "events": []},
    ]
    path = write(tmp_path, "\n".join(map(json.dumps, sessions)), "train.jsonl")
    data = read(path)
    assert data.ratings.to_polars().select("user_id", "item_id", "timestamp").rows() == [
        (7, 1, 1661724000), (8, 1, 1661724001), (8, 2, 1661724002),
    ]  # fmt: skip
    assert "read the lists in 'events' as 3 rows; left out 1 object without any" in data.notes
    frame = pl.DataFrame(sessions, infer_schema_length=None)
    frame.write_parquet(tmp_path / "train.parquet")
    for source in (frame, frame.to_arrow(), tmp_path / "train.parquet", pd.DataFrame(sessions)):
        assert read(source).ratings.to_polars().equals(data.ratings.to_polars())


def test_titles_inside_of_objects_are_used(tmp_path):
    content = [{"user": {"id": 1, "name": "Ann"}, "item": {"id": 7, "title": "Alien (1979)"}, "rating": 5}] * 1
    content += [{"user": {"id": 2, "name": "Ben"}, "item": {"id": 8, "title": "Heat (1995)"}, "rating": 4}]
    for source in (write(tmp_path, content, "a.json"), pl.DataFrame(content)):
        assert read(source).items.select("item_id", "title", "year").rows() == [(7, "Alien", 1979), (8, "Heat", 1995)]


@pytest.mark.parametrize(
    "text",
    [
        '{"user":1,"item":10,"rating":4}{"user":1,"item":20,"rating":2} {"user":2,"item":20,"rating":5}',
        '{\n"user":1,\n"item":10,\n"rating":4}\n{\n"user":1,"item":20,"rating":2},\n{"user":2,"item":20,"rating":5}\n',
        '[{"user":1,"item":10,"rating":4},\n{"user":1,"item":20,"rating":2},\n{"user":2,"item":20,"rating":5},\n]\n',
        '\x1e{"user":1,"item":10,"rating":4}\n\x1e{"user":1,"item":20,"rating":2}\n\x1e{"user":2,"item":20,"rating":5}\n',
        "[1, 10, 4]\n[1, 20, 2]\n[2, 20, 5]\n",
        "\n".join(
            f'{{"user": {{"$numberInt": "{u}"}}, "item": {{"$numberLong": "{i}"}}, "rating": {r}, '
            f'"at": {{"$date": {{"$numberLong": "1"}}}}}}'
            for u, i, r in NUMBERS
        ),
    ],
)
def test_json_objects_are_read_however_they_follow_each_other(tmp_path, text):
    assert [(int(user), int(item), rating) for user, item, rating in rows(write(tmp_path, text, "a.json"))] == NUMBERS


def test_several_tables_in_a_json_object_are_no_lists_of_users(tmp_path):
    content = {"items": [{"id": 10, "title": "Up"}], "ratings": [{"user": 1, "item": 10, "rating": 4}]}
    assert rows(write(tmp_path, content, "a.json")) == [(1, 10, 4.0)]
    columns = {"who": [1, 1, 2], "what": [10, 20, 20], "mark": [4, 2, 5]}
    path = write(tmp_path, columns, "b.json")
    with pytest.raises(InputError, match="among the table's columns 'who', 'what', 'mark'"):
        read(path)
    assert rows(path, columns={"user_id": "who", "item_id": "what", "rating": "mark"}) == NUMBERS


# ------------------------------------------------------------------------------------------------------ forms of text
def test_blocks_of_lines_are_rows(tmp_path):
    text = "\n\n".join(
        f"product/productId: {item}\nreview/userId: {user}\nreview/profileName: Ann\nreview/score: {rating}\n"
        f"review/time: {1_300_000_000 + at}\nreview/text: One: two\tthree\nand more"
        for at, (user, item, rating) in enumerate(NUMBERS)
    )
    data = read(write(tmp_path, text))
    assert data.ratings.to_polars().select("user_id", "item_id", "rating", "timestamp").rows() == [
        (*row, 1_300_000_000 + at) for at, row in enumerate(NUMBERS)
    ]
    assert data.notes == ("read 3 blocks of lines such as 'product/productId: …' as rows",)


@pytest.mark.parametrize(
    ("head", "note"),
    [
        ("2 20 3\n", "skipped 1 line above the table, such as '2 20 3'"),
        ("%%MatrixMarket matrix coordinate real general\n% x\n2 20 3\n", "skipped 1 line above the table"),
        ("2 20\n", "skipped 1 line above the table, such as '2 20'"),
    ],
)
def test_a_line_of_sizes_is_no_rating(tmp_path, head, note):
    data = read(write(tmp_path, head + "1 10 4\n1 20 2\n2 20 5\n", "a.mtx"))
    assert data.ratings.to_polars().select("user_id", "item_id", "rating").rows() == NUMBERS
    assert any(each.startswith(note) for each in data.notes)


@pytest.mark.parametrize("first", ["1 20 3", "2 10 3", "2 20 4"])  # other users, other items, another number of rows
def test_a_first_line_that_is_no_size_is_a_rating(tmp_path, first):
    assert len(rows(write(tmp_path, f"{first}\n1 10 4\n2 30 2\n2 20 5\n"), duplicates="mean")) in (3, 4)


def test_the_first_row_below_column_names_is_no_size_line(tmp_path):
    assert len(rows(write(tmp_path, "user_id,item_id,rating\n2,10,3\n1,10,4\n1,9,2\n2,8,5\n"))) == 4


def test_a_dense_matrix_market_file_is_named(tmp_path):
    with pytest.raises(InputError, match="dense Matrix Market file"):
        read(write(tmp_path, "%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n4\n"))


@pytest.mark.parametrize("end", ["\n", " \r\n"])
def test_a_line_for_each_user_lists_the_items(tmp_path, end):
    data = read(write(tmp_path, "0 5 6 7\n3 5\n4\n20 7 6\n".replace("\n", end)))
    assert (len(data.ratings), data.ratings.feedback) == (6, "implicit")
    assert data.ratings.to_polars().select("user_id", "item_id").rows()[-3:] == [(3, 5), (20, 6), (20, 7)]
    assert "read each line as a user and a list of items: 6 rows; left out 1 user without any" in data.notes


def test_a_line_for_each_user_lists_items_with_ratings(tmp_path):
    path = write(tmp_path, "1 10:4 20:2.5\n2 20:5\nx\n1 30:1\n")
    with pytest.raises(InputError, match="line 3: no user and list of items: 'x'"):
        read(path)
    data = read(path, invalid="drop")
    rated = data.ratings.to_polars().select("user_id", "item_id", "rating").rows()
    assert rated == [(1, 10, 4), (1, 20, 2.5), (1, 30, 1), (2, 20, 5)]
    assert "dropped 1 bad line, the first is line 3: no user and list of items: 'x'" in data.notes


def test_ids_in_lists_fit_64_bits(tmp_path):
    head = "".join(f"{user} 1{' 2' * (user % 4)}\n" for user in range(40))
    with pytest.raises(InputError, match="line 41: no user and list of items"):
        read(write(tmp_path, f"{head}{'9' * 30} {'8' * 30}\n"))


def test_a_folder_of_two_lists_names_both(tmp_path):
    for name in ("train.txt", "test.txt"):
        (tmp_path / name).write_text("0 5 6 7\n1 5\n2 6 7\n")
    with pytest.raises(InputError, match=r"several tables \('test.txt', 'train.txt'\). Pass the one"):
        read(tmp_path)


@pytest.mark.parametrize("more", ["", "\t2000\t12:30:00"])
def test_blocks_with_a_line_for_each_user_are_read(tmp_path, more):
    text = f"1|2\n10\t4{more}\n20\t2{more}\n2|1\n20\t5{more}\n"
    assert rows(write(tmp_path, text)) == NUMBERS
    note = "read the layout of the KDD Cup 2011: 2 lines such as '1|2' name the user of the rows below"
    assert note in read(tmp_path / "table.txt").notes


def test_a_table_with_bars_is_no_block(tmp_path):
    data = read(write(tmp_path, "1|2\n10|4\n20|2\n"))
    assert len(data.ratings) == 3


@pytest.mark.parametrize(
    "text",
    [
        "user,items\n1,10 20 30\n2,10 20\n",
        "user,items\nann,milk|bread\nben,milk\nben,milk|bread|tea\n",
        'user,items\n1,"A, B"\n2,"A, B, C"\n',
        "user,items\n1,\"['A', 'B']\"\n2,\"['A', 'B', 'C']\"\n",
    ],
)
def test_lists_of_items_in_a_field_are_refused_with_the_code_that_splits_them(tmp_path, text):
    table = pl.read_csv(write(tmp_path, text))
    for source in (tmp_path / "table.txt", table):
        with pytest.raises(InputError, match="'items' lists several items in a field") as raised:
            read(source)
    code = str(raised.value).split("polars: ")[1].split(". If each")[0]
    data = eval(code, {"read": read, "table": table, "pl": pl})
    assert len(data.ratings.item_ids) == 3


def test_lists_of_users_in_a_field_are_refused(tmp_path):
    with pytest.raises(InputError, match="'user_id' lists several users in a field, such as 'AG3D,AHMY,AF2J'"):
        read(write(tmp_path, 'user_id,item_id,rating\n"AG3D,AHMY,AF2J",1,4\n"AG3D,AHCT",2,5\n'))


@pytest.mark.parametrize("users", [("Bo, Ann", "Bo, Ed, Jr."), ("auth0|5f3c", "ann"), ("Anna,Bella", "Anna")])
def test_names_and_ids_of_parts_are_no_lists_of_users(tmp_path, users):
    text = "".join(f'"{user}",{at},4\n' for at, user in enumerate((*users, users[0])))
    assert len(rows(write(tmp_path, f"user_id,item_id,rating\n{text}"))) == 3


FORM = """Timestamp,Email,Rate [Alien],Rate [Up],Rate [Heat],Rate [Jaws],Rate [Fargo]
2021/05/01 9:00:00 AM,a@b.c,4,5,3,,1
"""


def test_the_answers_to_a_form_are_a_matrix(tmp_path):
    path = write(tmp_path, FORM, "form.csv")
    with pytest.raises(InputError, match="layout='wide'"):
        read(path)
    assert rows(path, layout="wide")[0] == ("a@b.c", "Rate [Alien]", 4)
    assert "left out Timestamp: no item" in read(path, layout="wide").notes


@pytest.mark.parametrize(
    "items", ['"I, Robot"\n2,Up\n1,Blade Runner 2049', "12 34\n2,56 78", "a.b/c?x;y\n2,a.b/c?x;y;z", '"1,2"\n1,"3,4"']
)
def test_titles_and_ids_of_two_parts_are_no_lists(tmp_path, items):
    assert read(write(tmp_path, f"user,movie\n1,{items}\n")).ratings.feedback == "implicit"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_lines_of_unlike_length_that_repeat_users_are_refused(tmp_path):
    path = write(tmp_path, "5 5 6 7\n5 5\n2 6 7\n")
    with pytest.raises(InputError, match="lines of unlike length, '5 5 6 7'") as raised:
        read(path)
    code = str(raised.value).split("In Python: ")[-1].split("in Python: ")[1].removesuffix(".")
    code = code.replace("'table.txt'", repr(str(path)))
    assert len(rows(eval(code.removeprefix("read(").removesuffix(")")))) == 5  # one of the six is repeated


PRINTED = {
    "R": '"user" "item" "rating"\n"1" "ann" "The Heat" 3\n"2" "ann" "Up" 5\n"3" "ben" "Up" 4\n',
    "R, with tabs": "user\titem\trating\n1\tann\tThe Heat\t3\n2\tann\tUp\t5\n3\tben\tUp\t4\n",
    "pandas": "  user      item  rating\n0  ann  The Heat       3\n1  ann        Up       5\n2   ben   Up   4\n",
    "ends": "user,item,rating\nann,The Heat,3,\nann,Up,5,\nben,Up,4,\n",
    "spaces": "user   item      rating\nann    The Heat  3\nann    Up        5\nben    Up        4\n",
    "single": "'user','item','rating'\n'ann','The Heat','3'\n'ann','Up','5'\n'ben','Up','4'\n",
    "typographic": "“user”,“item”,“rating”\n“ann”,“The Heat”,“3”\n“ann”,“Up”,“5”\n“ben”,“Up”,“4”\n",
    "psql": " user | item | rating\n---+---+---\n ann | The Heat | 3\n ann | Up | 5\n ben | Up | 4\n(3 rows)\n",
    "ruled": "===  ====\nuser  item  rating\n===  ====\nann   The Heat  3\nann   Up  5\nben   Up  4\n===  ====\n",
}
NOTES = {
    "R": "as in tables that R writes",
    "R, with tabs": "as in tables that R writes",
    "pandas": "as in tables that R writes",
    "ends": "each row ends with a separator",
    "single": "read '…' as quotes",
    "typographic": "read “…” as quotes",
    "psql": "that rule the table",
    "ruled": "that rule the table",
}


@pytest.mark.parametrize("program", PRINTED)
def test_tables_as_other_programs_print_them_are_read(tmp_path, program):
    data = read(write(tmp_path, PRINTED[program]))
    expected = [("ann", "The Heat", 3.0), ("ann", "Up", 5.0), ("ben", "Up", 4.0)]
    assert data.ratings.to_polars().select("user_id", "item_id", "rating").rows() == expected
    assert any(NOTES.get(program, "") in note for note in (*data.notes, ""))


def test_a_separator_within_single_quotes_is_text_and_an_apostrophe_is_no_quote(tmp_path):
    quoted = write(tmp_path, "user,item,rating\n1,'Wall, E',5\n2,'It''s Up',3\n2,'Wall, E',4\n")
    assert rows(quoted) == [(1, "Wall, E", 5.0), (2, "It's Up", 3.0), (2, "Wall, E", 4.0)]
    plain = write(tmp_path, "user,item,rating\n1,'Tis a Pity,5\n2,Ocean's,3\n2,'Tis a Pity,4\n")
    assert rows(plain) == [(1, "'Tis a Pity", 5.0), (2, "'Tis a Pity", 4.0), (2, "Ocean's", 3.0)]


@pytest.mark.parametrize(
    ("start", "what"),
    [
        ("<stata_dta>", "read_stata"),
        ("$FL2", "read_spss"),
        ("INSERT INTO r", "a dump in SQL"),
        ("<table>", "a web page"),
    ],
)
def test_other_kinds_of_files_are_named(tmp_path, start, what):
    with pytest.raises(InputError, match=what):
        read(write(tmp_path, start + " x y\n1 2 3\n"))


def test_spaces_in_front_of_quotes_and_signs_of_formulas_are_no_content(tmp_path):
    text = 'user, item, rating\n1, "Wall, E", 4\n2, "Wall, E", 3\n'
    assert rows(write(tmp_path, text)) == [(1, "Wall, E", 4.0), (2, "Wall, E", 3.0)]
    formulas = write(tmp_path, 'user,isbn,rating\n1,"=""0155""",4\n2,"=""0345""",5\n')
    assert rows(formulas) == [(1, "0155", 4.0), (2, "0345", 5.0)]
    assert rows(write(tmp_path, "1\x0110\x014\n1\x0120\x012\n2\x0120\x015\n")) == NUMBERS  # of Hive


def test_a_first_column_without_a_name_counts_the_rows(tmp_path):
    with pytest.raises(InputError, match="4 fields where 3 are expected"):  # an unquoted comma in each row
        read(write(tmp_path, "user,item,rating\n7,Wall,E,4\n9,Wall,E,3\n"))


@pytest.mark.parametrize(
    "dates",
    [
        [
            "Sat May 01 2021 10:00:00 GMT+0200 (Central European Summer Time)",
            "Sun May 02 2021 10:00:00 GMT+0200 (CEST)",
        ],
        ["Reviewed in the United States on May 1, 2021 8:00", "Reviewed in Spain on May 2, 2021 8:00"],
        ["Posted May 1, 2021 8:00.", "Posted May 2, 2021 8:00."],
    ],
)
def test_dates_as_pages_show_them_are_read(dates):
    data = read({"user": [1, 2], "item": [1, 1], "rating": [3, 4], "date": dates})
    assert data.ratings.to_polars()["timestamp"].to_list() == [1619856000, 1619942400]


def test_the_folder_of_a_shop_without_one_table_of_both_names_the_join(tmp_path):
    for name, header in (
        ("orders", "order_id,user_id"),
        ("lines", "order_id,product_id"),
        ("products", "product_id,name"),
    ):
        write(tmp_path, f"{header}\n1,2\n3,4\n", f"{name}.csv")
    with pytest.raises(
        InputError, match=r"none has both users and items. .* read\(orders.join\(lines, on='order_id'\)\)"
    ):
        read(tmp_path)


def test_the_ratings_of_one_person_have_their_own_door(tmp_path):
    path = write(tmp_path, "Title,Author,My Rating\nDune,Frank Herbert,5\nEmma,Jane Austen,0\n")
    with pytest.raises(
        InputError, match=r"No column for user_id .* If all are of one person: reelated.data.read_own_ratings"
    ):
        read(path)


def test_columns_of_a_matrix_that_hold_times_are_no_items(tmp_path):
    text = (
        "Timestamp,Email Address,Alien,Heat,Up,Jaws\n2021/05/01 10:00:00,ann,5,3,,1\n2021/05/02 10:00:00,ben,4,,2,1\n"
    )
    data = read(write(tmp_path, text), layout="wide", columns={"user_id": "Email Address"})
    assert data.ratings.item_ids.values.to_list() == ["Alien", "Heat", "Jaws", "Up"]
    items = write(tmp_path, ",ann,ben\nAlien,5,\nHeat,,4\n")
    assert rows(items, layout="wide", columns={"item_id": 1}) == [("ann", "Alien", 5.0), ("ben", "Heat", 4.0)]
    assert any("such as item_id=1" in note for note in read(items, layout="wide").notes)


# --------------------------------------------------------------------------------------------------- files and frames
@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("user,item,price,shop\n1,10,4.5,a\n1,20,2,b\n2,20,5,a\n", "Not used: 'price', 'shop'"),
        ("user,item,opinion\n1,10,like\n1,20,dislike\n2,20,like\n", "Not used: 'opinion'"),
        ("user,item,rating\n ann ,10,4\n ann ,20,2\nben,20,5\n", "Removed the spaces around user_id"),
        ("user,item,rating\n1.0,10,4\n1.0,20,2\n2.0,20,5\n", "Read user_id as whole numbers, such as 1.0 as 1"),
        ("user,item,rating,timestamp\n1,10,4,1600000000000\n2,20,5,1600000002000\n", "Read timestamp as"),
        ("user,item,rating,rank\n1,10,4,1\n1,20,2,2\n2,20,5,1\n", "Took the column 'rank' for the order"),
        ("user,item,rating,title\n1,10,4,Alien (1979)\n1,20,2,\n2,20,5,\n", "Took title, year of the items"),
        ("user,item,event\n1,10,view\n1,20,buy\n2,20,view\n", "The types of events count 1 each"),
        ("user,item,rating,title\n1,10,4,\n1,20,2,\n2,20,5,\n", "1 item with one rating"),
    ],
)  # fmt: skip
def test_a_frame_gives_the_notes_and_the_result_of_its_file(tmp_path, text, note):
    path = write(tmp_path, text, "ratings.csv")
    pl.read_csv(path).write_parquet(tmp_path / "ratings.parquet")
    data, report = read(path), validate(path)
    assert any(note in issue.message for issue in report.issues)
    for source in (pl.read_csv(path), pd.read_csv(path), pl.read_csv(path).to_arrow(), tmp_path / "ratings.parquet"):
        again = read(source)
        assert again.ratings.to_polars().equals(data.ratings.to_polars())
        assert again.items.rows() == data.items.rows()
        assert (again.notes, again.verb) == (data.notes, data.verb)
        found = [(issue.code, issue.message, issue.count) for issue in validate(source).issues]
        assert found == [(issue.code, issue.message, issue.count) for issue in report.issues]


def test_a_list_of_rows_is_validated_like_a_frame():
    report = validate([("ann", 10, "good"), ("ann", 20, "bad")])
    assert not report.usable
    assert "2 rows of the table have a field that cannot be read" in str(report)


def test_null_among_whole_numbers_is_a_missing_id(tmp_path):
    path = write(tmp_path, "user,item,rating\n1,10,4\nNULL,10,3\n1,20,2\n2,20,5\n\\N,20,1\n")
    with pytest.raises(InputError, match="2 rows without a user"):
        read(path)
    assert rows(path, invalid="drop") == NUMBERS
