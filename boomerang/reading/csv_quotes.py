"""Quotes of a CSV: a stray one turns the rows after it into one cell, so what is not clear is refused."""

import re

import numpy as np
import pandas as pd

from boomerang.base.errors import DataError

QUOTED = r'"[^"]*(?:""[^"]*)*"(?!")'
# All that a table is made of: bare text, a quote inside a bare cell, a quoted cell that ends where a cell may end.
PIECE = re.compile(rf'[^"]+|(?<=[^,\n])"|{QUOTED}(?=[ \t]*(?:[,\n]|\Z))')


def check_quotes(name: str, body: str, first_row: int) -> None:
    """Refuse a quoted cell that never ends, or that ends before other text.

    Parameters
    ----------
    name : str
        The file, for messages.
    body : str
        From the header on.
    first_row : int
        Row of the header.

    Raises
    ------
    DataError
        With the row where the quote is opened.
    """
    if '"' not in body or not PIECE.sub("", body):
        return
    end = 0
    for piece in PIECE.finditer(body):
        if piece.start() > end:
            break
        end = piece.end()
    row = first_row + body.count("\n", 0, end)
    cell = re.compile(QUOTED).match(body, end)
    if cell is None:
        raise DataError(f"{name} row {row}: a quote is opened and never closed")
    closed, after = row + cell[0].count("\n"), body[cell.end() : cell.end() + 200].partition("\n")[0]
    raise DataError(
        f"{name} row {row}: a quote is opened and closed before other text: expected a comma or the end of the line "
        f"(found {after!r} in row {closed})"
    )


def check_swallowed(name: str, first_row: int, body: str, bounds: np.ndarray, patterns: list[str]) -> None:
    """Refuse a row over several lines two of which are rows by themselves: two stray quotes make one cell of them.

    Parameters
    ----------
    name : str
        The file, for messages.
    first_row : int
        Row of the first line of `body`.
    body : str
        Below the header.
    bounds : ndarray of shape (n_rows, 2), int
        First line and end of each row, counted in `body`.
    patterns : list of str
        What a cell of each column is surely meant as.

    Raises
    ------
    DataError
        With the row where the quote is opened.
    """
    lines = pd.Series(body.split("\n"), dtype="str")
    has_cells = lines.str.count(",").to_numpy() == len(patterns) - 1
    n_before = np.concatenate([[0], np.cumsum(has_cells)])
    # In a row that is right, one line at most holds all the cells that a row must have.
    for start, end in bounds[np.diff(n_before[bounds], axis=1)[:, 0] > 1]:
        if sum(_is_row(line, patterns) for line in lines[start:end]) > 1:
            first, last = first_row + start, first_row + end - 1
            raise DataError(
                f"{name} row {first}: an unclosed quote makes one cell of rows {first} to {last} "
                f"(found {lines[start][:200]!r})"
            )


def _is_row(line: str, patterns: list[str]) -> bool:
    cells = line.split(",")
    return len(cells) == len(patterns) and all(
        re.fullmatch(pattern, cell.strip(' \t"'), re.IGNORECASE) for pattern, cell in zip(patterns, cells, strict=True)
    )
