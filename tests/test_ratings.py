"""Tables of any library become ratings with unchanged ids, and every change is reported."""

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

import reelated
from reelated.errors import DataWarning, InputError, InputTypeError, UnknownId
from reelated.ratings import NO_TIME, Dataset, Ids, Ratings, Scale
from reelated.ratings.columns import named, plain
from reelated.ratings.frames import read_ids
from reelated.ratings.ids import as_ids

THREE = {"user_id": [1, 1, 2], "item_id": [10, 20, 20], "rating": [4, 5, 3]}


def dataset(**changes):
    """Build a data set of three ratings with some columns replaced or added."""
    return Dataset.from_frames(THREE | changes)


def error_message(**changes):
    """Return the message of the error that such ratings raise."""
    with pytest.raises(InputError) as caught:
        dataset(**changes)
    return str(caught.value)


def rows(data):
    return data.ratings.to_polars().rows()


def dataset_and_note(*frames, **options):
    """Build a data set; return it with its only warning."""
    with pytest.warns(DataWarning) as caught:
        data = Dataset.from_frames(*frames, **options)
    (warning,) = caught
    assert warning.filename == __file__
    assert data.notes == (str(warning.message).removeprefix(f"{data.name}: "),)
    return data, data.notes[0]


# ids
@given(st.sets(st.integers(-(2**63), 2**63 - 1), min_size=1) | st.sets(st.text(max_size=4), min_size=1))
def test_ids_map_to_their_positions_and_back(values):
    column = pl.Series(sorted(values) if isinstance(next(iter(values)), int) else list(values)).unique().sort()
    ids = Ids(column, "item")
    assert len(ids) == len(values)
    assert [ids.index_of(value) for value in ids] == list(range(len(ids)))
    assert set(ids) == values
    assert [ids[i] for i in range(len(ids))] == list(ids)
    assert ids.take(np.arange(len(ids))[::-1]).to_list() == list(ids)[::-1]
    assert ids.indices_of(column.reverse()).tolist() == list(range(len(ids)))[::-1]


def test_a_text_id_among_integer_ids_is_an_error_that_names_both_types():
    ids = Ids(pl.Series([50, 196, 242]), "user")
    with pytest.raises(InputTypeError) as caught:
        ids.index_of("196")
    assert str(caught.value) == ("user_id='196': the user ids of this data are of type int, not str. Did you mean 196?")
    with pytest.raises(TypeError, match=r"'197': the user ids of this data are of type int, not str.$"):
        ids.index_of("197")


def test_an_integer_id_among_text_ids_is_an_error_that_names_both_types():
    ids = Ids(pl.Series(["007", "196"]), "item")
    with pytest.raises(InputTypeError) as caught:
        ids.index_of(196)
    assert str(caught.value) == ("item_id=196: the item ids of this data are of type str, not int. Did you mean '196'?")
    with pytest.raises(InputTypeError, match=r"item_id=7: .* of type str, not int.$"):
        ids.index_of(7)


@pytest.mark.parametrize(
    "value", [1.0, None, True, np.True_, [1], b"1", float("nan"), "²", "1e3", "x" * 10**6, "-", "", Decimal(1)]
)
def test_an_id_of_another_type_is_an_input_error_and_not_contained(value):
    ids = Ids(pl.Series([0, 1, 2]), "user")
    assert value not in ids
    with pytest.raises(InputTypeError, match=r"user_id=.*: the user ids of this data are of type int, not \w+"):
        ids.index_of(value)


@pytest.mark.parametrize("value", [3, -1, 2**63, 10**400, np.int8(5)])
def test_an_unknown_id_is_an_error_with_the_number_of_known_ids(value):
    ids = Ids(pl.Series([0, 1, 2]), "user")
    assert ids.find(value) is None
    with pytest.raises(UnknownId, match=r"user_id=.*: this user is not among the 3 users of the data"):
        ids.index_of(value)


@pytest.mark.parametrize("value", ["\ud800", "B", "", "a\0", "🎬" * 1000])
def test_an_unknown_text_id_is_an_error(value):
    with pytest.raises(UnknownId):
        Ids(pl.Series(["a", "b", "é"]), "item").index_of(value)


def test_numpy_scalars_are_accepted_as_ids():
    assert Ids(pl.Series([5, 7]), "user").index_of(np.int16(7)) == 1
    assert Ids(pl.Series(["a", "é"]), "user").index_of(np.str_("é")) == 1


