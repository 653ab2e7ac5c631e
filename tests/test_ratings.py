"""Tables of any origin become ratings with their ids as they were, and nothing is lost unsaid."""

import datetime as dt
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from reelated.errors import DataWarning, InputError, InputTypeError, UnknownId
from reelated.ratings import NO_TIME, Dataset, Ids, Ratings, Scale
from reelated.ratings.frames import named, plain, read_ids
from reelated.ratings.ids import as_ids

THREE = {"user_id": [1, 1, 2], "item_id": [10, 20, 20], "rating": [4, 5, 3]}


def made(**changes):
    """Make a data set of three ratings with some columns exchanged or added."""
    return Dataset.from_frames(THREE | changes)


def refused(**changes):
    """Return the message with which such ratings are refused."""
    with pytest.raises(InputError) as caught:
        made(**changes)
    return str(caught.value)


def rows(data):
    return data.ratings.to_polars().rows()


def said(*frames, **options):
    """Make a data set and return it with the one warning that was given."""
    with pytest.warns(DataWarning) as caught:
        data = Dataset.from_frames(*frames, **options)
    (warning,) = caught
    assert warning.filename == __file__
    assert data.notes == (str(warning.message).removeprefix(f"{data.name}: "),)
    return data, data.notes[0]


# ------------------------------------------------------------------------------------------------------------- ids
@given(st.sets(st.integers(-(2**63), 2**63 - 1), min_size=1) | st.sets(st.text(max_size=4), min_size=1))
def test_every_id_has_the_number_of_its_place_and_comes_back_as_it_was(values):
    column = pl.Series(sorted(values) if isinstance(next(iter(values)), int) else list(values)).unique().sort()
    ids = Ids(column, "item")
    assert len(ids) == len(values)
    assert [ids.index_of(value) for value in ids] == list(range(len(ids)))
    assert set(ids) == values
    assert [ids[i] for i in range(len(ids))] == list(ids)
    assert ids.take(np.arange(len(ids))[::-1]).to_list() == list(ids)[::-1]
    assert ids.indices_of(column.reverse()).tolist() == list(range(len(ids)))[::-1]


def test_a_text_where_ids_are_integers_is_an_error_that_names_both_types():
    ids = Ids(pl.Series([50, 196, 242]), "user")
    with pytest.raises(InputTypeError) as caught:
        ids.index_of("196")
    assert str(caught.value) == (
        "user_id='196' is of type str: the user ids of this data are of type int. Did you mean 196?"
    )
    with pytest.raises(TypeError, match=r"'197' is of type str: the user ids of this data are of type int.$"):
        ids.index_of("197")


def test_an_integer_where_ids_are_text_is_an_error_that_names_both_types():
    ids = Ids(pl.Series(["007", "196"]), "item")
    with pytest.raises(InputTypeError) as caught:
        ids.index_of(196)
    assert str(caught.value) == (
        "item_id=196 is of type int: the item ids of this data are of type str. Did you mean '196'?"
    )
    with pytest.raises(InputTypeError, match=r"item_id=7 is of type int: .* of type str.$"):
        ids.index_of(7)


@pytest.mark.parametrize(
    "value", [1.0, None, True, np.True_, [1], b"1", float("nan"), "²", "1e3", "x" * 10**6, "-", "", Decimal(1)]
)
def test_an_id_of_another_type_is_refused_in_words_and_is_not_in_the_ids(value):
    ids = Ids(pl.Series([0, 1, 2]), "user")
    assert value not in ids
    with pytest.raises(InputTypeError, match=r"user_id=.* is of type \w+: the user ids of this data are of type int"):
        ids.index_of(value)


@pytest.mark.parametrize("value", [3, -1, 2**63, 10**400, np.int8(5)])
def test_an_unknown_id_says_so_with_the_number_of_those_there_are(value):
    ids = Ids(pl.Series([0, 1, 2]), "user")
    assert ids.find(value) is None
    with pytest.raises(UnknownId, match=r"user_id=.*: this user is not among the 3 users of the data"):
        ids.index_of(value)


