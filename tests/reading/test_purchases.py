import gzip
import io
import math
import time
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boomerang.base.errors import DataError
from boomerang.reading.asked import parse_labels
from boomerang.reading.purchases import read_purchases
from tests.reading.support import HEADER, PLAIN, read, with_date, with_number


def test_plain_file_becomes_a_typed_table(tmp_path):
    purchases = read(tmp_path, PLAIN)
    expected = pd.DataFrame(
        {
            "datetime": np.array(["2024-01-01T10:00", "2024-01-02T11:30"], dtype="datetime64[us]"),
            "returned": np.array([0, 1], dtype=np.int8),
            "number": [1.0, 2.5],
        }
    )
    pd.testing.assert_frame_equal(purchases.table, expected)
    assert purchases.normalised == []
    assert purchases.dropped == {}


# Each reads as the plain file does; the note says what was done.
READ_AS_PLAIN = {
    "byte order mark": ("\ufeff" + PLAIN, "byte order mark"),
    "CRLF": (PLAIN.replace("\n", "\r\n"), "CRLF"),
    "CR": (PLAIN.replace("\n", "\r"), "CR"),
    "mixed line ends": (PLAIN.replace("number\n", "number\r\n"), "CRLF"),
    "y and false": (
        PLAIN.replace("yes", " Y ").replace("no,", "FALSE,"),
        "Y (1) read as yes; FALSE (1) read as no",
    ),
    "1 and 0": (PLAIN.replace("yes", "1").replace("no,", "0,"), "returned: 1 (1) read as yes; 0 (1) read as no"),
    "t and n": (PLAIN.replace("yes", "t").replace("no,", "N,"), "returned: t (1) read as yes; N (1) read as no"),
    "True and f": (
        PLAIN.replace("yes", "True").replace("no,", "f,"),
        "returned: True (1) read as yes; f (1) read as no",
    ),
    "Yes alone": (PLAIN.replace("yes", "Yes"), "returned: Yes (1) read as yes"),
    "outer blanks in the header": (PLAIN.replace("datetime,", " DateTime ,"), "names read in lower case"),
    "upper case header": (PLAIN.replace("datetime,returned,number", "DATETIME,Returned,NUMBER"), "lower case"),
    "outer blanks": (PLAIN.replace(",1\n", ",  1 \n"), "outer blanks left out"),
    "no final newline": (PLAIN.rstrip("\n"), "the last line has no line end"),
    "blank line": (PLAIN.replace("\n2024-01-02", "\n\n2024-01-02"), "blank lines skipped: 1"),
    "blank lines first": ("\n \n" + PLAIN, "blank lines skipped: 2"),
    "lines of blanks last": (PLAIN + "  \n\n", "blank lines skipped: 2"),
    "gzip under a plain name": (gzip.compress(PLAIN.encode()), "gzip unpacked"),
    "other column order": (
        "shop,number,returned,datetime\nx,1,no,2024-01-01 10:00:00\nx,2.5,yes,2024-01-02 11:30:00\n",
        "columns: in the order number, returned, datetime",
    ),
    "line ends in a quoted cell": (
        'note,datetime,returned,number\n"a\nb",2024-01-01 10:00,no,1\n"a\nb",2024-01-02 11:30,yes,2.5\n',
        "columns ignored: note",
    ),
    "all quoted": (
        '"datetime","returned","number"\n"2024-01-01 10:00","no","1"\n"2024-01-02 11:30","yes","2.5"\n',
        None,
    ),
    "column without a name": (
        ",datetime,returned,number\n0,2024-01-01 10:00,no,1\n1,2024-01-02 11:30,yes,2.5\n",
        "columns ignored: (no name)",
    ),
    "columns without a name": (
        "datetime,returned,number,,\n2024-01-01 10:00,no,1,,\n2024-01-02 11:30,yes,2.5,,\n",
        "columns ignored: (no name)",
    ),
    "quotes in a bare cell": (
        'note,datetime,returned,number\n5" pipe,2024-01-01 10:00,no,1\na "b",2024-01-02 11:30,yes,2.5\n',
        "columns ignored: note",
    ),
    "out of order": (HEADER + "2024-01-02 11:30,yes,2.5\n2024-01-01 10:00,no,1\n", "sorted"),
    "fractions": (with_date("2024-01-01 10:00:00.000"), None),
    "fractions of nanoseconds": (with_date("2024-01-01T10:00:00.000000123"), "fractions of a second"),
    "Z": (PLAIN.replace(":00,", ":00Z,").replace(":30,", ":30Z,"), "offset"),
    "offset": (PLAIN.replace(":30,", ":30+0530,").replace(":00,", ":00+05:30,"), "offset"),
    "short offset": (PLAIN.replace(":00,", ":00-08,").replace(":30,", ":30-08:00,"), "offset"),
    "plus sign": (with_number("+2.5"), None),
    "exponent": (with_number("25e-1"), None),
    "no digit before the point": (PLAIN.replace("2.5", "2.50").replace(",1\n", ",1.\n"), None),
}


