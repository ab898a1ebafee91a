"""Tuning of expressions and texts."""

import pytest

from components.tuning import human, parse_value, plain, tunables, tune

EXPR = """sum by (cluster) (rate(x{a="1"}[5m])) * 100
> 80  # tune threshold percent
and on (cluster) y < 604800 # tune left seconds
"""


def test_marks_are_found() -> None:
    found = tunables(EXPR)
    assert {name: (mark.unit, mark.value) for name, mark in found.items()} == {
        "threshold": ("percent", 80.0),
        "left": ("seconds", 604800.0),
    }


def test_only_the_named_number_changes() -> None:
    assert tune(EXPR, {"threshold": 92.5}) == EXPR.replace("> 80", "> 92.5")
    assert tune(EXPR, {}) == EXPR


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        ("x > y # tune threshold percent", "no plain number"),
        ("x > 5 # tune threshold parsec", "unit parsec"),
        ("x > 5 # tune threshold", "cannot read the mark"),
        ("x > 5 # tune a count\ny > 6 # tune a count", "marks a twice"),
        ("rate(x[5m]) > y # tune a count", "no plain number"),
    ],
)
def test_bad_marks(expr: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tunables(expr)


@pytest.mark.parametrize(
    ("given", "unit", "value"),
    [
        ("85%", "percent", 85.0),
        ("25 %", "ratio", 0.25),
        ("1h30m", "seconds", 5400.0),
        ("14d", "days", 14.0),
        ("2Gi", "bytes", 2.0**31),
        ("85 °C", "celsius", 85.0),
        ("350W", "watt", 350.0),
        ("0.5/s", "per_second", 0.5),
        (5, "count", 5.0),
    ],
)
def test_values_with_their_unit(given: str | int, unit: str, value: float) -> None:
    assert parse_value(given, unit) == value


@pytest.mark.parametrize(
    ("given", "unit", "message"),
    [
        (85, "percent", "write for example 85%"),
        ("10m", "percent", "write for example 85%"),
        ("120%", "percent", "outside 0% to 100%"),
        (0.5, "ratio", "write for example 25%"),
        ("600", "seconds", "write for example 10m"),
        ("1073741824", "bytes", "write for example 2Gi"),
        ("80", "celsius", "write for example 85C"),
        ("5m", "count", "write for example 5"),
        ("1", "per_second", "write for example 0.5/s"),
    ],
)
def test_wrong_units(given: str | float, unit: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_value(given, unit)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (80, "percent", "80 %"),
        (0.255, "ratio", "25.5 %"),
        (604800, "seconds", "7d"),
        (5400, "seconds", "1h30m"),
        (0.5, "seconds", "0.5s"),
        (14, "days", "14d"),
        (2**30, "bytes", "1 GiB"),
        (80, "celsius", "80 °C"),
        (350, "watt", "350 W"),
        (0.2, "per_second", "0.2/s"),
        (5, "count", "5"),
    ],
)
def test_words_of_values(value: float, unit: str, text: str) -> None:
    assert human(value, unit) == text


def test_numbers_have_no_exponent() -> None:
    assert plain(1073741824.0) == "1073741824"
    assert plain(0.00001) == "0.00001"