@pytest.mark.parametrize("value", ["\ud800", "B", "", "a\0", "🎬" * 1000])
def test_an_unknown_text_of_any_kind_says_so(value):
    with pytest.raises(UnknownId):
        Ids(pl.Series(["a", "b", "é"]), "item").index_of(value)


def test_numbers_and_texts_of_numpy_are_ids_like_any_other():
    assert Ids(pl.Series([5, 7]), "user").index_of(np.int16(7)) == 1
    assert Ids(pl.Series(["a", "é"]), "user").index_of(np.str_("é")) == 1


def test_many_unknown_ids_are_minus_one():
    assert Ids(pl.Series([5, 7, 9]), "user").indices_of(pl.Series([9, 6, None, 5])).tolist() == [2, -1, -1, 0]


def test_ids_say_what_they_are():
    assert repr(Ids(pl.Series(["a"]), "item")) == "Ids(1 items, str)"


def test_zeros_in_front_stay_where_they_are():
    data = made(item_id=["007", "7", "7"])
    assert list(data.ratings.item_ids) == ["007", "7"]
    assert read_ids(pl.Series(["007", "7"])).to_list() == ["007", "7"]


@pytest.mark.parametrize("text", ["007", "+7", "7.0", " 7", "-0", "", "7a", str(2**63)])
def test_a_text_column_becomes_integer_only_if_every_value_stays_what_it_was(text):
    assert read_ids(pl.Series(["1", None, "-20"])).to_list() == [1, None, -20]
    assert read_ids(pl.Series(["1", text])).to_list() == ["1", text]
    assert read_ids(pl.Series([3, 4])).to_list() == [3, 4]


def test_whole_floats_are_integers_again():
    assert list(made(user_id=[1.0, 1.0, 2.0]).ratings.user_ids) == [1, 2]
    assert as_ids(pl.Series([1.0, None, float("nan")]), "user").to_list() == [1, None, None]


@pytest.mark.parametrize("kind", [pl.Int8, pl.UInt32, pl.UInt64, pl.Categorical, pl.String])
def test_ids_of_every_integer_and_text_type_are_taken(kind):
    source = pl.Series(["1", "2", "1"]).cast(kind)
    taken = as_ids(source, "user")
    assert taken.to_list() == [str(i) if kind in (pl.Categorical, pl.String) else i for i in (1, 2, 1)]
    assert taken.dtype in (pl.Int64, pl.String)


def test_fractions_are_no_ids():
    assert refused(user_id=[1.0, 1.5, 2.0]).startswith("user_id=1.5: ids are integers or text, not fractions. Is this")
    assert refused(item_id=[float("inf"), 1, 2]).startswith("item_id=inf: ids are integers or text")


@pytest.mark.parametrize(
    ("values", "kind"),
    [([True, True, False], "Boolean"), ([dt.date(2020, 1, 1)] * 3, "Date"), ([[1], [2], [3]], "List"),
     ([b"a", b"b", b"c"], "Binary"), ([Decimal("1.5")] * 3, "Decimal")],
)  # fmt: skip
def test_what_is_neither_integer_nor_text_is_no_id(values, kind):
    words = refused(item_id=values)
    assert words.startswith(f"item_id is a column of type {kind}")
    assert words.endswith("expected integers or text.")


@pytest.mark.parametrize("value", [2**63, 2**65, 1e20])
def test_integers_beyond_64_bits_are_refused(value):
    words = refused(user_id=[value, value, value])
    assert words == f"user_id={value}: ids go up to 2⁶³ − 1. Read this column as text."
    assert list(made(user_id=[2**63 - 1, 1, 2]).ratings.user_ids) == [1, 2, 2**63 - 1]