@pytest.mark.parametrize("case", READ_AS_PLAIN)
def test_what_is_clearly_meant_is_read_and_noted(tmp_path, case):
    content, note = READ_AS_PLAIN[case]
    purchases = read(tmp_path, content)
    assert purchases.table["datetime"].tolist() == [datetime(2024, 1, 1, 10), datetime(2024, 1, 2, 11, 30)]
    assert purchases.table["returned"].tolist() == [0, 1]
    assert purchases.table["number"].tolist() == [1.0, 2.5]
    assert (note is None and purchases.normalised == []) or any(note in found for found in purchases.normalised)


@pytest.mark.parametrize(
    ("labels", "note"),
    [
        (["yes", "no"], None),
        (["y"] * 3 + ["Yes"] * 1200 + ["no"] + ["N"], "returned: Yes (1,200), y (3) read as yes; N (1) read as no"),
        (["0", "NO", "0", "yes", "n"], "returned: 0 (2), NO (1), n (1) read as no"),
        (["yes", "perhaps", "T"], "returned: T (1) read as yes"),
    ],
)
def test_the_note_on_labels_names_which_words_were_read_how(tmp_path, labels, note):
    content = HEADER + "".join(f"2024-01-01 10:00,{label},1\n" for label in labels)
    notes = read(tmp_path, content, on_bad_rows="drop").normalised
    assert [line for line in notes if line.startswith("returned")] == ([] if note is None else [note])


def test_date_without_a_time_is_midnight(tmp_path):
    assert read(tmp_path, with_date("2024-01-01")).table["datetime"][0] == datetime(2024, 1, 1)


def test_ties_keep_the_order_of_the_file(tmp_path):
    rows = "".join(f"2024-01-01 10:00,no,{number}\n" for number in range(50))
    purchases = read(tmp_path, HEADER + "2024-01-01 11:00,no,99\n" + rows + "2024-01-01 11:00,no,100\n")
    assert purchases.table["number"].tolist() == [*range(50), 99, 100]
    assert purchases.normalised == [
        "datetime: rows out of order were sorted; ties keep the order of the file: 52 of 52 purchases share their "
        "datetime with another"
    ]


# Six purchases, oldest first; two pairs share a datetime.
RISING = (
    *("2025-12-01T09:00,no,2", "2025-12-01T10:00,no,1", "2025-12-01T10:00,yes,4"),
    *("2025-12-02T11:00,no,3", "2025-12-02T12:00,no,1", "2025-12-02T12:00,yes,2"),
)
NEWEST_FIRST = "datetime: rows fall throughout (newest first) and were sorted from the end of the file, ties too"


def written(rows):
    return HEADER + "".join(f"{row}\n" for row in rows)


def test_a_file_that_falls_throughout_is_read_from_its_end(tmp_path):
    rising, falling = read(tmp_path, written(RISING)), read(tmp_path, written(RISING[::-1]))
    pd.testing.assert_frame_equal(falling.table, rising.table)
    assert falling.rows.tolist() == [7, 6, 5, 4, 3, 2]
    assert (rising.normalised, falling.normalised) == ([], [NEWEST_FIRST])


@pytest.mark.parametrize(
    ("bad", "n_dropped"), [("2025-12-01T09:30,perhaps,1", 1), ("2026-01-01T00:00,no,x", 1), ("soon,no,1", 1), ("", 0)]
)
def test_rows_that_are_left_out_do_not_hide_that_a_file_falls(tmp_path, bad, n_dropped):
    for at in (0, 3, 6):
        rows = [*RISING[::-1][:at], bad, *RISING[::-1][at:]]
        purchases = read(tmp_path, written(rows), on_bad_rows="drop", keep_others=True)
        assert sum(purchases.dropped.values()) == n_dropped
        assert purchases.normalised[-1] == NEWEST_FIRST
        assert purchases.table["number"].tolist() == [2, 1, 4, 3, 1, 2]


