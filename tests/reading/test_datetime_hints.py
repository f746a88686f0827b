"""What is told of datetimes that cannot be read: values written by hand, as shops and programs export them."""

import re
from datetime import UTC, datetime

import pandas as pd
import pytest

from boomerang.base.datetime_settings import Reading
from boomerang.reading.datetime_hints import (
    CLOCK_FORMS,
    COMPACT_FORMS,
    DATE_FORMS,
    ROWS_LOOKED_AT,
    WEEKDAY_FORMS,
    find_telling,
    hint_at_form,
)
from boomerang.reading.datetimes import parse_datetimes


def read(value, pattern=None):
    """The local time of one value, in UTC where it has an offset; None where it is not read."""
    # A pattern that is hinted at must be allowed as a setting, too.
    zone = "UTC" if pattern is None or "%z" in pattern else None
    if pattern is not None:
        assert Reading(datetime_format=pattern, timezone=zone)
    times, _ = parse_datetimes("a.csv", pd.Series([value]), [], pattern, zone)
    return None if pd.isna(times.local[0]) else times.local.astype("M8[us]")[0].isoformat()


# The value, and for each pattern that the hint must name the time that it reads; no other may be named.
READABLE = {
    "03/04/2024": {"%d/%m/%Y": "2024-04-03T00:00:00", "%m/%d/%Y": "2024-03-04T00:00:00"},
    "13/04/2024 10:00": {"%d/%m/%Y %H:%M": "2024-04-13T10:00:00"},
    "1/15/2024 9:05 PM": {"%m/%d/%Y %I:%M %p": "2024-01-15T21:05:00"},
    "1/15/2024 9:05\u202fPM": {"%m/%d/%Y %I:%M %p": "2024-01-15T21:05:00"},
    "1/15/2024 10:00 +0200": {"%m/%d/%Y %H:%M %z": "2024-01-15T08:00:00"},
    "01/15/2024 21:05 UTC": {"%m/%d/%Y %H:%M %z": "2024-01-15T21:05:00"},
    "01/15/2024 21:05 +01": {"%m/%d/%Y %H:%M %z": "2024-01-15T20:05:00"},
    "01/15/2024 21:05+01": {"%m/%d/%Y %H:%M%z": "2024-01-15T20:05:00"},
    "15.1.2024, 21:05": {"%d.%m.%Y, %H:%M": "2024-01-15T21:05:00"},
    "15-JAN-24": {"%d-%b-%y": "2024-01-15T00:00:00"},
    "15 January 2024": {"%d %B %Y": "2024-01-15T00:00:00"},
    "Jan 15 2024 9:05 PM": {"%b %d %Y %I:%M %p": "2024-01-15T21:05:00"},
    "January 15, 2024": {"%B %d, %Y": "2024-01-15T00:00:00"},
    "Mon, 15 Jan 2024 21:05:00 +0100": {"%a, %d %b %Y %H:%M:%S %z": "2024-01-15T20:05:00"},
    "Monday 15/01/2024": {"%A %d/%m/%Y": "2024-01-15T00:00:00"},
    "2024-1-5": {"%Y-%m-%d": "2024-01-05T00:00:00"},
    "2024-1-5 9:05": {"%Y-%m-%d %H:%M": "2024-01-05T09:05:00"},
    "2024-01-15 9:05": {"%Y-%m-%d %H:%M": "2024-01-15T09:05:00"},
    "2024-01-15 9:05 PM": {"%Y-%m-%d %I:%M %p": "2024-01-15T21:05:00"},
    "2024-01-15 21:05:03,123": {"%Y-%m-%d %H:%M:%S,%f": "2024-01-15T21:05:03.123000"},
    "15/01/2024 21:05:03.1234567": {"%d/%m/%Y %H:%M:%S.%f": "2024-01-15T21:05:03.123456"},
    "9:05 PM 1/15/2024": {"%I:%M %p %m/%d/%Y": "2024-01-15T21:05:00"},
    "21:05 15/01/2024": {"%H:%M %d/%m/%Y": "2024-01-15T21:05:00"},
    "21:05:07, 15 Jan 2024": {"%H:%M:%S, %d %b %Y": "2024-01-15T21:05:07"},
    "20240115": {"%Y%m%d": "2024-01-15T00:00:00"},
    "2024011521": {"%Y%m%d%H": "2024-01-15T21:00:00"},
    "202401152105": {"%Y%m%d%H%M": "2024-01-15T21:05:00"},
    "20240115210500": {"%Y%m%d%H%M%S": "2024-01-15T21:05:00"},
    "20240115T210500": {"%Y%m%dT%H%M%S": "2024-01-15T21:05:00"},
    "20240115T210500Z": {"%Y%m%dT%H%M%S%z": "2024-01-15T21:05:00"},
}


