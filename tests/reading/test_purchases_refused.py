"""Purchase histories that are refused, and what of them is read where bad rows are dropped."""

import gzip

import numpy as np
import pytest

from boomerang.base.errors import DataError
from tests.reading.support import HEADER, PLAIN, read, with_date, with_label, with_number

STRAY = (
    "note,datetime,returned,number\na,2024-01-01 10:00,no,1\nb,2024-01-02 10:00,yes,2\nc,2024-01-03 10:00,no,1\n"
    "d,2024-01-04 10:00,no,1\ne,2024-01-05 10:00,yes,2\nf,2024-01-06 10:00,no,1\n"
)

REFUSED = {
    "empty": ("", r"expected a header row datetime,returned,number \(found an empty file\)"),
    "blanks only": (" \n\n", "found an empty file"),
    "header only": (HEADER, r"expected rows below the header \(found none\)"),
    "missing column": ("datetime,returned\n2024-01-01,no\n", r"row 1: expected the columns .*, without number\)"),
    "no header": ("2024-01-01,no,1\n", r"row 1: expected the columns .*found '2024-01-01,no,1'"),
    "duplicate column": ("datetime,returned,number,Number\n2024-01-01,no,1,1\n", r"found twice: number"),
    "semicolons": (PLAIN.replace(",", ";"), r"looks separated by ';': save it separated by commas"),
    "tabs": (PLAIN.replace(",", "\t"), r"looks separated by '\\t'"),
    "bars": (PLAIN.replace(",", "|"), r"looks separated by '\|'"),
    "short row": (
        PLAIN + "2024-01-03,no\n",
        r"row 4: expected as many cells as the header has, 3, not 2 \(found '2024-01-03,no'\)",
    ),
    "long row": (PLAIN + "2024-01-03,no,1,2\n", r"row 4: expected as many .* 3, not 4 \(found '2024-01-03,no,1,2'\)"),
    "short row after a cell of two lines": (
        'note,datetime,returned,number\n"a\nb",2024-01-01,no,1\nx,2024-01-02\n',
        r"row 4: expected as many cells .*\(found 'x,2024-01-02'\)",
    ),
    "repeated header": (PLAIN + HEADER, r"row 4: expected a purchase, not the header again"),
    "UTF-16": (PLAIN.encode("utf-16"), "found UTF-16: save it as UTF-8"),
    "UTF-16 without a mark": (PLAIN.encode("utf-16-le"), "found UTF-16 without a byte order mark: save it as UTF-8"),
    "gzip within gzip": (gzip.compress(gzip.compress(PLAIN.encode())), "gzip within gzip: unpack it once"),
    "Latin-1": (PLAIN.encode() + b"2024-01-03,\xe9,1\n", r"row 4: expected UTF-8 text \(found byte 0xe9, as Latin-1"),
    "Latin-1 after CR": (PLAIN.replace("\n", "\r").encode() + b"\xe9", r"row 4: expected UTF-8"),
    "NUL byte": (with_label("y\0s"), r"row 3: expected UTF-8 text \(found a NUL byte\)"),
    "Excel workbook": (b"PK\x03\x04rest", "an Excel workbook or zip archive: save it as CSV"),
    "parquet": (b"PAR1rest", "a parquet file"),
    "unclosed quote": (PLAIN + '2024-01-03,no,"1\n', "row 4: a quote is opened and never closed"),
    "text after a quoted cell": (
        STRAY.replace("\nb,", '\n"b,').replace("\ne,", '\n"e,'),
        r"row 3: a quote is opened and closed before other text: .*\(found 'e,2024-01-05 10:00,yes,2' in row 6\)",
    ),
    "rows between stray quotes": (
        STRAY.replace("\nb,", '\n"b,').replace("\ne,", '\ne",'),
        "row 3: an unclosed quote makes one cell of rows 3 to 6",
    ),
    "misshapen row between stray quotes": (
        STRAY.replace("\nb,", '\n"b,').replace("04 10:00,", '04 10:00",'),
        "row 3: an unclosed quote makes one cell of rows 3 to 5",
    ),
    "row of blank cells": (PLAIN + ",,\n", r"row 4: datetime must not be blank \(found ''\)"),
    "damaged gzip": (gzip.compress(PLAIN.encode())[:-9], "damaged gzip file"),
    "gzip of rubbish": (b"\x1f\x8b" + b"x" * 50, "damaged gzip file"),
    "unknown label": (with_label("maybe"), r"row 3: returned must be one of yes/y/true.*\(found 'maybe'\)"),
    "label 2": (with_label("2"), r"row 3: returned must be one of .*\(found '2'\)"),
    "label nan": (with_label("nan"), r"row 3: returned must be one of .*\(found 'nan'\)"),
    "blank label": (with_label(""), r"row 3: returned must not be blank, unless open_returned is set \(found ''\)"),
    "blank date": (with_date(" "), r"row 2: datetime must not be blank \(found ' '\)"),
    "blank number": (with_number(""), r"row 3: number must not be blank"),
    "inf": (with_number("inf"), r"row 3: number must be a finite number.*\(found 'inf'\)"),
    "minus infinity": (with_number("-Infinity"), r"row 3: number must be a finite number"),
    "beyond float64": (with_number("1e309"), r"row 3: number must be a finite number.*\(found '1e309'\)"),
    "nan": (with_number("NaN"), r"row 3: number must be a finite number.*\(found 'NaN'\)"),
    "hexadecimal": (with_number("0x10"), r"row 3: number must be .*\(found '0x10'\)"),
    "underscore": (with_number("1_000"), r"row 3: number must be .*\(found '1_000'\)"),
    "thousands comma": (with_number('"1,234"'), r"row 3: number must be .*without decimal or thousands comma.*'1,234'"),
    "decimal comma": (with_number('"2,5"'), r"row 3: number must be .*without decimal or thousands comma.*'2,5'"),
    "thousands comma unquoted": (with_number("1,234"), r"row 3: expected as many cells"),
    "currency": (with_number("£2.50"), r"row 3: number must be .*\(found '£2.50'\)"),
    "text": (with_number("two"), r"row 3: number must be .*\(found 'two'\)"),
    "Arabic digits": (with_number("\N{ARABIC-INDIC DIGIT THREE}"), r"row 3: number must be a finite number"),
    "fullwidth digits in a date": (
        with_date("\N{FULLWIDTH DIGIT TWO}024-01-01"),
        r"row 2: datetime must be an ISO 8601 date",
    ),
    "inner blank": (with_number("2 5"), r"row 3: number must be a finite number"),
    "two points": (with_number("1.234.5"), r"row 3: number must be a finite number"),
    "2^53 + 1": (with_number("9007199254740993"), r"row 3: number must be exact in float64.*'9007199254740993'"),
    "2^53 + 1 with a point": (with_number("9007199254740993.0"), r"row 3: number must be exact in float64"),
    "2^53 + 1 with an exponent": (with_number("9007199254740993e0"), r"row 3: number must be exact in float64"),
    "2^53 + 1 with a negative exponent": (with_number("90071992547409930e-1"), r"row 3: number must be exact"),
    "below float64": (with_number("1e-400"), r"row 3: number must be .*, not too small for float64 \(found '1e-400'\)"),
    "number of 5000 digits": (with_number("0" * 5000 + "5"), r"row 3: number must have at most 400 characters"),
    "date without end": (with_date("2" * 5000), r"row 2: datetime must have at most 400 characters"),
    "long identifier": (with_number("12345678901234567891"), r"row 3: number must be exact in float64"),
    "time alone": (with_date("10:00"), r"row 2: datetime must be an ISO 8601 date.*\(found '10:00', a time without a"),
    "epoch seconds": (with_date("1704103200"), r"row 2: datetime must be .*'1704103200', an epoch number"),
    "epoch milliseconds": (with_date("1704103200000"), "an epoch number"),
    "30 February": (with_date("2024-02-30 10:00:00"), r"row 2: .*'2024-02-30 10:00:00', a day or time that does not"),
    "29 February of a common year": (with_date("2023-02-29"), "a day or time that does not exist"),
    "leap second": (with_date("2016-12-31T23:59:60"), "whose second '60' is a leap second: write 59 in its place"),
    "24 o'clock": (with_date("2024-01-01 24:00"), "a day or time that does not exist"),
    "year 0": (with_date("0000-01-01"), "a day or time that does not exist"),
    "day or month first": (
        with_date("03/04/2024"),
        r"found '03/04/2024', which is 3 April 2024 with %d/%m/%Y or 4 March 2024 with %m/%d/%Y: say which",
    ),
    "day first for sure": (with_date("31.12.2024 10:00"), r"which is 31 December 2024 with %d.%m.%Y %H:%M: say"),
    "ISO without leading zeros": (with_date("2024-1-1"), "which is 1 January 2024 with %Y-%m-%d: say which in prepare"),
    "week date": (with_date("2024-W01-1"), "for another form set prepare.datetime_format"),
    "two offsets": (
        PLAIN.replace(":00,", ":00+01:00,").replace(":30,", ":30+02:00,"),
        r"row 3: datetime must have one offset throughout, or prepare.timezone must say",
    ),
    "one row without an offset": (PLAIN.replace(":00,", ":00+01:00,"), r"row 3: datetime must have an offset like the"),
    "offset of a day": (
        PLAIN.replace(":00,", ":00+25:00,").replace(":30,", ":30+25:00,"),
        r"'\+25:00', no offset that exists",
    ),
    "row after blank lines": (PLAIN + "\n\n2024-01-03,no,x\n", r"row 6: number must be"),
    "row after leading blank lines": ("\n \n" + with_number("x"), r"row 5: number must be"),
    "row after a header of two lines": (
        '"no\nte",datetime,returned,number\na,2024-01-01,no,1\nb,2024-01-02,no,x\n',
        "row 4: number must be",
    ),
    "short row of two lines": (
        'note,datetime,returned,number\n"a\nb",2024-01-01\na,2024-01-02,no,x\n',
        r"row 2: expected as many cells .*, 4, not 2 ",
    ),
    "row after cells of two lines": (
        'note,datetime,returned,number\n"a\nb",2024-01-01,no,1\n"a\nb",2024-01-02,no,x\n',
        "row 4: number must be",
    ),
    "first of several faults": (HEADER + "2024-01-01,no,x\n2024-01-02,maybe,1\n", "row 2: number must be"),
    "another like it": (HEADER + "2024-01-01,no2,1\n" * 2, r"row 2: .*\(found 'no2'; 1 more row like it\)"),
    "others like it": (HEADER + "2024-01-01,no2,1\n" * 3, r"row 2: .*\(found 'no2'; 2 more rows like it\)"),
    "offset without a time": (with_date("2024-03-31+01:00"), "a date with an offset but without a time"),
    "Z without a time": (with_date("2024-03-31Z"), "a date with an offset but without a time"),
    "offset of 99 minutes": (with_date("2024-03-31T10:00+01:99"), r"'\+01:99', no offset that exists"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_clear_is_refused_with_place_rule_and_value(tmp_path, case):
    content, message = REFUSED[case]
    with pytest.raises(DataError, match=message) as refused:
        read(tmp_path, content)
    assert "purchases.csv" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("case", REFUSED)
def test_dropping_bad_rows_reads_the_rest_or_refuses_too(tmp_path, case):
    try:
        purchases = read(tmp_path, REFUSED[case][0], on_bad_rows="drop")
    except DataError:
        return
    assert sum(purchases.dropped.values()) >= 1
    assert len(purchases.table) >= 1
    assert np.isfinite(purchases.table["number"]).all()
    assert purchases.table["datetime"].notna().all()


def test_dropped_rows_are_counted_once_by_reason(tmp_path):
    rows = "2024-01-01,no,x\n2024-01-02,maybe,y\n2024-01-03,yes\n2024-02-30,no,1\n2024-01-05,yes,7\n"
    purchases = read(tmp_path, HEADER + rows, on_bad_rows="drop")
    assert purchases.table["number"].tolist() == [7.0]
    assert purchases.dropped == {
        "cells too few or too many": 1,
        "returned not a label": 1,
        "datetime not a date": 1,
        "number not a finite number": 1,
    }


def test_nothing_left_after_dropping_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no purchase is left, every row is bad; the first: row 2: number"):
        read(tmp_path, HEADER + "2024-01-01,no,x\n", on_bad_rows="drop")


def test_structural_faults_are_refused_while_dropping(tmp_path):
    cases = ("empty", "missing column", "semicolons", "UTF-16", "unclosed quote", "two offsets")
    stray = ("text after a quoted cell", "rows between stray quotes", "misshapen row between stray quotes")
    for case in (*cases, *stray):
        with pytest.raises(DataError):
            read(tmp_path, REFUSED[case][0], on_bad_rows="drop")