def test_indices_of_returns_minus_one_for_unknown_ids():
    assert Ids(pl.Series([5, 7, 9]), "user").indices_of(pl.Series([9, 6, None, 5])).tolist() == [2, -1, -1, 0]
    far = [9, 6, 5, 4, 10, -(2**63), 2**63 - 1]  # without a gap, and with one that is too wide for a table
    assert Ids(pl.Series([5, 7, 9]), "user").indices_of(pl.Series(far)).tolist() == [2, -1, 0, -1, -1, -1, -1]
    assert Ids(pl.Series([-(2**63), 9]), "user").indices_of(pl.Series(far)).tolist() == [1, -1, -1, -1, -1, 0, -1]


def test_the_repr_of_ids_shows_number_and_type():
    assert repr(Ids(pl.Series(["a"]), "item")) == "Ids(1 items, str)"


def test_leading_zeros_are_preserved():
    data = dataset(item_id=["007", "7", "7"])
    assert list(data.ratings.item_ids) == ["007", "7"]
    assert read_ids(pl.Series(["007", "7"])).to_list() == ["007", "7"]


@pytest.mark.parametrize("text", ["007", "+7", "7.0", " 7", "-0", "", "7a", str(2**63)])
def test_text_ids_become_integers_only_if_no_value_changes(text):
    assert read_ids(pl.Series(["1", None, "-20"])).to_list() == [1, None, -20]
    assert read_ids(pl.Series(["1", text])).to_list() == ["1", text]
    assert read_ids(pl.Series([3, 4])).to_list() == [3, 4]


def test_whole_floats_become_integers():
    assert list(dataset(user_id=[1.0, 1.0, 2.0]).ratings.user_ids) == [1, 2]
    assert as_ids(pl.Series([1.0, None, float("nan")]), "user").to_list() == [1, None, None]


@pytest.mark.parametrize("kind", [pl.Int8, pl.UInt32, pl.UInt64, pl.Categorical, pl.String])
def test_ids_of_every_integer_and_text_type_are_accepted(kind):
    source = pl.Series(["1", "2", "1"]).cast(kind)
    taken = as_ids(source, "user")
    assert taken.to_list() == [str(i) if kind in (pl.Categorical, pl.String) else i for i in (1, 2, 1)]
    assert taken.dtype in (pl.Int64, pl.String)


def test_fractions_are_rejected_as_ids():
    assert error_message(user_id=[1.0, 1.5, 2.0]).startswith(
        "user_id=1.5: ids are integers or text, not fractions. Is this"
    )
    assert error_message(item_id=[float("inf"), 1, 2]).startswith("item_id=inf: ids are integers or text")
    assert error_message(item_id=[Decimal("1.5")] * 3).startswith("item_id=1.5: ids are integers or text")


@pytest.mark.parametrize(
    ("values", "kind"),
    [([True, True, False], "Boolean"), ([dt.date(2020, 1, 1)] * 3, "Date"), ([[1], [2], [3]], "List"),
     ([b"a", b"b", b"c"], "Binary")],
)  # fmt: skip
def test_other_types_are_rejected_as_ids(values, kind):
    message = error_message(item_id=values)
    assert message.startswith(f"item_id is a column of type {kind}")
    assert message.endswith("expected integers or text.")


@pytest.mark.parametrize("value", [2**63, 2**65, 1e20])
def test_integers_beyond_64_bits_are_rejected(value):
    message = error_message(user_id=[value, value, value])
    assert message == f"user_id={value}: ids go up to 2⁶³ − 1. Read this column as text."
    assert list(dataset(user_id=[2**63 - 1, 1, 2]).ratings.user_ids) == [1, 2, 2**63 - 1]


# frames
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
def test_all_table_types_give_the_same_ratings(form):
    data = Dataset.from_frames(forms()[form])
    assert rows(data) == [(1, 10, 4.0), (1, 20, 5.0), (2, 20, 3.0)]
    assert data.ratings.to_polars().schema == {"user_id": pl.Int64, "item_id": pl.Int64, "rating": pl.Float32}
    assert data.ratings.matrix.toarray().tolist() == [[4, 5], [0, 3]]
    assert data.notes == ()


@pytest.mark.parametrize("empty", [[], (), np.zeros((0, 3)), {}])
def test_an_empty_table_of_any_type_is_an_error_that_says_so(empty):
    with pytest.raises(InputError, match="holds no rows"):
        reelated.read(empty)