def test_other_columns_stay_with_the_rows_of_a_file_that_falls(tmp_path):
    content = "note,datetime,returned,number\n" + "".join(f"{n},2025-01-0{9 - n},no,{n}\n" for n in range(5))
    purchases = read(tmp_path, content, keep_others=True)
    assert purchases.others["note"].tolist() == ["4", "3", "2", "1", "0"]
    assert purchases.table["number"].tolist() == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("rows", [RISING[:1], ["2025-01-01,no,1", "2025-01-01,no,2", "2025-01-01,no,3"]])
def test_a_file_without_a_fall_keeps_its_order(tmp_path, rows):
    purchases = read(tmp_path, written(rows))
    assert purchases.rows.tolist() == list(range(2, 2 + len(rows)))
    assert purchases.normalised == []


def test_a_file_that_falls_by_the_instant_is_read_from_its_end(tmp_path):
    # Its local times rise once, in the hour that a clock change repeats.
    rows = ("2025-10-26T01:10Z,no,1", "2025-10-26T00:30Z,yes,2", "2025-10-26T00:30Z,no,3", "2025-10-25T00:30Z,no,4")
    purchases = read(tmp_path, written(rows), timezone="Europe/London")
    assert purchases.table["number"].tolist() == [4, 3, 2, 1]
    assert purchases.normalised[-1] == NEWEST_FIRST


HOURS = st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(1, 9)), min_size=1, max_size=20).map(
    lambda rows: sorted(rows, key=lambda row: row[0])
)


@settings(max_examples=25, deadline=None)
@given(rows=HOURS.filter(lambda rows: rows[0][0] < rows[-1][0]), suffix=st.sampled_from(["", "Z", "+09:00"]))
def test_a_history_is_the_same_oldest_and_newest_first(tmp_path_factory, rows, suffix):
    folder = tmp_path_factory.mktemp("rows")
    lines = [f"2025-01-01T0{hour}:00{suffix},{'yes' if back else 'no'},{number}" for hour, back, number in rows]
    rising, falling = read(folder, written(lines)), read(folder, written(lines[::-1]))
    pd.testing.assert_frame_equal(falling.table, rising.table)
    assert rising.table["number"].tolist() == [number for *_, number in rows]
    assert (falling.rows + rising.rows == len(rows) + 3).all()


@pytest.mark.parametrize(
    ("written", "datetime_format", "expected"),
    [
        ("03/04/2024", "%d/%m/%Y", datetime(2024, 4, 3)),
        ("03/04/2024", "%m/%d/%Y", datetime(2024, 3, 4)),
        ("3.4.24 17:05", "%d.%m.%y %H:%M", datetime(2024, 4, 3, 17, 5)),
    ],
)
def test_datetime_format_says_what_is_meant(tmp_path, written, datetime_format, expected):
    purchases = read(tmp_path, f"{HEADER}{written},no,1\n", datetime_format=datetime_format)
    assert purchases.table["datetime"].tolist() == [expected]


def test_what_is_not_in_the_datetime_format_is_refused(tmp_path):
    with pytest.raises(
        DataError, match=r"row 2: datetime must be in the form %d/%m/%Y .*\(found '2024-01-01 10:00:00'"
    ):
        read(tmp_path, PLAIN, datetime_format="%d/%m/%Y")
    with pytest.raises(DataError, match=r"%d/%m/%Y \(prepare.datetime_format\), and exist \(found '30/02/2024'\)$"):
        read(tmp_path, with_date("30/02/2024").replace("2024-01-02T11:30", "01/02/2024"), datetime_format="%d/%m/%Y")


def test_numbers_that_float64_holds_as_they_are_written_are_read(tmp_path):
    written = (
        "9007199254740992",
        "1e23",
        "-1.2345678901234567e+300",
        "0.1234567890123456789",
        "0e-400",
        "1" + "0" * 22,
    )
    table = read(tmp_path, HEADER + "".join(f"2024-01-01,no,{number}\n" for number in written)).table
    assert table["number"].tolist() == [float(number) for number in written]