# ---------------------------------------------------------------------------------------------------------- frames
def forms():
    as_polars, as_pandas = pl.DataFrame(THREE), pd.DataFrame(THREE)
    return {
        "polars": as_polars,
        "lazy": as_polars.lazy(),
        "pandas": as_pandas,
        "pandas with an index of its own": as_pandas.set_index(pd.Index([7, 7, 7])),
        "pandas nullable": as_pandas.convert_dtypes(),
        "pandas object": as_pandas.astype(object),
        "arrow": pa.table(THREE),
        "lists": THREE,
        "arrays": {name: np.array(values) for name, values in THREE.items()},
        "columns of polars": {name: pl.Series(values) for name, values in THREE.items()},
        "columns of pandas": {name: pd.Series(values, index=[3, 1, 2]) for name, values in THREE.items()},
        "columns of arrow": {name: pa.array(values) for name, values in THREE.items()},
        "chunked columns of arrow": {
            name: pa.chunked_array([values[:1], values[1:]]) for name, values in THREE.items()
        },
        "ranges and tuples": {"user_id": (1, 1, 2), "item_id": [10, 20, 20], "rating": (4, 5.0, 3)},
    }


@pytest.mark.parametrize("form", forms())
def test_tables_of_every_form_give_the_same_ratings(form):
    data = Dataset.from_frames(forms()[form])
    assert rows(data) == [(1, 10, 4.0), (1, 20, 5.0), (2, 20, 3.0)]
    assert data.ratings.to_polars().schema == {"user_id": pl.Int64, "item_id": pl.Int64, "rating": pl.Float32}
    assert data.ratings.matrix.toarray().tolist() == [[4, 5], [0, 3]]
    assert data.notes == ()


def test_integers_and_fractions_may_stand_in_one_list_of_ratings():
    assert made(rating=[4, 4.5, 3]).ratings.matrix.data.tolist() == [4, 4.5, 3]


@pytest.mark.parametrize("values", [["u7", 196, None], np.array([196, "u7", 196], object)])
def test_a_column_that_mixes_types_is_refused_with_an_example_of_each(values):
    assert refused(user_id=values) == (
        "Column 'user_id' mixes types: 196 (int) and 'u7' (str). "
        "Make it one type, for example all integers or all text."
    )


def test_an_object_column_of_pandas_that_mixes_types_is_refused():
    frame = pd.DataFrame(THREE | {"user_id": pd.Series(["u7", 196, 196], dtype=object)})
    with pytest.raises(InputTypeError, match=r"Column 'user_id' mixes types: 196 \(int\) and 'u7' \(str\)"):
        Dataset.from_frames(frame)


@pytest.mark.parametrize("dtype", ["float64", "Int64", "object"])
def test_pandas_ids_that_a_missing_value_made_floats_are_integers_again(dtype):
    frame = pd.DataFrame(THREE | {"user_id": pd.Series([196, None, 7], dtype=dtype)})
    data, note = said(frame, invalid="drop")
    assert rows(data) == [(7, 20, 3.0), (196, 10, 4.0)]
    assert note.startswith("dropped 1 row without a user, an item or a finite rating, the first is row 2: user_id=None")


@pytest.mark.parametrize("dtype", ["str", "object", "category"])
def test_pandas_texts_with_a_missing_value_stay_texts(dtype):
    frame = pd.DataFrame(THREE | {"user_id": pd.Series(["007", None, "b"], dtype=dtype)})
    data, _ = said(frame, invalid="drop")
    assert list(data.ratings.user_ids) == ["007", "b"]


@pytest.mark.parametrize("thing", ["ratings.csv", 5, [(1, 2, 3)], np.ones((2, 3)), sp.csr_array((2, 3)), None])
def test_what_is_no_table_is_refused_with_the_way_to_read_files(thing):
    with pytest.raises(InputTypeError, match=r"ratings=.*expected a polars or pandas DataFrame.*reelated.read\(path\)"):
        Dataset.from_frames(thing)


def test_columns_of_different_lengths_are_refused_with_the_lengths():
    assert refused(rating=[1, 2]) == (
        "ratings has columns of different lengths: 'user_id' has 3, 'item_id' has 3, 'rating' has 2. "
        "Expected as many values in each."
    )


def test_two_columns_of_one_name_are_refused():
    frame = pd.DataFrame([[1, 10, 3, 4]], columns=["user", "item", "rating", "rating"])
    with pytest.raises(InputError, match="ratings has more than one column 'rating'"):
        Dataset.from_frames(frame)