@pytest.mark.parametrize("array", [np.array(5), np.zeros((2, 2, 2))])
def test_an_array_that_is_no_table_is_an_error(array):
    with pytest.raises(InputTypeError, match="expected a polars or pandas DataFrame"):
        reelated.read(array)


def test_a_list_of_ratings_may_mix_integers_and_floats():
    assert dataset(rating=[4, 4.5, 3]).ratings.matrix.data.tolist() == [4, 4.5, 3]


@pytest.mark.parametrize("values", [["u7", 196, None], np.array([196, "u7", 196], object)])
def test_a_column_of_mixed_types_is_an_error_with_examples(values):
    assert error_message(user_id=values) == (
        "Column 'user_id' mixes types: 196 (int) and 'u7' (str). "
        "Make it one type, for example all integers or all text."
    )


def test_a_pandas_object_column_of_mixed_types_is_an_error():
    frame = pd.DataFrame(THREE | {"user_id": pd.Series(["u7", 196, 196], dtype=object)})
    with pytest.raises(InputTypeError, match=r"Column 'user_id' mixes types: 196 \(int\) and 'u7' \(str\)"):
        Dataset.from_frames(frame)


@pytest.mark.parametrize("dtype", ["float64", "Int64", "object"])
def test_pandas_integer_ids_with_a_missing_value_become_integers(dtype):
    frame = pd.DataFrame(THREE | {"user_id": pd.Series([196, None, 7], dtype=dtype)})
    data, note = dataset_and_note(frame, invalid="drop")
    assert rows(data) == [(7, 20, 3.0), (196, 10, 4.0)]
    assert note.startswith("dropped 1 row without a user, an item or a finite rating, the first is row 2: user_id=None")


@pytest.mark.parametrize("dtype", ["str", "object", "category"])
def test_pandas_text_ids_with_a_missing_value_stay_text(dtype):
    frame = pd.DataFrame(THREE | {"user_id": pd.Series(["007", None, "b"], dtype=dtype)})
    data, _ = dataset_and_note(frame, invalid="drop")
    assert list(data.ratings.user_ids) == ["007", "b"]


@pytest.mark.parametrize("thing", ["ratings.csv", 5, [(1, 2, 3), (1, 2)], np.ones((2, 9)), None])
def test_other_objects_are_rejected_with_a_hint_to_read(thing):
    with pytest.raises(
        InputTypeError, match=r"ratings=.*expected a (polars or pandas DataFrame.*reelated.read\(path\)|list of dicts)"
    ):
        Dataset.from_frames(thing)


def test_columns_of_different_lengths_are_an_error():
    assert error_message(rating=[1, 2]) == (
        "ratings has columns of different lengths: 'user_id' has 3, 'item_id' has 3, 'rating' has 2. "
        "Expected as many values in each."
    )


def test_duplicate_column_names_are_an_error():
    frame = pd.DataFrame([[1, 10, 3, 4]], columns=["user", "item", "rating", "rating"])
    with pytest.raises(InputError, match="ratings has more than one column 'rating'"):
        Dataset.from_frames(frame)


@pytest.mark.parametrize(
    "names",
    [("userId", "movieId", "rating"), ("User-ID", "ISBN", "Book-Rating"), ("reviewerID", "asin", "overall"),
     ("USER", "Item_ID", "Stars"), ("customer_id", "product id", "score")],
)  # fmt: skip
def test_columns_are_found_by_common_names(names):
    table = dict(zip(names, THREE.values(), strict=True)) | {"extra": ["x", "y", "z"]}
    assert rows(Dataset.from_frames(table)) == [(1, 10, 4.0), (1, 20, 5.0), (2, 20, 3.0)]
    assert plain(" Movie_ID") == "movieid"


def test_the_own_name_has_precedence_over_an_alias():
    table = {"item": [9, 9, 9], **THREE, "score": [0, 0, 0]}
    assert rows(Dataset.from_frames(table)) == [(1, 10, 4.0), (1, 20, 5.0), (2, 20, 3.0)]


def test_columns_are_named_by_option():
    table = {"who": [1, 1, 2], "what": [10, 20, 20], "user": [0, 0, 0], "how": [4, 5, 3]}
    columns = {"user_id": "who", "item_id": "what", "rating": "how"}
    assert rows(Dataset.from_frames(table, columns=columns)) == [(1, 10, 4.0), (1, 20, 5.0), (2, 20, 3.0)]