@pytest.mark.parametrize("value", READABLE)
def test_a_hint_names_the_patterns_that_read_a_value_and_no_other(value):
    hint = hint_at_form(value)
    named = re.findall(r"\d+ [A-Z][a-z]+ \d{4} with (.+?)(?= or \d+ [A-Z]|: say which in )", hint)
    assert {pattern: read(value, pattern) for pattern in named} == READABLE[value]
    assert hint.startswith(", which is ")
    assert hint.endswith("in prepare.datetime_format" + (" and prepare.timezone" if "%z" in hint else ""))


def test_a_hint_says_the_day_as_it_is_written():
    assert hint_at_form("15/01/2024 23:30 -0500").startswith(", which is 15 January 2024 with %d/%m/%Y %H:%M %z: say")
    assert hint_at_form("03/04/2024") == (
        ", which is 3 April 2024 with %d/%m/%Y or 4 March 2024 with %m/%d/%Y: say which in prepare.datetime_format"
    )


# The value, what the hint says, the value with that done, and the pattern that reads it then; None: ISO 8601.
CONVERTIBLE = [
    ("2024-01-15T21:05:00 CET", "ends in 'CET', and", "2024-01-15T21:05:00 +01:00", None),
    ("2024-01-15 21:05 UTC+1", "ends in 'UTC+1', and", "2024-01-15 21:05 +01:00", None),
    ("2024-01-15T21:05:00+24:00", "'+24:00', no offset that exists", "2024-01-15T21:05:00+01:00", None),
    ("2024-01-15 21:05:00 +1", "'+1', no offset that exists", "2024-01-15 21:05:00 +01:00", None),
    ("2024-01-15T21:05:00z", "ends in 'z': write it as Z", "2024-01-15T21:05:00Z", None),
    ("2024-01-15T21:05:60", "second '60' is a leap second: write 59", "2024-01-15T21:05:59", None),
    ("2024-01-15T21:05:61+01:00", "second '61' is a leap second: write 59", "2024-01-15T21:05:59+01:00", None),
    ("2024-01-15 21:05:00.1234567891", "leave out '1'", "2024-01-15 21:05:00.123456789", None),
    ("2024-01-15 21:05 PM", "whose hour goes up to 24: leave out 'PM'", "2024-01-15 21:05", None),
    ("15/01/2024 21:05:60", "write 59", "15/01/2024 21:05:59", "%d/%m/%Y %H:%M:%S"),
    ("1/15/2024 21:05 PM", "leave out 'PM'", "1/15/2024 21:05", "%m/%d/%Y %H:%M"),
    ("15/01/2024 21:05 BST", "in 'BST'", "15/01/2024 21:05 +01:00", "%d/%m/%Y %H:%M %z"),
    ("15/01/2024 21:05BST", "in 'BST'", "15/01/2024 21:05+01:00", "%d/%m/%Y %H:%M%z"),
    ("1/15/2024 9:05 PM EST", "in 'EST'", "1/15/2024 9:05 PM -05:00", "%m/%d/%Y %I:%M %p %z"),
    ("Mon, 15 Jan 2024 21:05:00 GMT", "in 'GMT'", "Mon, 15 Jan 2024 21:05:00 +00:00", "%a, %d %b %Y %H:%M:%S %z"),
]