@pytest.mark.parametrize(
    "names",
    [("userId", "movieId", "rating"), ("User-ID", "ISBN", "Book-Rating"), ("reviewerID", "asin", "overall"),
     ("USER", "Item_ID", "Stars"), ("customer_id", "product id", "score")],
)  # fmt: skip
def test_columns_are_known_by_their_common_names(names):
    table = dict(zip(names, THREE.values(), strict=True)) | {"extra": ["x", "y", "z"]}
    assert rows(Dataset.from_frames(table)) == [(1, 10, 4.0), (1, 20, 5.0), (2, 20, 3.0)]
    assert plain(" Movie_ID") == "movieid"


def test_our_own_name_wins_over_an_alias():
    table = {"item": [9, 9, 9], **THREE, "score": [0, 0, 0]}
    assert rows(Dataset.from_frames(table)) == [(1, 10, 4.0), (1, 20, 5.0), (2, 20, 3.0)]


def test_columns_are_named_by_option():
    table = {"who": [1, 1, 2], "what": [10, 20, 20], "user": [0, 0, 0], "how": [4, 5, 3]}
    columns = {"user_id": "who", "item_id": "what", "rating": "how"}
    assert rows(Dataset.from_frames(table, columns=columns)) == [(1, 10, 4.0), (1, 20, 5.0), (2, 20, 3.0)]


def test_a_table_without_ratings_counts_each_row_as_one():
    data = Dataset.from_frames({"user": [1, 2, 2], "item": [5, 5, 6], "rating": [9, 9, 9]}, columns={"rating": None})
    assert data.ratings.matrix.data.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"user": "user_id"}, "columns has the key 'user': expected 'user_id', 'item_id', 'rating', 'timestamp', "),
        ({"user_id": "who"}, "columns['user_id']='who': the table has no such column. Its columns: 'user_id', "),
        ({"user_id": None}, "No column for user_id among the table's columns 'user_id', 'item_id', 'rating'."),
    ],
)  # fmt: skip
def test_a_wrong_option_for_columns_is_refused(columns, words):
    with pytest.raises(InputError) as caught:
        Dataset.from_frames(THREE, columns=columns)
    assert words in str(caught.value)


def test_a_missing_column_is_named_with_those_that_are_there():
    with pytest.raises(InputError) as caught:
        Dataset.from_frames({"user": [1], "film title": ["a"]})
    assert str(caught.value) == (
        "No column for item_id and rating among the table's columns 'user', 'film title'. "
        "Name them: columns={'item_id': 'your column', 'rating': 'your column'}. "
        "For a table without ratings give columns={'rating': None}."
    )
    with pytest.raises(InputError, match="among the table's columns none"):
        named(pl.DataFrame(), {"user_id": ("user",)}, required=("user_id",))


@pytest.mark.parametrize(
    ("value", "shown"), [("five", "'five'"), (dt.date(2020, 1, 1), "datetime.date"), ({"a": 1}, "{'a'"), ([1], "")]
)
def test_a_rating_that_is_no_number_is_refused_with_its_row(value, shown):
    words = refused(rating=[value, value, value])
    assert words.startswith(f"rating={shown}")
    assert words.endswith("in row 1: expected a number (3 rows like it).")
    if shown == "'five'":
        assert refused(rating=["4", None, "five"]) == "rating='five' in row 3: expected a number (1 row like it)."


def test_ratings_written_as_text_or_decimals_are_numbers():
    assert made(rating=["4", "4.5", "3"]).ratings.matrix.data.tolist() == [4, 4.5, 3]
    assert made(rating=[Decimal("4.5")] * 3).ratings.matrix.data.tolist() == [4.5] * 3