def test_every_row_of_a_table_without_ratings_gets_the_rating_one():
    data = Dataset.from_frames({"user": [1, 2, 2], "item": [5, 5, 6], "rating": [9, 9, 9]}, columns={"rating": None})
    assert data.ratings.matrix.data.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user": "user_id"}, "columns['user']='user_id': no such column in Reelated: expected one of 'user_id', "),
        ({"user_id": "who"}, "columns['user_id']='who': the table has no such column. Its columns: 'user_id', "),
        ({"user_id": None}, "No column for user_id among the table's columns 'user_id', 'item_id', 'rating'."),
    ],
)  # fmt: skip
def test_an_invalid_columns_option_is_an_error(columns, message):
    with pytest.raises(InputError) as caught:
        Dataset.from_frames(THREE, columns=columns)
    assert message in str(caught.value)


def test_a_missing_column_is_an_error_that_lists_the_columns():
    with pytest.raises(InputError) as caught:
        Dataset.from_frames({"user": [1], "the film": ["a"]})
    assert str(caught.value) == (
        "No column for item_id and rating among the table's columns 'user', 'the film'. "
        "Did you mean 'the film' for item_id? "
        "Name the columns with columns={'user_id': …, 'item_id': …, 'rating': …}; "
        "'rating': None if there are no ratings."
    )
    with pytest.raises(InputError, match="among the table's columns none"):
        named(pl.DataFrame(), {"user_id": ("user",)}, required=("user_id",))


@pytest.mark.parametrize(("value", "kind"), [(dt.date(2020, 1, 1), "Date"), ({"a": 1}, "Struct"), ([1], "List")])
def test_a_column_of_ratings_without_numbers_is_an_error_with_its_type(value, kind):
    assert error_message(rating=[value, value, value]).startswith(f"rating is a column of type {kind}")


def test_a_rating_that_is_not_a_number_is_an_error_with_its_row():
    start = "rating='five' in row 3: expected a finite number (1 row like it). Correct the data"
    assert error_message(rating=["4", None, "five"]).startswith(start)


def test_ratings_may_be_text_or_decimals():
    assert dataset(rating=["4", "4.5", "3"]).ratings.matrix.data.tolist() == [4, 4.5, 3]
    assert dataset(rating=[Decimal("4.5")] * 3).ratings.matrix.data.tolist() == [4.5] * 3


# times
@pytest.mark.parametrize(
    "times",
    [[60, 0, 86400], [60.0, 0.0, 86400.0], ["60", "0", "86400"],
     ["1970-01-01 00:01:00", "1970-01-01 00:00:00", "1970-01-02 00:00:00"],
     [dt.datetime(1970, 1, 1, 0, 1), dt.datetime(1970, 1, 1), dt.datetime(1970, 1, 2)],
     pd.to_datetime(pd.Series([60, 0, 86400]), unit="s", utc=True)],
)  # fmt: skip
def test_times_of_every_type_become_seconds(times):
    assert dataset(timestamp=times).ratings.timestamps.tolist() == [60, 0, 86400]
    assert dataset(timestamp=times).ratings.timestamps.dtype == np.int64


def test_dates_become_seconds_at_midnight():
    days = [dt.date(1970, 1, 1), dt.date(1970, 1, 2), None]
    assert dataset(date=days).ratings.timestamps.tolist() == [0, 86400, NO_TIME]
    assert dataset(date=["1970-01-01", "1970-01-02", "1970-01-03"]).ratings.timestamps.tolist() == [0, 86400, 172800]


def test_unknown_times_are_stored_as_no_time_and_returned_as_null():
    data = dataset(timestamp=[5, None, float("nan")])
    assert data.ratings.timestamps.tolist() == [5, NO_TIME, NO_TIME]
    assert data.ratings.to_polars()["timestamp"].to_list() == [5, None, None]
    assert dataset(timestamp=[None, None, None]).ratings.timestamps is None
    assert dataset().ratings.timestamps is None


def test_an_unreadable_time_is_an_error():
    message = error_message(timestamp=["soon", "later", "never"])
    start = "timestamp='soon' in row 1: expected seconds since 1970 or a date such as '1998-04-01 12:30:00' (3 rows"
    assert message.startswith(start)
    assert "columns={'timestamp': None}" in message
    assert "column of type Time: expected dates" in error_message(timestamp=[dt.time(1, 2)] * 3)


