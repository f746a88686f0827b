"""Which datetimes may have an offset, and to which instants and local times they lead."""

from datetime import datetime

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boomerang.base.errors import DataError, SettingsError
from boomerang.reading.asked import append_purchase, parse_purchase
from boomerang.reading.offsets import last_offset
from tests.reading.support import HEADER, read

LONDON = {"timezone": "Europe/London"}
# UTC 00:30 and 01:10 of the day on which London's clocks go back: 01:30 in summer time, then 01:10 in winter time.
AUTUMN = ("2025-10-26T00:30Z", "2025-10-26T01:10Z")


def read_times(folder, *datetimes, **how):
    rows = "".join(f"{time},no,{number}\n" for number, time in enumerate(datetimes))
    return read(folder, HEADER + rows, **how)


def times(purchases, column="datetime"):
    return [time.isoformat() for time in purchases.table[column]]


@pytest.mark.parametrize("datetimes", [AUTUMN, AUTUMN[::-1]])
def test_the_repeated_hour_of_autumn_is_sorted_by_the_instant(tmp_path, datetimes):
    purchases = read_times(tmp_path, *datetimes, **LONDON)
    assert times(purchases, "instant") == ["2025-10-26T00:30:00", "2025-10-26T01:10:00"]
    assert times(purchases) == ["2025-10-26T01:30:00", "2025-10-26T01:10:00"]
    assert list(purchases.table.dtypes.astype(str)[:2]) == ["datetime64[us]", "datetime64[us]"]


def test_the_repeated_hour_is_sorted_by_the_instant_in_another_form_too(tmp_path):
    how = {"datetime_format": "%d/%m/%Y %H:%M %z"}
    purchases = read_times(tmp_path, "26/10/2025 01:10 +0000", "26/10/2025 01:30 +0100", **how, **LONDON)
    assert purchases.table["number"].tolist() == [1, 0]
    assert times(purchases) == ["2025-10-26T01:30:00", "2025-10-26T01:10:00"]
    assert purchases.normalised[0] == "datetime: converted to local time in Europe/London"


@pytest.mark.parametrize("how", [{}, LONDON, {"datetime_format": "%Y-%m-%dT%H:%M"}])
def test_without_offsets_there_are_no_instants(tmp_path, how):
    purchases = read_times(tmp_path, "2025-10-26T01:10", "2025-10-26T01:30", **how)
    assert list(purchases.table.columns) == ["datetime", "returned", "number"]
    assert purchases.offset is None


@pytest.mark.parametrize(
    ("written", "minutes"),
    [
        *(("Z", 0), (" Z", 0), (" UTC", 0), ("UTC", 0), (" utc", 0), ("+00", 0), ("-00:00", 0), ("+23:59", 1439)),
        *(("+0530", 330), ("+05:30", 330), (" +0530", 330), ("-08", -480), (" -08:00", -480), ("-03:30", -210)),
    ],
)
@pytest.mark.parametrize("time", ["2025-01-01 10:05", "2025-01-01T10:05:00", "2025-01-01 10:05:00.000000"])
def test_an_offset_is_read_in_every_spelling(tmp_path, time, written, minutes):
    purchases = read_times(tmp_path, f"{time}{written}")
    assert times(purchases) == ["2025-01-01T10:05:00"]
    assert purchases.table["datetime"][0] - purchases.table["instant"][0] == pd.Timedelta(minutes, "min")
    assert purchases.offset == last_offset(purchases.table)
    assert purchases.normalised == ["datetime: the offset, the same in every row, was left out: local times are kept"]


@pytest.mark.parametrize("written", [" GMT", " BST", " EST", "UT", " UTC+1", "  UTC", "z", " UTC Z", "+24:00", " +1"])
def test_an_abbreviation_that_stands_for_several_zones_is_no_offset(tmp_path, written):
    with pytest.raises(DataError, match=r"row 2: datetime must be an ISO 8601 date"):
        read_times(tmp_path, f"2025-01-01 10:05:00{written}")