# ----------------------------------------------------------------------------------------------------------- times
@pytest.mark.parametrize(
    "times",
    [[60, 0, 86400], [60.0, 0.0, 86400.0], ["60", "0", "86400"],
     ["1970-01-01 00:01:00", "1970-01-01 00:00:00", "1970-01-02 00:00:00"],
     [dt.datetime(1970, 1, 1, 0, 1), dt.datetime(1970, 1, 1), dt.datetime(1970, 1, 2)],
     pd.to_datetime(pd.Series([60, 0, 86400]), unit="s", utc=True)],
)  # fmt: skip
def test_times_of_every_form_are_seconds(times):
    assert made(timestamp=times).ratings.timestamps.tolist() == [60, 0, 86400]
    assert made(timestamp=times).ratings.timestamps.dtype == np.int64


def test_days_are_seconds_at_midnight():
    days = [dt.date(1970, 1, 1), dt.date(1970, 1, 2), None]
    assert made(date=days).ratings.timestamps.tolist() == [0, 86400, NO_TIME]
    assert made(date=["1970-01-01", "1970-01-02", "1970-01-03"]).ratings.timestamps.tolist() == [0, 86400, 172800]


def test_unknown_times_are_marked_and_come_back_as_null():
    data = made(timestamp=[5, None, float("nan")])
    assert data.ratings.timestamps.tolist() == [5, NO_TIME, NO_TIME]
    assert data.ratings.to_polars()["timestamp"].to_list() == [5, None, None]
    assert made(timestamp=[None, None, None]).ratings.timestamps is None
    assert made().ratings.timestamps is None


def test_a_time_that_cannot_be_read_is_refused():
    words = refused(timestamp=["soon", "later", "never"])
    assert words == "timestamp='soon': expected seconds since 1970 or a date such as '1998-04-01 12:30:00'."
    assert "column of type Time: expected dates" in refused(timestamp=[dt.time(1, 2)] * 3)


def test_the_order_of_a_history_is_kept_to_the_last_digit():
    order = [2**24 + 1, 2**24, 2**53]
    assert made(chrono_rank=order).ratings.order.tolist() == order
    assert made(order=[None, 2, 1]).ratings.order.tolist() == [-1, 2, 1]
    assert made().ratings.order is None


# ----------------------------------------------------------------------------------------------- invalid, repeated
@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf"), 1e39])
def test_a_row_without_a_finite_rating_is_refused_or_dropped_with_its_number(value):
    words = refused(rating=[4, value, value])
    assert words.startswith(
        "2 rows without a user, an item or a finite rating, the first is row 2: user_id=1, item_id=20"
    )
    assert words.endswith("Mend the data, or drop such rows with invalid='drop'.")
    data, note = said(THREE | {"rating": [4, value, value]}, invalid="drop")
    assert rows(data) == [(1, 10, 4.0)]
    assert note.startswith("dropped 2 rows without")


@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_a_row_without_an_id_is_refused_or_dropped_with_its_number(column):
    broken = THREE | {column: [None, *THREE[column][1:]]}
    with pytest.raises(InputError, match=f"1 row without .* the first is row 1: .*{column}=None"):
        Dataset.from_frames(broken)
    data, _ = said(broken, invalid="drop")
    assert len(data.ratings) == 2


def test_ratings_off_the_scale_are_refused_or_dropped_and_rows_keep_their_numbers():
    table = {"user": [None, 2, 3, 4], "item": [1, 2, 3, 4], "rating": [1, 2, 9, 3]}
    data, note = said(table, scale=(1, 5, 1), invalid="drop")
    assert note == (
        "dropped 1 row without a user, an item or a finite rating, the first is row 1: user_id=None, item_id=1, "
        "rating=1.0; dropped 1 row with a rating off the scale (1 to 5 in steps of 1), the first is row 3: user_id=3, "
        "item_id=3, rating=9.0"
    )
    assert rows(data) == [(2, 2, 2.0), (4, 4, 3.0)]
    with pytest.raises(InputError, match=r"1 row with a rating off the scale \(4 to 5 in steps of 0.5\), .* row 3"):
        Dataset.from_frames(THREE, scale=(4, 5, 0.5))


def test_a_row_with_two_faults_is_counted_once():
    _, note = said(THREE | {"rating": [4, float("inf"), 9]}, scale=(1, 5, 1), invalid="drop")
    assert note.count("dropped 1 row") == 2