def test_the_order_is_exact_for_large_integers():
    order = [2**24 + 1, 2**24, 2**53]
    assert dataset(chrono_rank=order).ratings.order.tolist() == order
    assert dataset(order=[None, 2, 1]).ratings.order.tolist() == [-1, 2, 1]
    assert dataset().ratings.order is None


# invalid, repeated
@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf"), 1e39])
def test_a_row_without_a_finite_rating_is_an_error_or_dropped(value):
    message = error_message(rating=[4, value, value])
    assert message.startswith(
        "2 rows without a user, an item or a finite rating, the first is row 2: user_id=1, item_id=20"
    )
    assert message.endswith("Correct the data, or drop such rows with invalid='drop'.")
    data, note = dataset_and_note(THREE | {"rating": [4, value, value]}, invalid="drop")
    assert rows(data) == [(1, 10, 4.0)]
    assert note.startswith("dropped 2 rows without")


@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_a_row_without_an_id_is_an_error_or_dropped(column):
    broken = THREE | {column: [None, *THREE[column][1:]]}
    with pytest.raises(InputError, match=f"1 row without .* the first is row 1: .*{column}=None"):
        Dataset.from_frames(broken)
    data, _ = dataset_and_note(broken, invalid="drop")
    assert len(data.ratings) == 2


def test_ratings_off_the_scale_are_an_error_or_dropped_with_their_row_numbers():
    table = {"user": [None, 2, 3, 4], "item": [1, 2, 3, 4], "rating": [1, 2, 9, 3]}
    data, note = dataset_and_note(table, scale=(1, 5, 1), invalid="drop")
    assert note == (
        "dropped 1 row without a user, an item or a finite rating, the first is row 1: user_id=None, item_id=1, "
        "rating=1.0; dropped 1 row with a rating outside the scale (1 to 5 in steps of 1), the first is row 3: "
        "user_id=3, item_id=3, rating=9.0"
    )
    assert rows(data) == [(2, 2, 2.0), (4, 4, 3.0)]
    with pytest.raises(InputError, match=r"1 row with a rating outside the scale \(4 to 5 in steps of 0.5\), .* row 3"):
        Dataset.from_frames(THREE, scale=(4, 5, 0.5))


def test_a_row_with_two_faults_is_counted_once():
    _, note = dataset_and_note(THREE | {"rating": [4, float("inf"), 9]}, scale=(1, 5, 1), invalid="drop")
    assert note.count("dropped 1 row") == 2


def test_a_table_without_valid_rows_is_an_error():
    assert error_message(user_id=[], item_id=[], rating=[]).startswith(
        "ratings: no ratings. Expected a table with at least one"
    )
    with pytest.raises(InputError, match="mine: no ratings"):
        Dataset.from_frames(THREE | {"rating": [None] * 3}, invalid="drop", name="mine")


REPEATED = {"user": [1, 2, 1, 1], "item": [10, 10, 10, 20], "rating": [1, 5, 4, 3]}
STAMPS = {"timestamp": [9, 9, 3, 3]}


@pytest.mark.parametrize(
    ("policy", "times", "rating"),
    [("last", {}, 4), ("first", {}, 1), ("mean", {}, 2.5),
     ("last", STAMPS, 1), ("first", STAMPS, 4), ("mean", STAMPS, 2.5),
     ("last", {"order": [1, 1, 0, 0]}, 1), ("first", {"order": [1, 1, 0, 0]}, 4),
     ("last", {"timestamp": [None, 1, 1, 1]}, 4), ("last", {"timestamp": [5, 1, 5, 1]}, 4)],
)  # fmt: skip
def test_repeated_ratings_are_resolved_by_time_or_else_by_row(policy, times, rating):
    data, note = dataset_and_note(REPEATED | times, duplicates=policy)
    assert data.ratings.matrix.toarray().tolist() == [[rating, 3], [5, 0]]
    assert note == (
        f"1 repeated rating of an item by the same user (for example user_id=1, item_id=10): kept the {policy}"
    )


def test_a_resolved_rating_keeps_its_time():
    assert dataset_and_note(REPEATED | STAMPS, duplicates="last")[0].ratings.timestamps.tolist() == [9, 3, 9]
    assert dataset_and_note(REPEATED | STAMPS, duplicates="first")[0].ratings.timestamps.tolist() == [3, 3, 9]
    assert dataset_and_note(REPEATED | STAMPS, duplicates="mean")[0].ratings.timestamps.tolist() == [9, 3, 9]


