import pytest

from pipeline.base.errors import InputError, did_you_mean, first_line, one_of


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("men", "did you mean mean? Expected one of mean, last, first"),
        ("lst", "did you mean last? Expected one of mean, last, first"),
        ("zzz", "expected one of mean, last, first"),
        (None, "expected one of mean, last, first"),
    ],
)
def test_near_misses_come_before_all_names(value, expected):
    assert did_you_mean(value, ["mean", "last", "first"]) == expected


def test_no_names_at_all_are_said_to_be_none():
    assert did_you_mean("a", []) == "there are none to choose from"


def test_a_known_name_is_handed_back():
    assert one_of("last", {"mean": 1, "last": 2}, "pooling") == "last"


@pytest.mark.parametrize("value", ["lats", None, 3, ["last"], ("last",)])
def test_an_unknown_name_is_an_input_error_in_one_line(value):
    with pytest.raises(InputError) as error:
        one_of(value, ("mean", "last"), "pooling")
    assert str(error.value).startswith(f"pooling is {value!r}: ")
    assert str(error.value).lower().endswith("expected one of mean, last")
    assert "\n" not in str(error.value)


def test_an_input_error_is_a_value_error_that_users_can_catch():
    assert issubclass(InputError, ValueError)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("\n  one\ntwo"), "one"),
        (TimeoutError(), "TimeoutError"),
        (ValueError("  "), "ValueError"),
    ],
)
def test_the_first_line_of_an_error_is_its_type_where_it_says_nothing(error, expected):
    assert first_line(error) == expected