def test_a_table_without_a_row_left_is_refused():
    assert refused(user_id=[], item_id=[], rating=[]).startswith(
        "ratings: no ratings. Expected a table with at least one"
    )
    with pytest.raises(InputError, match="mine: no ratings"):
        Dataset.from_frames(THREE | {"rating": [None] * 3}, invalid="drop", name="mine")


AGAIN = {"user": [1, 2, 1, 1], "item": [10, 10, 10, 20], "rating": [1, 5, 4, 3]}
STAMPS = {"timestamp": [9, 9, 3, 3]}


@pytest.mark.parametrize(
    ("policy", "more", "kept"),
    [("last", {}, 4), ("first", {}, 1), ("mean", {}, 2.5),
     ("last", STAMPS, 1), ("first", STAMPS, 4), ("mean", STAMPS, 2.5),
     ("last", {"order": [1, 1, 0, 0]}, 1), ("first", {"order": [1, 1, 0, 0]}, 4),
     ("last", {"timestamp": [None, 1, 1, 1]}, 4), ("last", {"timestamp": [5, 1, 5, 1]}, 4)],
)  # fmt: skip
def test_of_repeated_ratings_one_stays_by_time_or_else_by_row(policy, more, kept):
    data, note = said(AGAIN | more, duplicates=policy)
    assert data.ratings.matrix.toarray().tolist() == [[kept, 3], [5, 0]]
    assert note == (
        f"1 repeated rating of an item by the same user (for example user_id=1, item_id=10): kept the {policy}"
    )


def test_the_time_of_what_is_kept_is_kept_with_it():
    assert said(AGAIN | STAMPS, duplicates="last")[0].ratings.timestamps.tolist() == [9, 3, 9]
    assert said(AGAIN | STAMPS, duplicates="first")[0].ratings.timestamps.tolist() == [3, 3, 9]
    assert said(AGAIN | STAMPS, duplicates="mean")[0].ratings.timestamps.tolist() == [9, 3, 9]


def test_repeated_ratings_may_be_an_error():
    with pytest.raises(InputError) as caught:
        Dataset.from_frames(AGAIN, duplicates="error")
    assert str(caught.value) == (
        "1 repeated rating of an item by the same user, for example user_id=1, item_id=10. "
        "Choose duplicates='last', 'first' or 'mean'."
    )
    assert len(Dataset.from_frames(THREE, duplicates="error").ratings) == 3


def test_all_that_was_changed_is_counted_and_warned_of():
    table = {"user": [1, 1, 1, 2, None], "item": [5, 5, 5, 5, 5], "rating": [1, 2, 3, None, 5]}
    with pytest.warns(DataWarning) as caught:
        data = Dataset.from_frames(table, invalid="drop", name="mine")
    assert [str(one.message).split(",")[0].split(" (")[0] for one in caught] == [
        "mine: dropped 2 rows without a user",
        "mine: 2 repeated ratings of an item by the same user",
    ]
    assert len(data.notes) == 2


@pytest.mark.parametrize("wrong", [{"duplicates": "newest"}, {"invalid": "ignore"}, {"scale": (1, 5)}, {"scale": 5}])
def test_a_wrong_option_is_refused_by_its_name(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name}="):
        Dataset.from_frames(THREE, **wrong)


@pytest.mark.parametrize("scale", [(5, 1, 1), (1, 5, 0), (1, 5, 9), (1, 5, -1), (1, 1, 1), (1, float("inf"), 1), "abc"])
def test_an_impossible_scale_is_refused(scale):
    with pytest.raises(InputError, match="scale"):
        Dataset.from_frames(THREE, scale=scale)


# ----------------------------------------------------------------------------------------------------------- scale
@pytest.mark.parametrize(
    ("ratings", "scale", "shown"),
    [([1, 5, 2], (1, 5, 1), "1 to 5 in steps of 1"), ([0.5, 5, 4.5], (0.5, 5, 0.5), "0.5 to 5 in steps of 0.5"),
     ([0, 7.5, -10], (-10, 7.5, 7.5), "-10 to 7.5 in steps of 7.5"), ([3, 3, 3], (3, 3, 1), "3 to 3 in steps of 1")],
)  # fmt: skip
def test_without_a_scale_the_one_that_is_seen_is_taken(ratings, scale, shown):
    assert made(rating=ratings).ratings.scale == Scale(*scale)
    assert str(made(rating=ratings).ratings.scale) == shown