def test_repeated_ratings_may_be_an_error():
    with pytest.raises(InputError) as caught:
        Dataset.from_frames(REPEATED, duplicates="error")
    assert str(caught.value) == (
        "1 repeated rating of an item by the same user, for example user_id=1, item_id=10. "
        "Choose duplicates='last', 'first' or 'mean'."
    )
    assert len(Dataset.from_frames(THREE, duplicates="error").ratings) == 3


def test_every_change_is_counted_in_a_warning():
    table = {"user": [1, 1, 1, 2, None], "item": [5, 5, 5, 5, 5], "rating": [1, 2, 3, None, 5]}
    with pytest.warns(DataWarning) as caught:
        data = Dataset.from_frames(table, invalid="drop", name="mine")
    assert [str(warning.message).split(",")[0].split(" (")[0] for warning in caught] == [
        "mine: dropped 2 rows without a user",
        "mine: 2 repeated ratings of an item by the same user",
    ]
    assert len(data.notes) == 2


@pytest.mark.parametrize("wrong", [{"duplicates": "newest"}, {"invalid": "ignore"}, {"scale": (1, 5)}, {"scale": 5}])
def test_an_invalid_option_is_an_error_with_its_name(wrong):
    (name,) = wrong
    with pytest.raises(InputError, match=f"{name}="):
        Dataset.from_frames(THREE, **wrong)


@pytest.mark.parametrize("scale", [(5, 1, 1), (1, 5, 0), (1, 5, 9), (1, 5, -1), (1, 1, 1), (1, float("inf"), 1), "abc"])
def test_an_invalid_scale_is_an_error(scale):
    with pytest.raises(InputError, match="scale"):
        Dataset.from_frames(THREE, scale=scale)


# scale
@pytest.mark.parametrize(
    ("ratings", "scale", "shown"),
    [([1, 5, 2], (1, 5, 1), "1 to 5 in steps of 1"), ([0.5, 5, 4.5], (0.5, 5, 0.5), "0.5 to 5 in steps of 0.5"),
     ([0, 7.5, -10], (-10, 7.5, 7.5), "-10 to 7.5 in steps of 7.5"), ([3, 3, 3], (3, 3, 1), "3 to 3 in steps of 1")],
)  # fmt: skip
def test_the_default_scale_is_the_observed_one(ratings, scale, shown):
    assert dataset(rating=ratings).ratings.scale == Scale(*scale)
    assert str(dataset(rating=ratings).ratings.scale) == shown


def test_a_given_scale_is_used():
    assert Dataset.from_frames(THREE, scale=(0.5, 5, 0.5)).ratings.scale == Scale(0.5, 5.0, 0.5)
    assert len(Dataset.from_frames(THREE | {"rating": [0.7, 0.9, 0.8]}, scale=(0.7, 0.9, 0.1)).ratings) == 3


def test_a_zero_is_a_rating():
    ratings = dataset(rating=[0, 5, 0]).ratings
    assert len(ratings) == 3
    assert ratings.scale.low == 0
    assert ratings.row(0)[1].tolist() == [0, 5]
    assert ratings.to_polars()["rating"].to_list() == [0, 5, 0]


# items and users
def test_the_item_table_has_a_row_for_every_rated_or_listed_item():
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


def test_without_tables_items_and_users_have_default_rows():
    data = dataset()
    assert data.items.rows() == [(10, "Item 10", None, []), (20, "Item 20", None, [])]
    assert data.items.columns == ["item_id", "title", "year", "genres"]
    assert data.users.rows() == [(1,), (2,)]


def test_genres_may_be_lists():
    items = pd.DataFrame({"item_id": [10, 20], "title": ["A", "B"], "genres": [["Crime", "War"], None]})
    assert Dataset.from_frames(THREE, items).items["genres"].to_list() == [["Crime", "War"], []]


def test_the_user_table_has_a_row_for_every_user():
    users = pl.DataFrame({"uid": [2, 9], "sex": ["F", "M"], "zip": ["01002", "T8H1N"], "job": ["writer", None]})
    data = Dataset.from_frames(THREE, users=users)
    assert data.users.columns == ["user_id", "gender", "occupation", "zip_code"]
    assert data.users.rows() == [(1, None, None, None), (2, "F", "writer", "01002"), (9, "M", None, "T8H1N")]