def test_one_cell_without_end_takes_no_memory_for_the_others(tmp_path):
    rows = "2024-01-01,no,1\n" * 20_000 + f"2024-01-01,no,{'1' * 1_000_000}\n"
    with pytest.raises(DataError, match="row 20002: number must have at most 400 characters") as refused:
        read(tmp_path, HEADER + rows)
    assert len(str(refused.value)) < 500


def test_timezone_converts_offsets_to_local_time_over_a_clock_change(tmp_path):
    rows = "2024-01-01T12:00:00Z,no,1\n2024-07-01T12:00:00Z,no,2\n2024-07-02T12:00:00+02:00,no,3\n"
    purchases = read(tmp_path, HEADER + rows, timezone="Europe/London")
    assert [time.hour for time in purchases.table["datetime"]] == [12, 13, 11]
    assert purchases.normalised == ["datetime: converted to local time in Europe/London"]


def test_offsets_in_another_form_are_converted_too(tmp_path):
    content = HEADER + "01/07/2024 12:00 +0000,no,1\n"
    purchases = read(tmp_path, content, datetime_format="%d/%m/%Y %H:%M %z", timezone="Europe/London")
    assert purchases.table["datetime"].tolist() == [datetime(2024, 7, 1, 13)]


def test_folder_and_missing_file_are_refused(tmp_path):
    with pytest.raises(DataError, match="found a folder"):
        read_purchases(tmp_path)
    with pytest.raises(DataError, match="No such file"):
        read_purchases(tmp_path / "none.csv")


def test_a_large_file_is_read_without_a_loop_over_rows(tmp_path):
    row = "2024-01-01T10:00:00Z,no,19.90\n"
    (tmp_path / "purchases.csv").write_text(HEADER + row * 200_000)
    start = time.process_time()
    assert len(read_purchases(tmp_path / "purchases.csv").table) == 200_000
    # Ten times what it takes here; it is the order of a loop over rows that is refused.
    assert time.process_time() - start < 5


ROWS = st.lists(
    st.tuples(
        st.datetimes(min_value=datetime(1, 1, 1)),
        st.booleans(),
        st.floats(allow_nan=False, allow_infinity=False, width=64),
        st.text(alphabet=st.characters(exclude_characters="\0\r", exclude_categories=("Cs",)), max_size=20),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_any_valid_table_survives_writing_and_reading(tmp_path_factory, rows):
    table = pd.DataFrame(rows, columns=["datetime", "returned", "number", "note"])
    table["datetime"] = table["datetime"].astype("datetime64[us]")
    written = table.assign(
        datetime=[when.isoformat() for when, *_ in rows],
        returned=table["returned"].map({True: "yes", False: "no"}),
        number=[repr(number) for *_, number, _ in rows],
    )
    buffer = io.StringIO()
    # Quoted, as a spreadsheet writes text: a lone quote in a bare cell means something else.
    written.to_csv(buffer, index=False, quoting=2, lineterminator="\n")
    found = read(tmp_path_factory.mktemp("round"), buffer.getvalue()).table
    falls = table["datetime"].is_monotonic_decreasing and table["datetime"].nunique() > 1
    expected = table[:: -1 if falls else 1].sort_values("datetime", kind="stable", ignore_index=True)
    assert found["datetime"].tolist() == expected["datetime"].tolist()
    assert found["returned"].tolist() == expected["returned"].astype(int).tolist()
    assert [math.copysign(1, n) * n for n in found["number"]] == [math.copysign(1, n) * n for n in expected["number"]]


@settings(max_examples=300, deadline=None)
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=120).map(lambda tail: PLAIN.encode() + tail),
        st.binary(max_size=120).map(lambda tail: gzip.compress(tail)),
        st.text(alphabet='datetime,returned"\n 0123456789-:TZ+.yesno;', max_size=200).map(
            lambda tail: (HEADER + tail).encode()
        ),
    ),
    on_bad_rows=st.sampled_from(["error", "drop"]),
)
def test_random_bytes_are_read_or_refused_in_one_line(tmp_path_factory, content, on_bad_rows):
    message = "purchases.csv"
    try:
        read(tmp_path_factory.mktemp("random"), content, on_bad_rows=on_bad_rows)
    except DataError as error:
        message = str(error)
    assert "purchases.csv" in message
    assert len(message.splitlines()) == 1


def test_labels_on_the_command_line():
    assert parse_labels("yes, no,Y").tolist() == [1, 0, 1]
    with pytest.raises(DataError, match=r"label 2: expected yes or no \(found ''\)"):
        parse_labels("yes,")