def test_a_scale_that_is_given_is_kept():
    assert Dataset.from_frames(THREE, scale=(0.5, 5, 0.5)).ratings.scale == Scale(0.5, 5.0, 0.5)
    assert len(Dataset.from_frames(THREE | {"rating": [0.7, 0.9, 0.8]}, scale=(0.7, 0.9, 0.1)).ratings) == 3


def test_a_zero_is_a_rating():
    ratings = made(rating=[0, 5, 0]).ratings
    assert len(ratings) == 3
    assert ratings.scale.low == 0
    assert ratings.row(0)[1].tolist() == [0, 5]
    assert ratings.to_polars()["rating"].to_list() == [0, 5, 0]


# ------------------------------------------------------------------------------------------------ items and users
def test_items_get_our_columns_and_a_row_for_each_that_is_rated_or_listed():
    items = {"itemId": [30, 20], "Title": ["C", None], "genre": ["Comedy|Drama|", ""], "Year": [1994.0, None],
              "imdb": ["0114709", None], "colour": ["red", "blue"]}  # fmt: skip
    data = Dataset.from_frames(THREE, items)
    assert data.items.rows(named=True) == [
        {"item_id": 10, "title": "Item 10", "year": None, "genres": [], "imdb_id": None},
        {"item_id": 20, "title": "Item 20", "year": None, "genres": [], "imdb_id": None},
        {"item_id": 30, "title": "C", "year": 1994, "genres": ["Comedy", "Drama"], "imdb_id": "0114709"},
    ]
    assert data.items.schema["year"] == pl.Int32
    assert len(data.ratings.item_ids) == 2


def test_items_and_users_are_known_by_their_ids_where_no_table_is_given():
    data = made()
    assert data.items.rows() == [(10, "Item 10", None, []), (20, "Item 20", None, [])]
    assert data.items.columns == ["item_id", "title", "year", "genres"]
    assert data.users.rows() == [(1,), (2,)]


def test_genres_may_be_lists():
    items = pd.DataFrame({"item_id": [10, 20], "title": ["A", "B"], "genres": [["Crime", "War"], None]})
    assert Dataset.from_frames(THREE, items).items["genres"].to_list() == [["Crime", "War"], []]


def test_users_get_our_columns_and_a_row_for_each():
    users = pl.DataFrame({"uid": [2, 9], "sex": ["F", "M"], "zip": ["01002", "T8H1N"], "job": ["writer", None]})
    data = Dataset.from_frames(THREE, users=users)
    assert data.users.columns == ["user_id", "gender", "occupation", "zip_code"]
    assert data.users.rows() == [(1, None, None, None), (2, "F", "writer", "01002"), (9, "M", None, "T8H1N")]


def test_ids_of_another_type_in_the_catalogue_are_refused_with_both_types():
    with pytest.raises(InputError) as caught:
        Dataset.from_frames(THREE, {"item_id": ["10"], "title": ["A"]})
    assert str(caught.value) == (
        "item_id is of type int in the ratings and of type str in the table of items: make them the same."
    )
    with pytest.raises(InputError, match="user_id is of type int in the ratings and of type str in the table of users"):
        Dataset.from_frames(THREE, users={"user_id": ["1"]})


def test_an_item_that_is_listed_twice_is_refused():
    with pytest.raises(InputError, match="item_id=20 stands more than once in the table of items"):
        Dataset.from_frames(THREE, {"item_id": [10, 20, 20], "title": ["A", "B", "C"]})


def test_tables_of_items_and_users_need_their_ids():
    with pytest.raises(InputError, match="No column for item_id among the table's columns 'title'"):
        Dataset.from_frames(THREE, {"title": ["A"]})
    with pytest.raises(InputTypeError, match=r"users='u\.user' of type str: expected"):
        Dataset.from_frames(THREE, users="u.user")