@pytest.mark.parametrize(("value", "told", "done", "pattern"), CONVERTIBLE)
def test_a_hint_says_what_to_convert_and_what_reads_it_then(value, told, done, pattern):
    hint = hint_at_form(value)
    assert told in hint
    assert read(value, pattern) is None
    assert read(done, pattern) is not None
    then = f"; then it is 15 January 2024 with {pattern}: say which in prepare.datetime_format"
    assert then in hint if pattern else "then it is" not in hint
    assert hint.endswith(" and prepare.timezone") == bool(pattern and "%z" in pattern)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("45292.5", "perhaps the serial number of a date in a spreadsheet"),
        *((epoch, ", an epoch number: convert it") for epoch in ("1704103200", "1704103200000", "1704103200.25")),
        *((epoch, ", an epoch number: convert it") for epoch in ("1704103200000000", "1704103200000000000")),
        *((time, ", a time without a date") for time in ("10:00", "9:05 PM", "21:05:03.5", "21:05Z", "9:05 +01:00")),
        *((day, ", a day or time that does not exist") for day in ("2024-02-30", "2024-01-01 24:00", "2024-13-01")),
        *((day, ", a day or time that does not exist") for day in ("0000-01-01", "2024-02-30T10:00+01:00")),
        ("9999-12-31T23:59-14:00", ", which its offset leads out of the years 1 to 9999"),
        ("2024-03-31 +0100", ", a date with an offset but without a time"),
        # None of them is a date, a time alone or an epoch number.
        *((text, "; for another form") for text in ("13/13/2024", "13/13/2024 CET", "soon", "", "21:05 sharp")),
        *((text, "; for another form") for text in ("20241315210500", "17041032001", "99999999999999", "123456")),
        *((text, "; for another form") for text in ("Tue, 15 Jan 2024 21:05:00 GMT", "Feb 30 2024 9:05 PM")),
    ],
)
def test_a_hint_says_what_a_value_looks_like(value, hint):
    assert hint_at_form(value).startswith(hint if hint[0] in ",;" else f", {hint}")


# Each form of a date, and each of a time; all pairs of them would take minutes.
PATTERNS = [
    *(f"{date} %H:%M" for date in DATE_FORMS),
    *(f"{weekday}%d/%m/%Y" for weekday in WEEKDAY_FORMS),
    *(f"%d/%m/%Y{clock}" for clock in CLOCK_FORMS),
    *(f"%Y%m%d{clock}" for clock in COMPACT_FORMS),
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_that_is_hinted_at_is_allowed_and_reads_what_it_is_given_for(pattern):
    # A day above 12 tells it from the month; no fraction of a second gets lost.
    moment = datetime(2024, 3, 31, 18, 5, 6, 500_000, tzinfo=UTC)
    value = moment.strftime(pattern)
    if pattern == "%Y-%m-%d %H:%M":
        # That is ISO 8601.
        value = value.replace("-03-", "-3-")
    else:
        found = datetime.fromisoformat(read(value, pattern)).replace(tzinfo=UTC)
        assert found.strftime(pattern) == value
    assert f" with {pattern}" in hint_at_form(value)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        (["01/02/2025", "01/01/2025"], 0),
        (["01/01/2025", "02/02/2025", "02/03/2025", "04/05/2025"], 2),
        (["01/01/2025 09:05", " 01/13/2025 09:05"], 1),
        (["1/1/2025", "nonsense", "", "1/1/25", "2/1/2025"], 4),
        (["01/01/2025", "02/02/2025"], 0),
        (["31.12.2025", "01.02.2025"], 0),
        (["nonsense", "01/02/2025"], 0),
        (["2025-02-30", "01/02/2025"], 0),
        (["01/02/25", "01/01/25"], 0),
        (["01/01/2025"] * ROWS_LOOKED_AT + ["01/02/2025"], 0),
    ],
)
def test_the_first_value_that_can_be_read_in_different_ways_tells_how_dates_are_written(values, place):
    assert find_telling(values) == place
