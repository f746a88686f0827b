"""A CSV as cells of text, each row with the number that an editor shows.

What makes a text no table of comma-separated cells is refused here; what a cell may hold is not known here.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from boomerang.base.errors import DataError
from boomerang.reading.csv_quotes import check_quotes, check_swallowed
from boomerang.reading.csv_text import read_text
from boomerang.reading.repeats import number_cells

# A row must fit into a block. Arrow counts blocks in 32 bits, and reads them one by one.
MAX_BLOCK = 2**26


@dataclass(frozen=True)
class Cells:
    """The rows of a CSV as text.

    Attributes
    ----------
    table : DataFrame of str
        Columns by their lower-case, stripped names, indexed by row number: the first line of the file is 1, a quoted
        cell over two lines counts two.
    n_columns : int
        Cells of the header, those of ignored columns too.
    misshapen : list of (int, int, str)
        Row number, number of cells and text of the rows that have too few or too many; they are not in `table`.
    others : DataFrame of str
        The columns that were not asked for, of the same rows; none unless they are to be kept. A further column that
        must be there is among them in any case.
    numbers : Series of int64
        The same number for rows alike in every column that was not asked for.
    """

    table: pd.DataFrame
    n_columns: int
    misshapen: list[tuple[int, int, str]]
    others: pd.DataFrame
    numbers: pd.Series


def read_cells(
    path: Path,
    columns: dict[str, str],
    notes: list[str],
    keep_others: bool = False,
    further: Mapping[str, str] | None = None,
) -> Cells:
    """Read the CSV, or gzipped CSV, at `path`.

    Parameters
    ----------
    path : Path
        The file.
    columns : dict of str to str
        Columns that must be there, in any order, and the pattern of a cell that is surely meant as one of theirs; other
        columns are left out.
    notes : list of str
        Gets what was not in the plain form and how it was read.
    keep_others : bool
        Keep the other columns too, as `Cells.others`.
    further : mapping of str to str, optional
        Other columns that must be there, each with the rule that a message names where it is not: `group_column must be
        a column`. It is found by its name, in upper or lower case, and kept in `Cells.others` by the name asked for.

    Raises
    ------
    DataError
        If the file is no UTF-8 table of comma-separated cells with these columns once each.
    """
    text = read_text(path, notes)
    leading = re.match(r"(?:[^\S\n]*\n)*", text)
    body = text[leading.end() :] if leading else text
    if not body.strip():
        raise DataError(f"{path.name}: expected a header row {','.join(columns)} (found an empty file)")
    n_leading = text.count("\n", 0, len(text) - len(body))
    check_quotes(path.name, body, n_leading + 1)
    header, n_lines = _read_header(path.name, n_leading + 1, body)
    header, others = _check_header(path.name, n_leading + 1, header, body.partition("\n")[0], tuple(columns), notes)
    further = further or {}
    for asked, rule in further.items():
        header = _find_further(path.name, n_leading + 1, header, asked, rule)
    others = [name for name in others if name not in {asked.lower() for asked in further}]
    if others and not keep_others:
        notes.append(f"columns ignored: {_list(others)}")
    body = body.split("\n", n_lines)[n_lines] if body.count("\n") >= n_lines else ""
    if not body.strip():
        raise DataError(f"{path.name}: expected rows below the header (found none)")
    kept = [name for name in header if name not in columns and (keep_others or name in further)]
    cells, n_blank = _parse(path.name, n_leading + n_lines + 1, body, header, columns, kept)
    if n_leading + n_blank:
        notes.append(f"file: blank lines skipped: {n_leading + n_blank}")
    return cells


def _read_header(name: str, row: int, body: str) -> tuple[list[str], int]:
    """The cells of the header and the lines it takes: a quoted name may hold line ends."""
    reader = csv.reader(line[0] for line in re.finditer(r"[^\n]*\n?", body))
    try:
        return next(reader), reader.line_num
    except csv.Error as error:
        raise DataError(f"{name} row {row}: expected a header of comma-separated names (found {error})") from None


def _check_header(
    name: str, row: int, header: list[str], line: str, columns: tuple[str, ...], notes: list[str]
) -> tuple[list[str], list[str]]:
    """The column names, once it is clear that those needed are among them, and those of the others in lower case.

    Names are stripped, those needed are in lower case. Columns without a name, as spreadsheets append them, get one
    that no other has.
    """
    names = [cell.strip().lower() for cell in header]
    if not set(columns) <= set(names):
        separator = next((mark for mark in (";", "\t", "|") if mark in line), None)
        hint = f"; it looks separated by {separator!r}: save it separated by commas" if separator else ""
        missing = ", ".join(column for column in columns if column not in names)
        raise DataError(
            f"{name} row {row}: expected the columns {', '.join(columns)} (found {line[:200]!r}, "
            f"without {missing}{hint})"
        )
    if twice := sorted(column for column, count in Counter(names).items() if column and count > 1):
        raise DataError(f"{name} row {row}: each column must stand once (found twice: {_list(twice)})")
    if any(cell != column for cell, column in zip(header, names, strict=True) if column in columns):
        notes.append("columns: names read in lower case, without outer blanks")
    if (order := [column for column in names if column in columns]) != list(columns):
        notes.append(f"columns: in the order {', '.join(order)}")
    found = [column if column in columns else cell.strip() for cell, column in zip(header, names, strict=True)]
    others = [column for column in names if column not in columns]
    return [column or f"\n{position}" for position, column in enumerate(found)], others


def _find_further(name: str, row: int, header: list[str], asked: str, rule: str) -> list[str]:
    """The header with the name of a further column as it was asked for; raises DataError where there is none."""
    alike = [column for column in header if column.lower() == asked.lower()]
    if not alike:
        shown = _list([column if not column.startswith("\n") else "" for column in header])
        raise DataError(f"{name} row {row}: {rule} of the file (found {asked!r}, not in {shown})")
    return [asked if column == alike[0] else column for column in header]


def _list(columns: list[str]) -> str:
    """Names from a file, safe to print on one line, each once."""
    shown = (column if column.isprintable() else repr(column) for column in columns)
    return ", ".join(dict.fromkeys(column[:200] or "(no name)" for column in shown))


def _parse(
    name: str, first_row: int, body: str, header: list[str], columns: dict[str, str], others: list[str]
) -> tuple[Cells, int]:
    """Every row of `body`, which starts below the header, and how many blank lines were left out; keeps `others`."""
    table, skipped = _read_arrow(name, body, header)
    is_whole = np.ones(len(table) + len(skipped), dtype=bool)
    is_whole[[row.number - 1 for row in skipped]] = False
    # A quoted cell may hold line ends, which an editor counts.
    n_inside = np.zeros(len(is_whole), dtype=int)
    if '"' in body:
        n_inside[is_whole] = sum(pc.count_substring(cells, "\n").to_numpy() for cells in table.columns)
        n_inside[~is_whole] = [row.text.count("\n") for row in skipped]
    starts = np.arange(len(is_whole)) + np.cumsum(n_inside) - n_inside
    if n_inside.any():
        bounds = np.column_stack([starts, starts + n_inside + 1])
        check_swallowed(name, first_row, body, bounds, [columns.get(column, ".*") for column in header])
    misshapen = [
        (first_row + int(start), row.actual_columns, row.text)
        for start, row in zip(starts[~is_whole], skipped, strict=True)
        if row.text.strip()
    ]
    cells = table.select([*columns, *others]).to_pandas()
    cells.index = starts[is_whole]
    numbers = number_cells(table.drop_columns(list(columns)))
    blank = (cells[list(columns)] == "").all(axis=1)
    if blank.any():
        # Blank cells, as in `,,`, are no blank line.
        lines = pd.Series(body.split("\n"), dtype="str")
        blank[blank] = (lines[cells.index[blank]].str.strip() == "").to_numpy()
    cells, numbers = cells[~blank], numbers[~blank.to_numpy()]
    cells.index += first_row
    n_blank = int(blank.sum()) + len(skipped) - len(misshapen)
    alike = pd.Series(numbers, index=cells.index)
    return Cells(cells[list(columns)], len(header), misshapen, cells[others], alike), n_blank


def _read_arrow(name: str, body: str, header: list[str]) -> tuple[pa.Table, list[arrow_csv.InvalidRow]]:
    """Rows with as many cells as the header, and the others with their numbers from 1."""
    skipped: list[arrow_csv.InvalidRow] = []

    def skip(row: arrow_csv.InvalidRow) -> str:
        skipped.append(row)
        return "skip"

    content = body.encode()
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(content),
            # One thread: only then are rows numbered.
            read_options=arrow_csv.ReadOptions(
                use_threads=False, block_size=min(len(content) + 1024, MAX_BLOCK), column_names=header
            ),
            parse_options=arrow_csv.ParseOptions(
                newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=skip
            ),
            convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
        )
    except pa.ArrowInvalid as error:
        reason = f"a row longer than {MAX_BLOCK:,} bytes" if "straddling" in str(error) else error
        raise DataError(f"{name}: not a table of comma-separated cells: {reason}") from None
    return table, skipped