def test_utc_is_read_as_z_with_and_without_fractions_in_one_file(tmp_path):
    bigquery = ("2025-07-01 09:05:00 UTC", "2025-07-01 10:05:00.123456 UTC", "2025-07-01 11:05:00Z")
    purchases = read_times(tmp_path, *bigquery)
    assert times(purchases) == ["2025-07-01T09:05:00", "2025-07-01T10:05:00.123456", "2025-07-01T11:05:00"]
    assert times(read_times(tmp_path, *bigquery, **LONDON))[0] == "2025-07-01T10:05:00"


def test_a_day_that_does_not_exist_is_named_so_with_utc_too(tmp_path):
    with pytest.raises(DataError, match="a day or time that does not exist"):
        read_times(tmp_path, "2025-02-30 10:05:00 UTC")
    with pytest.raises(DataError, match="a date with an offset but without a time"):
        read_times(tmp_path, "2025-02-03 UTC")


def test_an_offset_of_a_bad_row_asks_nothing_of_the_others(tmp_path):
    purchases = read_times(tmp_path, "2025-02-30T10:00Z", "2025-01-01T10:00", on_bad_rows="drop")
    assert list(purchases.table.columns) == ["datetime", "returned", "number"]
    assert purchases.dropped == {"datetime not a date": 1}


# What a training had, what is to be predicted from, the local time of the first purchase, and the note.
TO_PREDICT_FROM = [
    ("+09:00", ("2025-01-01T10:00+09:00",), "2025-01-01T10:00:00", "the same in every row, was left out"),
    ("+09:00", ("2025-01-01T10:00 +0900",), "2025-01-01T10:00:00", "the same in every row, was left out"),
    ("+09:00", ("2025-01-01T10:00Z",), "2025-01-01T19:00:00", "converted to the offset of the training, +09:00"),
    ("-03:30", ("2025-01-01T01:00Z",), "2024-12-31T21:30:00", "converted to the offset of the training, -03:30"),
    ("+00:00", ("2025-01-01T10:00+01:00", "2025-07-01T10:00+02:00"), "2025-01-01T09:00:00", "converted to the offset"),
    ("+09:00", ("2025-01-01T10:00",), "2025-01-01T10:00:00", "there is no offset, while the training had +09:00"),
]


@pytest.mark.parametrize(("offset", "datetimes", "first", "note"), TO_PREDICT_FROM)
def test_a_history_is_read_in_the_offset_of_the_training(tmp_path, offset, datetimes, first, note):
    purchases = read_times(tmp_path, *datetimes, offset=offset)
    assert times(purchases)[0] == first
    assert len(purchases.normalised) == 1
    assert note in purchases.normalised[0]


@pytest.mark.parametrize("datetimes", [("2025-01-01T10:00+09:00",), ("2025-01-01T10:00Z", "2025-01-01T10:00+01:00")])
def test_offsets_after_a_training_without_them_are_refused(tmp_path, datetimes):
    with pytest.raises(DataError, match=r"row 2: datetime must have no offset, as in the training, .*: write local"):
        read_times(tmp_path, *datetimes, offset=None)
    assert times(read_times(tmp_path, "2025-01-01T10:00", offset=None)) == ["2025-01-01T10:00:00"]


@pytest.mark.parametrize("how", [{}, {"on_bad_rows": "drop"}, {"offset": None}])
def test_a_timezone_that_converts_nothing_is_noted(tmp_path, how):
    purchases = read_times(tmp_path, "2025-01-01T10:00", **LONDON, **how)
    assert purchases.normalised == [
        "datetime: taken as local time: without an offset, timezone Europe/London converts nothing"
    ]


# The past purchases, the one just made, how both are read, and the local time of the one just made.
MADE = [
    (("2025-01-01T10:00",), "2025-01-01T11:00", {}, "2025-01-01T11:00:00"),
    (("2025-01-01T10:00+09:00",), "2025-01-01T11:00+09:00", {}, "2025-01-01T11:00:00"),
    (("2025-01-01T10:00+09:00",), "2025-01-01T02:00 UTC", {}, "2025-01-01T11:00:00"),
    (("2025-01-01T10:00-03:30",), "2025-01-02T00:00Z", {}, "2025-01-01T20:30:00"),
    (("2025-07-01T10:00Z",), "2025-07-01T12:00+02:00", LONDON, "2025-07-01T11:00:00"),
    (AUTUMN[:1], AUTUMN[1], LONDON, "2025-10-26T01:10:00"),
    (("2025-01-01T10:00",), "2025-01-01T11:00", LONDON, "2025-01-01T11:00:00"),
]


