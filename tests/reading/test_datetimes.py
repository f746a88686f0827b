import pandas as pd
import pytest

from boomerang.base.datetime_settings import Reading
from boomerang.base.errors import DataError
from boomerang.reading.datetimes import parse_datetimes
from boomerang.reading.purchases import read_purchases


def parse(*texts, datetime_format=None, timezone=None):
    notes = []
    times, _ = parse_datetimes(
        "a.csv", pd.Series(texts, index=range(2, len(texts) + 2)), notes, datetime_format, timezone
    )
    return [None if pd.isna(time) else time.isoformat() for time in times.local], notes


def test_iso_dates_are_read_and_others_are_missing():
    times, notes = parse("2024-03-31", "2024-03-31 18:05", "2024-03-31T18:05:07.25", "31.3.2024", "18:05", "")
    assert times == ["2024-03-31T00:00:00", "2024-03-31T18:05:00", "2024-03-31T18:05:07.250000", None, None, None]
    assert notes == []


def test_one_offset_is_left_out_and_several_need_a_timezone():
    assert parse("2024-01-01T10:00Z", "2024-07-01T10:00Z")[0] == ["2024-01-01T10:00:00", "2024-07-01T10:00:00"]
    mixed = ("2024-01-01T10:00+00:00", "2024-07-01T10:00+01:00")
    with pytest.raises(DataError, match=r"a\.csv row 3: datetime must have one offset throughout"):
        parse(*mixed)
    assert parse(*mixed, timezone="Europe/London")[0] == ["2024-01-01T10:00:00", "2024-07-01T10:00:00"]


def test_a_format_with_an_offset_leads_to_the_timezone():
    times, _ = parse("1.7.2024 10:00 +0000", datetime_format="%d.%m.%Y %H:%M %z", timezone="Europe/Berlin")
    assert times == ["2024-07-01T12:00:00"]


# The offset as it is written, and the hour of Tokyo that 9:05 becomes with it.
@pytest.mark.parametrize(
    ("written", "hour"), [("UTC", 18), ("utc", 18), ("Z", 18), ("+0000", 18), ("+01", 17), ("+01:00", 17), ("-03", 21)]
)
@pytest.mark.parametrize("blank", ["", " "])
def test_an_offset_in_a_format_is_read_in_every_spelling_that_iso_dates_have(written, hour, blank):
    times, notes = parse(
        f"2025-01-01 09:05:00{blank}{written}",
        datetime_format=f"%Y-%m-%d %H:%M:%S{blank}%z",
        timezone="Asia/Tokyo",
    )
    assert times == [f"2025-01-01T{hour}:05:00"]
    assert notes == ["datetime: converted to local time in Asia/Tokyo"]
    assert parse(f"2025-01-01T09:05:00{blank}{written}", timezone="Asia/Tokyo") == (times, notes)


@pytest.mark.parametrize("written", ["GMT", "CET", "UTC+1", "UT", "+1", ""])
def test_what_may_be_several_offsets_is_none_in_a_format_either(written):
    how = {"datetime_format": "%d/%m/%Y %H:%M %z", "timezone": "Asia/Tokyo"}
    assert parse(f"01/02/2025 09:05 {written}", **how)[0] == [None]
    # A format that has UTC in its own text needs the offset after it.
    how["datetime_format"] = "%d/%m/%Y %H:%M UTC%z"
    assert parse("01/02/2025 09:05 UTC+01:00", "01/02/2025 09:05 UTC", **how)[0] == ["2025-02-01T17:05:00", None]


def test_the_letter_z_after_a_percent_sign_is_no_offset():
    assert parse("1.7.2024 %z", datetime_format="%d.%m.%Y %%z")[0] == ["2024-07-01T00:00:00"]


