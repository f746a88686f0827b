"""A CSV as cells of text, each row with the number that an editor shows.

What makes a file no table of comma-separated cells is refused here; what a cell may hold is not known here.
"""

import csv
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv as arrow_csv

from stages.lib.errors import DataError

# How files start that are often taken for a CSV, and what to do about it.
GZIP_MAGIC = b"\x1f\x8b"
FOREIGN_STARTS = {
    b"PK\x03\x04": "an Excel workbook or zip archive: save it as CSV",
    b"\xff\xfe": "UTF-16: save it as UTF-8",
    b"\xfe\xff": "UTF-16: save it as UTF-8",
    b"%PDF": "a PDF: export a CSV",
    b"PAR1": "a parquet file: export a CSV",
}


@dataclass(frozen=True)
class Cells:
    """The rows of a CSV as text.

    Attributes
    ----------
    table : DataFrame of str
        Columns by their lower-case, stripped names, indexed by row number: the first line of the file is 1, a quoted
        cell over two lines counts two.
    misshapen : list of (int, str)
        Row number and text of the rows that have too few or too many cells; they are not in `table`.
    """

    table: pd.DataFrame
    misshapen: list[tuple[int, str]]


def read_cells(path: Path, columns: tuple[str, ...], notes: list[str]) -> Cells:
    """Read the CSV, or gzipped CSV, at `path`.

    Parameters
    ----------
    path : Path
        The file.
    columns : tuple of str
        Columns that must be there, in any order; others are left out.
    notes : list of str
        Gets what was not in the plain form and how it was read.

    Raises
    ------
    DataError
        If the file is no UTF-8 table of comma-separated cells with these columns once each.
    """
    text = _decode(path, notes)
    body = text.lstrip()
    if not body:
        raise DataError(f"{path.name}: expected a header row {','.join(columns)} (found an empty file)")
    first_line = text[: len(text) - len(body)].count("\n") + 1
    _check_quotes(path.name, body, first_line)
    header = _check_header(path.name, first_line, body, columns, notes)
    cells = _parse(path.name, first_line, body, header)
    blank = (cells.table == "").all(axis=1)
    if blank.any():
        notes.append(f"file: blank lines skipped: {int(blank.sum())}")
    if blank.all() and not cells.misshapen:
        raise DataError(f"{path.name}: expected rows below the header (found none)")
    return Cells(cells.table.loc[~blank, list(columns)], cells.misshapen)


def _decode(path: Path, notes: list[str]) -> str:
    try:
        content = path.read_bytes()
    except IsADirectoryError:
        raise DataError(f"{path}: expected a CSV file (found a folder)") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    if content.startswith(GZIP_MAGIC):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: damaged gzip file: {error}") from None
    for start, what in FOREIGN_STARTS.items():
        if content.startswith(start):
            raise DataError(f"{path}: expected UTF-8 text (found {what})")
    if (position := content.find(b"\x00")) >= 0:
        raise DataError(f"{path} row {_row(content, position)}: expected UTF-8 text (found a NUL byte)")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"byte 0x{content[error.start]:02x}, as Latin-1 or Windows-1252 have it: save the file as UTF-8"
        raise DataError(f"{path} row {_row(content, error.start)}: expected UTF-8 text (found {found})") from None
    if text.startswith("\ufeff"):
        notes.append("file: byte order mark removed")
        text = text.removeprefix("\ufeff")
    if "\r" in text:
        notes.append("file: line ends CR or CRLF read as LF")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text


def _row(content: bytes, position: int) -> int:
    """The row of a byte, whatever ends the lines before it."""
    before = content[:position].replace(b"\r\n", b"\n")
    return before.count(b"\n") + before.count(b"\r") + 1


def _check_quotes(name: str, body: str, first_line: int) -> None:
    if body.count('"') % 2 == 0:
        return
    # The first row with an odd number of quotes is the likeliest place; where a cell holds line ends it is one of two.
    odd = next(row for row, line in enumerate(body.split("\n"), start=first_line) if line.count('"') % 2)
    raise DataError(f"{name} row {odd}: a quote is opened and never closed")


def _check_header(name: str, row: int, body: str, columns: tuple[str, ...], notes: list[str]) -> list[str]:
    """The column names, lower case and stripped, once it is clear that those needed are among them."""
    line = body.partition("\n")[0]
    header = [cell.strip().lower() for cell in next(csv.reader([line]))]
    twice = sorted({column for column in header if header.count(column) > 1})
    if not set(columns) <= set(header):
        separator = next((mark for mark in (";", "\t", "|") if mark in line), None)
        hint = f"; it looks separated by {separator!r}: save it separated by commas" if separator else ""
        missing = ", ".join(column for column in columns if column not in header)
        raise DataError(
            f"{name} row {row}: expected the columns {', '.join(columns)} (found {line[:200]!r}, "
            f"without {missing}{hint})"
        )
    if twice:
        raise DataError(f"{name} row {row}: each column must stand once (found twice: {', '.join(twice)})")
    if ignored := [column or "(no name)" for column in header if column not in columns]:
        notes.append(f"columns ignored: {', '.join(ignored)}")
    return header


def _parse(name: str, first_line: int, body: str, header: list[str]) -> Cells:
    """Every row below the header; lines of blanks alone are left out."""
    skipped: list[arrow_csv.InvalidRow] = []

    def skip(row: arrow_csv.InvalidRow) -> str:
        skipped.append(row)
        return "skip"

    content = body.encode()
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(content),
            # One thread and one block: only then are rows numbered.
            read_options=arrow_csv.ReadOptions(
                use_threads=False, block_size=max(1024, 2 * len(content)), column_names=header
            ),
            parse_options=arrow_csv.ParseOptions(
                newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=skip
            ),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
        )
    except pa.ArrowInvalid as error:
        raise DataError(f"{name}: not a table of comma-separated cells: {error}") from None
    rows = np.delete(np.arange(len(table) + len(skipped)), [row.number - 1 for row in skipped])
    cells = table.slice(1).to_pandas().set_index(first_line + rows[1:])
    # A quoted cell may hold line ends, which an editor counts.
    n_inside = sum(cells[column].str.count("\n") for column in cells) if '"' in body else 0 * cells.index
    shift = np.concatenate([[0], np.cumsum(n_inside)])
    misshapen = [
        (first_line + row.number - 1 + int(shift[np.searchsorted(cells.index, first_line + row.number - 1)]), row.text)
        for row in skipped
        if row.text.strip()
    ]
    cells.index += shift[:-1]
    return Cells(cells, misshapen)
