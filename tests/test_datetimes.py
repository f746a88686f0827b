import pandas as pd
import pytest

from stages.lib.datetimes import hint_at_form, parse_datetimes
from stages.lib.errors import DataError


def parse(*texts, datetime_format=None, timezone=None):
    notes = []
    times, _ = parse_datetimes(
        "a.csv", pd.Series(texts, index=range(2, len(texts) + 2)), notes, datetime_format, timezone
    )
    return [None if pd.isna(time) else time.isoformat() for time in times], notes


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


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("03/04/2024", "3 April 2024 with %d/%m/%Y or 4 March 2024 with %m/%d/%Y"),
        ("13/04/2024 10:00", ", which is 13 April 2024 with %d/%m/%Y %H:%M: say which in prepare.datetime_format"),
        ("1704103200", "an epoch number"),
        ("10:00", "a time without a date"),
        ("2024-02-30", "a day or time that does not exist"),
        ("soon", "; for another form set prepare.datetime_format"),
    ],
)
def test_a_hint_says_what_a_value_looks_like(value, hint):
    assert hint in hint_at_form(value)