@pytest.mark.parametrize(("past", "made", "how", "expected"), MADE)
def test_the_purchase_just_made_is_read_like_those_before_it(tmp_path, past, made, how, expected):
    table = read_times(tmp_path, *past, **how).table
    found = append_purchase(table, parse_purchase(table, made, "3", **how), made, None)
    assert found["datetime"].iloc[-1].isoformat() == expected
    assert found.dtypes.to_dict() == table.dtypes.to_dict()
    assert found[: len(table)].equals(table)
    if "instant" in found:
        assert found["instant"].iloc[-1] == pd.Timestamp(made.replace(" UTC", "Z")).tz_convert(None)


@pytest.mark.parametrize(
    ("past", "made", "how", "message"),
    [
        ("2025-01-01T10:00", "2025-01-01T11:00+09:00", {}, "must have no offset, as the datetimes of the past"),
        ("2025-01-01T10:00", "2025-01-01T11:00 UTC", {}, "must have no offset"),
        ("2025-01-01T10:00", "2025-01-01T11:00Z", LONDON, "must have no offset"),
        ("2025-01-01T10:00Z", "2025-01-01T11:00", {}, "must have an offset, as the datetimes of the past"),
        ("2025-01-01T10:00Z", "2025-01-01T11:00", LONDON, "must have an offset"),
        (
            "2025-01-01T10:00+09:00",
            "2025-01-01T10:30+10:00",
            {},
            r"earlier than the last purchase, 2025-01-01 10:00:00\+09:00",
        ),
        (AUTUMN[1], AUTUMN[0], LONDON, r"earlier than the last purchase, 2025-10-26 01:10:00\+00:00"),
        ("2025-01-01T10:00Z", "2025-01-32T10:00Z", {}, "must be an ISO 8601 date, as in the training"),
        ("2025-01-01T10:00Z", "soon", LONDON, "must be an ISO 8601 date, as in the training"),
    ],
)
def test_a_purchase_just_made_that_those_before_it_do_not_place_is_refused(tmp_path, past, made, how, message):
    table = read_times(tmp_path, past, **how).table
    with pytest.raises(SettingsError, match=f"^next_datetime .*{message}"):
        append_purchase(table, parse_purchase(table, made, "3", **how), made, None)


def test_local_times_of_the_repeated_hour_without_an_offset_stay_in_their_order(tmp_path):
    purchases = read_times(tmp_path, "2025-10-26T01:30", "2025-10-26T01:10", "2025-10-26T02:00")
    assert purchases.table["datetime"].tolist()[0] == datetime(2025, 10, 26, 1, 10)


INSTANTS = st.lists(st.datetimes(datetime(2025, 10, 25), datetime(2025, 10, 27)), min_size=1, max_size=12)


@settings(max_examples=25, deadline=None)
@given(instants=INSTANTS, offsets=st.lists(st.integers(-12 * 60, 14 * 60), min_size=12, max_size=12))
def test_however_instants_are_written_the_rows_are_the_same(tmp_path_factory, instants, offsets):
    def written(minutes):
        zones = [pd.Timedelta(offset, "min").to_pytimedelta() for offset in minutes]
        return [
            f"{(instant + zone).isoformat()}{'-' if zone.days < 0 else '+'}{abs(zone) // pd.Timedelta('1h'):02}:"
            f"{abs(zone) // pd.Timedelta('1min') % 60:02}"
            for instant, zone in zip(instants, zones, strict=False)
        ]

    folder = tmp_path_factory.mktemp("written")
    plain = read_times(folder, *written([0] * len(instants)), **LONDON).table
    assert plain["instant"].is_monotonic_increasing
    pd.testing.assert_frame_equal(read_times(folder, *written(offsets), **LONDON).table, plain)
