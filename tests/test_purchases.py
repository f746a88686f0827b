import gzip

import numpy as np
import pandas as pd
import pytest

from stages.lib.errors import DataError
from stages.lib.purchases import parse_labels, read_purchases

PLAIN = "datetime,returned,number\n2024-01-01 10:00:00,no,1\n2024-01-02T11:30,yes,2.5\n"


def read(tmp_path, content):
    path = tmp_path / "purchases.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_purchases(path)


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


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("\ufeff" + PLAIN, "byte order mark"),
        (PLAIN.replace("\n", "\r\n"), "CRLF"),
        (PLAIN.replace("\n", "\r"), "CR"),
        (PLAIN.replace("yes", " Y ").replace("no,", "FALSE,"), "labels"),
        (PLAIN.replace("datetime,", " DateTime ,"), None),
        (PLAIN.rstrip("\n"), None),
        (PLAIN.replace("\n2024-01-02", "\n\n2024-01-02"), "blank lines skipped: 1"),
        (gzip.compress(PLAIN.encode()), None),
        (
            "shop,number,returned,datetime\nx,1,no,2024-01-01 10:00:00\nx,2.5,yes,2024-01-02 11:30:00\n",
            "columns ignored: shop",
        ),
        ("datetime,returned,number\n2024-01-02 11:30,yes,2.5\n2024-01-01,no,1\n", "sorted"),
    ],
)
def test_what_is_clearly_meant_is_read_and_noted(tmp_path, content, note):
    purchases = read(tmp_path, content)
    assert purchases.table["returned"].tolist() == [0, 1]
    assert purchases.table["number"].tolist() == [1.0, 2.5]
    assert purchases.table["datetime"].dt.day.tolist() == [1, 2]
    assert (note is None and purchases.normalised == []) or any(note in found for found in purchases.normalised)


def test_ties_keep_the_order_of_the_file(tmp_path):
    rows = "".join(f"2024-01-01 10:00,no,{number}\n" for number in range(50))
    purchases = read(tmp_path, "datetime,returned,number\n2024-01-01 11:00,no,99\n" + rows)
    assert purchases.table["number"].tolist() == [*range(50), 99]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"expected a header row datetime,returned,number \(found an empty file\)"),
        ("datetime,returned,number\n", "expected purchases below the header"),
        ("datetime,returned\n2024-01-01,no\n", r"row 1: expected the columns .*\(found 'datetime,returned'\)"),
        ("datetime;returned;number\n2024-01-01;no;1\n", r"looks separated by ';'"),
        ("datetime,returned,number,number\n2024-01-01,no,1,1\n", r"found twice: number"),
        (PLAIN.replace("no", "maybe"), r"row 2: returned must be one of yes/no.*\(found 'maybe'\)"),
        (PLAIN.replace("no,", ","), r"row 2: returned must be .*\(found ''\)"),
        (PLAIN.replace("2.5", "inf"), r"row 3: number must be a finite number.*\(found 'inf'\)"),
        (PLAIN.replace("2.5", "1e309"), r"row 3: number must be .*\(found '1e309'\)"),
        (PLAIN.replace("2.5", "nan"), r"row 3: number must be .*\(found 'nan'\)"),
        (PLAIN.replace("2.5", "0x10"), r"row 3: number must be .*\(found '0x10'\)"),
        (PLAIN.replace("2.5", "1_000"), r"row 3: number must be .*\(found '1_000'\)"),
        (PLAIN.replace("2024-01-01 10:00:00", "10:00"), r"row 2: datetime must be an ISO 8601 date.*\(found '10:00'\)"),
        (PLAIN.replace("2024-01-01 10:00:00", "1704103200"), r"row 2: datetime must be .*\(found '1704103200'\)"),
        (PLAIN.replace("2024-01-01", "2024-02-30"), r"row 2: datetime must be .*\(found '2024-02-30 10:00:00'\)"),
        (PLAIN.replace("2024-01-01 10:00:00", "01/02/2024"), r"row 2: datetime must be .*\(found '01/02/2024'\)"),
        (PLAIN + "2024-01-03,no\n", r"row 4: expected 3 cells \(found 2: '2024-01-03,no'\)"),
        (PLAIN + "2024-01-03,no,1,2,3\n", r"row 4: expected 3 cells \(found 5: "),
        (PLAIN.encode("utf-16"), "found NUL bytes"),
        (PLAIN.encode() + b"2024-01-03,\xe9,1\n", r"row 4: expected UTF-8 text \(found byte 0xe9\)"),
        (PLAIN + '2024-01-03,no,"1\n', "a quote is opened and never closed"),
        ("\n \n" + PLAIN.replace("2.5", "x"), r"row 5: number must be"),
        ("note," + PLAIN.replace("\n2024", '\n"a\nb",2024').replace("2.5", "x"), r"row 4: number must be"),
        (gzip.compress(PLAIN.encode())[:-9], "damaged gzip file"),
    ],
)
def test_what_is_not_clear_is_refused_with_place_rule_and_value(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


def test_row_number_is_the_one_an_editor_shows_after_blank_lines(tmp_path):
    with pytest.raises(DataError, match="row 6: number"):
        read(tmp_path, PLAIN + "\n\n2024-01-03,no,x\n")


def test_message_counts_the_rows_that_share_the_fault(tmp_path):
    with pytest.raises(DataError, match=r"row 2: .*\(found 'no2'; 2 more rows like it\)"):
        read(tmp_path, "datetime,returned,number\n" + "2024-01-01,no2,1\n" * 3)


def test_folder_and_missing_file_are_refused(tmp_path):
    with pytest.raises(DataError, match="found a folder"):
        read_purchases(tmp_path)
    with pytest.raises(DataError, match="No such file"):
        read_purchases(tmp_path / "none.csv")


def test_labels_on_the_command_line():
    assert parse_labels("yes, no,Y").tolist() == [1, 0, 1]
    with pytest.raises(DataError, match=r"label 2: expected yes or no \(found ''\)"):
        parse_labels("yes,")