def test_ids_of_another_type_in_a_side_table_are_an_error():
    with pytest.raises(InputError) as caught:
        Dataset.from_frames(THREE, {"item_id": ["10"], "title": ["A"]})
    assert str(caught.value) == (
        "item_id is of type int in the ratings and of type str in the table of items: make them the same."
    )
    with pytest.raises(InputError, match="user_id is of type int in the ratings and of type str in the table of users"):
        Dataset.from_frames(THREE, users={"user_id": ["1"]})


def test_a_duplicate_item_is_an_error():
    with pytest.raises(InputError, match="item_id=20 occurs more than once in the table of items"):
        Dataset.from_frames(THREE, {"item_id": [10, 20, 20], "title": ["A", "B", "C"]})


def test_tables_of_items_and_users_need_an_id_column():
    with pytest.raises(InputError, match="No column for item_id among the table's columns 'title'"):
        Dataset.from_frames(THREE, {"title": ["A"]})
    with pytest.raises(InputTypeError, match=r"users='u\.user': expected .* not str"):
        Dataset.from_frames(THREE, users="u.user")


# ratings
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
        # years, dates such as 20200131 and milliseconds are no seconds
        times = st.one_of(st.none(), st.integers(-(2**40), 1899), st.integers(10**8, 10**11 - 1))
        table["timestamp"] = draw(st.lists(times, min_size=n, max_size=n))
    if draw(st.booleans()):
        table["order"] = draw(st.lists(st.integers(0, 2**50), min_size=n, max_size=n))
    return table


@given(ratings_tables())
def test_ratings_survive_the_round_trip_through_the_matrix(table):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ratings = Dataset.from_frames(table).ratings
    expected = pl.DataFrame(table)
    if expected["timestamp" if "timestamp" in table else "rating"].null_count() == len(expected):
        expected = expected.drop("timestamp")
    expected = expected.sort("user_id", "item_id")
    result = ratings.to_polars()
    assert result.columns == expected.columns
    assert result.rows() == expected.rows()
    assert rows(Dataset.from_frames(result)) == result.rows()
    assert ratings.matrix.shape == (expected["user_id"].n_unique(), expected["item_id"].n_unique())
    assert ratings.matrix.has_canonical_format
    assert sp.csr_array((ratings.matrix.data, ratings.matrix.indices, ratings.matrix.indptr)).has_canonical_format


def test_a_row_holds_the_ratings_of_one_user():
    items, values = dataset().ratings.row(0)
    assert items.tolist() == [0, 1]
    assert values.tolist() == [4, 5]
    assert dataset().ratings.row(1)[0].tolist() == [1]


def test_the_repr_shows_size_and_scale():
    data = Dataset.from_frames(THREE, name="mine")
    assert repr(data) == "mine: 3 ratings by 2 users of 2 items, 3 to 5 in steps of 1"
    assert repr(data.ratings) == "Ratings: 3 ratings by 2 users of 2 items, 3 to 5 in steps of 1"
    assert len(data.ratings) == 3
    assert data.ratings.density == 3 / 4


def test_a_matrix_that_does_not_fit_its_ids_is_an_error():
    ids = Ids(pl.Series([1, 2]), "user"), Ids(pl.Series([5, 6, 7]), "item")
    with pytest.raises(InputError, match=r"matrix of shape \(3, 2\): expected 2 users × 3 items"):
        Ratings(*ids, sp.csr_array((3, 2), dtype=np.float32), Scale(1, 5, 1))


def test_data_sets_are_frozen():
    data = dataset()
    with pytest.raises(AttributeError):
        data.name = "other"


def test_input_tables_are_not_modified():
    frame, listed = pd.DataFrame(REPEATED), {name: list(values) for name, values in REPEATED.items()}
    before = frame.copy(deep=True)
    dataset_and_note(frame)
    dataset_and_note(listed)
    pd.testing.assert_frame_equal(frame, before)
    assert listed == REPEATED


def test_the_observed_scale_is_exact_for_decimal_ratings():
    frame = {"user": [1, 1, 1], "item": [1, 2, 3], "rating": [0.1, 0.3, 4.2]}
    assert Dataset.from_frames(frame).ratings.scale == (0.1, 4.2, 0.2)
