"""A purchase history from CSV to a checked table.

Every cell is read as text and then parsed by the rules below, so nothing is guessed: what is not clearly meant is
refused with file, row, column, the value found and what was expected.
"""

import csv
import gzip
import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from stages.lib.errors import DataError

COLUMNS = ("datetime", "returned", "number")
YES = ("yes", "y", "true", "t", "1")
NO = ("no", "n", "false", "f", "0")
ISO_8601 = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?|\d{4}-\d{2}-\d{2}"
NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Purchases:
    """A purchase history in time order.

    Attributes
    ----------
    table : DataFrame
        `datetime` (datetime64[us], naive local time), `returned` (int8, 0 or 1) and `number` (float64, finite), sorted
        by datetime, ties in file order.
    normalised : list of str
        What was not in the plain form and how it was read.
    """

    table: pd.DataFrame
    normalised: list[str] = field(default_factory=list)


def read_purchases(path: Path) -> Purchases:
    """Read the CSV, or gzipped CSV, at `path`.

    Raises
    ------
    DataError
        If the file cannot be read as purchases; the message names row, column, value and rule.
    """
    normalised: list[str] = []
    text = _decode(path, normalised)
    cells = _split(path.name, text, normalised)
    lines = cells.index.to_numpy()

    labels = cells["returned"].str.strip().str.lower()
    _refuse(path.name, lines, cells["returned"], ~labels.isin(YES + NO), "one of yes/no/y/n/true/false/t/f/1/0")
    if not cells["returned"].isin(("yes", "no")).all():
        normalised.append("returned: labels other than plain yes/no were read by their meaning")

    times = cells["datetime"].str.strip()
    is_iso = times.str.fullmatch(ISO_8601)
    parsed = pd.to_datetime(times.where(is_iso), format="ISO8601", errors="coerce")
    _refuse(path.name, lines, cells["datetime"], parsed.isna(), "an ISO 8601 date like 2024-03-31 18:05:00")

    numbers = cells["number"].str.strip()
    values = pd.to_numeric(numbers.where(numbers.str.fullmatch(NUMBER)), errors="coerce").astype("float64")
    _refuse(path.name, lines, cells["number"], ~np.isfinite(values), "a finite number like 3 or 19.90")

    table = pd.DataFrame(
        {
            "datetime": parsed.astype("datetime64[us]"),
            "returned": labels.isin(YES).astype("int8"),
            "number": values,
        }
    )
    if not table["datetime"].is_monotonic_increasing:
        normalised.append("datetime: rows out of order were sorted; ties keep the order of the file")
    table = table.sort_values("datetime", kind="stable", ignore_index=True)
    return Purchases(table, normalised)


def parse_labels(text: str) -> np.ndarray:
    """Labels written as `yes,no,yes` as an array of shape (n,), int8, 1 for yes.

    Raises
    ------
    DataError
        At the first label that is neither a yes nor a no.
    """
    labels = [label.strip() for label in text.split(",")]
    for position, label in enumerate(labels, start=1):
        if label.lower() not in YES + NO:
            raise DataError(f"history, label {position}: expected yes or no (found {label!r})")
    return np.array([label.lower() in YES for label in labels], dtype=np.int8)


def _decode(path: Path, normalised: list[str]) -> str:
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise DataError(f"{path}: expected a CSV file (found a folder)") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if content.startswith(GZIP_MAGIC):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise DataError(f"{path}: damaged gzip file: {error}") from None
    if b"\x00" in content:
        raise DataError(f"{path}: expected UTF-8 text (found NUL bytes, as UTF-16 or a binary file has them)")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path} row {row}: expected UTF-8 text (found byte 0x{content[error.start]:02x})") from None
    if text.startswith("\ufeff"):
        normalised.append("file: byte order mark removed")
        text = text.removeprefix("\ufeff")
    if "\r" in text:
        normalised.append("file: line ends CR or CRLF read as LF")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text


def _split(name: str, text: str, normalised: list[str]) -> pd.DataFrame:
    """The three columns as text, indexed by the row number that an editor shows (the first line of the file is 1)."""
    body = text.lstrip()
    if not body:
        raise DataError(f"{name}: expected a header row {','.join(COLUMNS)} (found an empty file)")
    if body.count('"') % 2:
        raise DataError(f"{name}: a quote is opened and never closed")
    first_line = text[: len(text) - len(body)].count("\n") + 1
    header = _check_header(name, first_line, body, normalised)
    cells = _parse_cells(name, first_line, body, header)
    if '"' in body:
        # A quoted cell may hold line ends, which an editor counts.
        inside = sum(cells[column].str.count("\n") for column in cells)
        cells.index += inside.shift(fill_value=0).cumsum()
    blank = (cells == "").all(axis=1)
    if blank.any():
        normalised.append(f"blank lines skipped: {int(blank.sum())}")
    if blank.all():
        raise DataError(f"{name}: expected purchases below the header (found none)")
    return cells.loc[~blank, list(COLUMNS)]


def _check_header(name: str, row: int, body: str, normalised: list[str]) -> list[str]:
    """The column names, lower case and stripped, once it is clear that the three needed are among them."""
    line = body.partition("\n")[0]
    header = [cell.strip().lower() for cell in next(csv.reader([line]))]
    if not set(COLUMNS) <= set(header):
        separator = next((mark for mark in (";", "\t", "|") if mark in line), None)
        hint = f"; it looks separated by {separator!r}, save it separated by commas" if separator else ""
        raise DataError(f"{name} row {row}: expected the columns {', '.join(COLUMNS)} (found {line!r}{hint})")
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise DataError(f"{name} row {row}: each column must stand once (found twice: {', '.join(twice)})")
    if ignored := [column for column in header if column not in COLUMNS]:
        normalised.append(f"columns ignored: {', '.join(ignored)}")
    return header


def _parse_cells(name: str, first_line: int, body: str, header: list[str]) -> pd.DataFrame:
    """Every row below the header as text, indexed by row number; lines of spaces alone are left out."""
    of_blanks, misshapen = [], []

    def judge(row: arrow_csv.InvalidRow) -> str:
        (misshapen if row.text.strip() else of_blanks).append(row)
        return "skip"

    try:
        table = arrow_csv.read_csv(
            io.BytesIO(body.encode()),
            # One thread and one block: only then are rows numbered.
            read_options=arrow_csv.ReadOptions(
                use_threads=False, block_size=max(1024, 2 * len(body)), column_names=header
            ),
            parse_options=arrow_csv.ParseOptions(
                newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=judge
            ),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
        )
    except pa.ArrowInvalid as error:
        raise DataError(f"{name}: not a table of comma-separated cells: {error}") from None
    if misshapen:
        row = misshapen[0]
        where, found = first_line + row.number - 1, f"{row.actual_columns}: {row.text!r}"
        raise DataError(f"{name} row {where}: expected {len(header)} cells (found {found})")
    rows = np.delete(np.arange(len(table) + len(of_blanks)), [row.number - 1 for row in of_blanks])
    return table.slice(1).to_pandas().set_index(first_line + rows[1:])


def _refuse(name: str, lines: np.ndarray, column: pd.Series, bad: pd.Series, expected: str) -> None:
    """Raise DataError for the first row of `column` where `bad` holds, and say how many others share its fault."""
    positions = np.flatnonzero(bad.to_numpy())
    if positions.size == 0:
        return
    first = positions[0]
    others = f"; {positions.size - 1:,} more rows like it" if positions.size > 1 else ""
    raise DataError(
        f"{name} row {lines[first]}: {column.name} must be {expected} (found {column.iloc[first]!r}{others})"
    )
