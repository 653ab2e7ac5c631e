"""Messages contain the value, the expectation and the remedy, with the argument's name as the caller wrote it."""

import pickle
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from reelated.cli.words import TERMINAL
from reelated.errors import (
    NO_VALUE,
    Advice,
    DataWarning,
    InputError,
    InputTypeError,
    TooLarge,
    UnknownId,
    check_choice,
    check_fits,
    check_integer,
    check_memory,
    check_number,
    plural,
    shorten,
    show_bytes,
)


def message(function, *arguments, **options):
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "also"), [(InputTypeError, TypeError), (UnknownId, LookupError), (TooLarge, MemoryError)]
)
def test_errors_are_input_errors_and_the_builtin_error_of_their_kind(kind, also):
    assert issubclass(kind, InputError)
    assert issubclass(kind, also)
    assert issubclass(InputError, ValueError)
    assert issubclass(DataWarning, UserWarning)


def test_short_values_are_shown_in_full():
    assert shorten("007") == "'007'"
    assert shorten(196) == "196"
    assert shorten("a" * 60) == repr("a" * 60)
    assert shorten("a" * 61) == repr("a" * 61)


@pytest.mark.parametrize("value", ["a" * 62, "a" * 10**6, "\n" * 40, list(range(100)), b"x" * 200, "é\\" * 40])
def test_long_values_are_truncated_with_an_ellipsis(value):
    shown = shorten(value)
    assert shown.endswith("…")
    assert len(shown) == 61
    assert shorten(value, 20).endswith("…")
    assert len(shorten(value, 20)) == 21


def test_multi_line_values_are_shown_on_one_line():
    assert shorten(np.array([[1, 2], [3, 4]])) == "array([[1, 2], [3, 4]])"
    assert shorten("two  spaces") == "'two  spaces'"


def test_counts_are_formatted_in_english():
    assert [plural(n, "rating") for n in (0, 1, 2, 1000)] == ["0 ratings", "1 rating", "2 ratings", "1,000 ratings"]


@pytest.mark.parametrize("value", [1, 7, np.int8(3), np.uint64(2**63), 10**30])
def test_integers_of_every_type_are_accepted(value):
    assert check_integer("n", value, 1) == value
    assert type(check_integer("n", value, 1)) is int


@pytest.mark.parametrize(
    "value", [0, -1, 1.0, "1", True, np.True_, None, float("nan"), Decimal(1), np.array([1, 2]), "x" * 10**6]
)
def test_anything_but_a_positive_integer_is_rejected_by_name(value):
    assert message(check_integer, "n", value, 1) == f"n={shorten(value)}: expected an integer of 1 or more."


def test_none_is_an_integer_only_where_it_is_allowed():
    assert check_integer("n", None, 1, none=True) is None
    assert message(check_integer, "n", 0, 1, none=True) == "n=0: expected an integer of 1 or more, or None."


@pytest.mark.parametrize("value", [0, 2.5, np.float32(0.5), np.int16(3), Fraction(1, 2)])
def test_numbers_of_every_type_become_floats(value):
    assert check_number("reg", value, 0) == float(value)
    assert type(check_number("reg", value, 0)) is float


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "1", None, True, 1j, [1], 10**400])
def test_anything_but_a_finite_number_is_rejected_by_name(value):
    assert message(check_number, "reg", value) == f"reg={shorten(value)}: expected a finite number."


def test_the_bounds_of_a_number_are_in_the_message():
    assert message(check_number, "reg", -1, 0) == "reg=-1: expected a finite number of 0 or more."
    assert message(check_number, "reg", 2, 0, 1.5) == "reg=2: expected a finite number from 0 to 1.5."
    assert check_number("reg", 1.5, 0, 1.5) == 1.5


def test_an_invalid_choice_lists_the_values_and_suggests_one():
    choices = ("cosine", "jaccard", None)
    assert check_choice("similarity", "cosine", choices) == "cosine"
    assert check_choice("similarity", None, choices) is None
    assert message(check_choice, "similarity", "cosin", choices) == (
        "similarity='cosin': expected one of 'cosine', 'jaccard', None. Did you mean 'cosine'?"
    )
    assert message(check_choice, "similarity", 3, choices).endswith("expected one of 'cosine', 'jaccard', None.")
    assert message(check_choice, "by", ["a"], choices).startswith("by=['a']: ")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [(None, None), (5, 5), (np.int64(7), 7), ("2GB", 2 * 10**9), ("1.5 gb", 15 * 10**8), ("500M", 5 * 10**8),
     ("10", 10), ("3B", 3), (" 4 KB ", 4000), ("1tb", 10**12)],
)  # fmt: skip
def test_sizes_are_parsed(value, wanted):
    assert check_memory("max_memory", value) == wanted


@pytest.mark.parametrize("value", ["2GiB", "lots", "", "-1GB", "GB", 0, -5, 1.5e9, True, [1], "1e9", "2 G B"])
def test_an_invalid_size_is_rejected_by_name(value):
    assert message(check_memory, "max_memory", value) == (
        f"max_memory={shorten(value)}: expected a size such as '2GB' or '500MB', or a number of bytes."
    )


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 KB"), (11_340_000, "11.3 MB"), (320e9, "320.0 GB"),
     (5e12, "5.0 TB"), (7e15, "7000.0 TB")],
)  # fmt: skip
def test_bytes_are_formatted_with_units(count, shown):
    assert show_bytes(count) == shown


def test_an_error_has_fields_and_survives_pickling():
    error = InputTypeError("expected a number.", parameter="ratings", value=(1, 2), key=50, remedy=Advice.NEW_USER)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(again), str(again), vars(again)) == (InputTypeError, str(error), vars(error))
    assert (error.parameter, error.value, error.expected) == ("ratings", (1, 2), "expected a number.")
    assert str(error) == f"ratings[50]=(1, 2): expected a number. {Advice.NEW_USER}"
    assert error.replace(value=0).value == 0
    assert pickle.loads(pickle.dumps(InputError("gone."))).value is NO_VALUE  # noqa: S301
    assert InputError("gone.", where="a.csv", remedy="Get it again.").render() == "a.csv: gone. Get it again."


@pytest.mark.parametrize(
    ("error", "typed"),
    [
        (InputError("no.", parameter="shrinkage", value=-1), "--set shrinkage=-1: no."),
        (InputError("no.", parameter="scale", value=(1.0, 5.0, 1.0)), "--scale 1.0,5.0,1.0: no."),
        (InputError("no.", parameter="item_id", value="x", where="exclude"), "--exclude 'x': no."),
        (InputError("no.", parameter="ratings", value=9, key="Fargo"), "--rate Fargo=9: no."),
        (InputError("no.", parameter="item_ids"), "--item: no."),
        (InputError("user_id=None is in row 5.", remedy="Get it."), "user_id=None is in row 5. Get it."),
        (InputError("no.", remedy=Advice.COSINE), "no. Use --set similarity=cosine."),
    ],
)
def test_the_terminal_writes_options(error, typed):
    assert error.render(TERMINAL) == typed


def test_the_terminal_has_a_text_for_every_advice():
    assert set(Advice) - set(TERMINAL.advice) == {Advice.LIST_RATINGS, Advice.ADDRESSES}  # only the API gives these


def test_only_more_memory_than_the_limit_is_refused():
    check_fits("9 items need", 10**9, None, "Raise it.")
    check_fits("9 items need", 10**9, "1GB", "Raise it.")
    told = message(check_fits, "9 items need", 10**9 + 1, "1GB", "Raise it.")
    assert told == "max_memory='1GB': 9 items need 1.0 GB. Raise it."