# --------------------------------------------------------------------------------------------------------- ratings
@st.composite
def ratings_tables(draw):
    """Draw a table of distinct ratings in any order, with text or integer ids and some of the times unknown."""
    ids = st.integers(-5, 9) | st.integers(-(2**63), 2**63 - 1) if draw(st.booleans()) else st.text(max_size=3)
    pairs = draw(st.lists(st.tuples(ids, st.integers(0, 8)), min_size=1, max_size=25, unique=True))
    n = len(pairs)
    table = {
        "user_id": [user for user, _ in pairs],
        "item_id": [item for _, item in pairs],
        "rating": draw(st.lists(st.sampled_from([-2.5, 0.0, 1.0, 4.5, 1e6]), min_size=n, max_size=n)),
    }
    if draw(st.booleans()):
        times = st.one_of(st.none(), st.integers(-(2**40), 2**40))
        table["timestamp"] = draw(st.lists(times, min_size=n, max_size=n))
    if draw(st.booleans()):
        table["order"] = draw(st.lists(st.integers(0, 2**50), min_size=n, max_size=n))
    return table


@given(ratings_tables())
def test_ratings_come_back_from_the_matrix_as_they_went_in(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ratings = Dataset.from_frames(table).ratings
    wanted = pl.DataFrame(table)
    if wanted["timestamp" if "timestamp" in table else "rating"].null_count() == len(wanted):
        wanted = wanted.drop("timestamp")
    wanted = wanted.sort("user_id", "item_id")
    found = ratings.to_polars()
    assert found.columns == wanted.columns
    assert found.rows() == wanted.rows()
    assert rows(Dataset.from_frames(found)) == found.rows()
    assert ratings.matrix.shape == (wanted["user_id"].n_unique(), wanted["item_id"].n_unique())
    assert ratings.matrix.has_canonical_format
    assert sp.csr_array((ratings.matrix.data, ratings.matrix.indices, ratings.matrix.indptr)).has_canonical_format


def test_a_row_of_ratings_is_one_persons():
    items, values = made().ratings.row(0)
    assert items.tolist() == [0, 1]
    assert values.tolist() == [4, 5]
    assert made().ratings.row(1)[0].tolist() == [1]


def test_ratings_say_what_they_are():
    data = Dataset.from_frames(THREE, name="mine")
    assert repr(data) == "mine: 3 ratings by 2 users of 2 items, 3 to 5 in steps of 1"
    assert repr(data.ratings) == "Ratings: 3 ratings by 2 users of 2 items, 3 to 5 in steps of 1"
    assert len(data.ratings) == 3
    assert data.ratings.density == 3 / 4


def test_a_matrix_that_does_not_fit_its_ids_is_refused():
    ids = Ids(pl.Series([1, 2]), "user"), Ids(pl.Series([5, 6, 7]), "item")
    with pytest.raises(InputError, match=r"matrix of shape \(3, 2\): expected 2 users × 3 items"):
        Ratings(*ids, sp.csr_array((3, 2), dtype=np.float32), Scale(1, 5, 1))


def test_data_sets_are_frozen_and_tags_make_a_new_one():
    data, tags = made(), pl.DataFrame({"user_id": [1], "item_id": [10], "tag": ["dark"]})
    tagged = data.with_tags(tags)
    assert data.tags is None
    assert tagged.tags is tags
    assert tagged.ratings is data.ratings
    with pytest.raises(AttributeError):
        data.name = "other"


def test_the_tables_that_came_in_are_not_changed():
    frame, listed = pd.DataFrame(AGAIN), {name: list(values) for name, values in AGAIN.items()}
    before = frame.copy(deep=True)
    said(frame)
    said(listed)
    pd.testing.assert_frame_equal(frame, before)
    assert listed == AGAIN


def test_an_observed_scale_is_that_of_the_ratings_as_they_were_given():
    frame = {"user": [1, 1, 1], "item": [1, 2, 3], "rating": [0.1, 0.3, 4.2]}
    assert Dataset.from_frames(frame).ratings.scale == (0.1, 4.2, 0.2)