@pytest.mark.parametrize(
    ("text", "datetime_format", "expected"),
    [
        ("2024-01-01 23:59:60", "%Y-%m-%d %H:%M:%S", None),
        ("2024-01-01 23:59:61", "%Y-%m-%d %H:%M:%S", None),
        ("2024-01-01 23:59:60 +0000", "%Y-%m-%d %H:%M:%S %z", None),
        ("01/06/60 10:60:01", "%d/%m/%y %H:%M:%S", None),
        ("1960-01-01 10:00:01", "%Y-%m-%d %H:%M:%S", "1960-01-01T10:00:01"),
        ("01/01/0000 10:00:01", "%d/%m/%Y %H:%M:%S", None),
        ("60 %S 1.2.2024 10:00:00", "60 %%S %d.%m.%Y %H:%M:%S", "2024-02-01T10:00:00"),
    ],
)
def test_leap_seconds_and_the_year_0_in_a_format_are_no_time(text, datetime_format, expected):
    assert parse(text, datetime_format=datetime_format, timezone="UTC")[0] == [expected]


# A pattern with a weekday, and how it writes Monday, 15 January 2024, 21:05, in Tokyo, with a blank for the weekday.
WITH_WEEKDAYS = {
    "%a %d/%m/%Y": "{} 15/01/2024",
    "%A, %B %d, %Y": "{}, January 15, 2024",
    "%d.%m.%y (%a) %H:%M": "15.01.24 ({}) 21:05",
    "%a, %d %b %Y %H:%M:%S %z": "{}, 15 Jan 2024 03:05:00 +0900",
    "%a %b %d %H:%M:%S.%f %z %Y": "{} Jan 15 03:05:00.5 +09:00 2024",
    "%I:%M %p %z on %A %Y%m%d": "9:05 pm Z on {}  20240115",
    "%%a%a%%z %j %Y": "%a{}%z 015 2024",
}


@pytest.mark.parametrize(("pattern", "written"), WITH_WEEKDAYS.items())
def test_a_weekday_must_be_that_of_the_date_as_it_is_written(pattern, written):
    assert Reading(datetime_format=pattern, timezone="Asia/Tokyo" if "%z" in pattern.replace("%%", "") else None)
    names = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "MONDAY"]
    if "%A" not in pattern.replace("%%", ""):
        names = [name[:3] for name in names]
    texts = [written.format(name) for name in names]
    times, _ = parse(*texts, datetime_format=pattern, timezone="Asia/Tokyo")
    assert [time is not None for time in times] == [True, *[False] * 6, True]


def test_a_row_with_another_weekday_is_refused_and_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("datetime,returned,number\nTue 16/01/2024,no,1\nMon 16/01/2024,no,1\n")
    with pytest.raises(
        DataError, match=r"row 3: .*, and exist on the weekday that it names \(found 'Mon 16/01/2024'\)"
    ):
        read_purchases(path, datetime_format="%a %d/%m/%Y")
    kept = read_purchases(path, datetime_format="%a %d/%m/%Y", on_bad_rows="drop")
    assert kept.dropped == {"datetime not a date": 1}


@pytest.mark.parametrize("text", ["9999-12-31T23:59-14:00", "0001-01-01T00:01+14:00", "9999-12-31T23:30Z"])
def test_a_conversion_that_leaves_the_years_1_to_9999_is_no_time(text):
    assert parse(text, "2024-07-01T10:00Z", timezone="Europe/London")[0] == [None, "2024-07-01T11:00:00"]
    in_a_format = parse(text, "2024-07-01T10:00Z", datetime_format="%Y-%m-%dT%H:%M%z", timezone="Europe/London")
    assert in_a_format[0] == [None, "2024-07-01T11:00:00"]


@pytest.mark.parametrize("offset", ["+01:99", "+24:00", "+0160", "+1:00", "z"])
def test_what_is_no_offset_is_no_time(offset):
    assert parse(f"2024-07-01T10:00{offset}")[0] == [None]


@pytest.mark.parametrize("offset", ["Z", "+01:00", "+01", "-0500"])
def test_a_date_alone_has_no_offset(offset):
    assert parse(f"2024-03-31{offset}")[0] == [None]


def test_fractions_beyond_microseconds_are_cut_and_noted():
    note = "datetime: fractions of a second were cut to six digits"
    assert parse("2024-01-01T10:00:00.1234567") == (["2024-01-01T10:00:00.123456"], [note])
    assert parse("2024-01-01 10.1234567", datetime_format="%Y-%m-%d %H.%f")[1] == [note]
