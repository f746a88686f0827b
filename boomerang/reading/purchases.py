"""A purchase history from CSV to a checked table.

Every cell is read as text and then parsed by the rules below, so nothing is guessed: what is not clearly meant is
refused with file, row, column, the value found and what was expected.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from boomerang.base.columns import Columns, code_of, raw_of
from boomerang.base.ensembles import order_column
from boomerang.base.errors import DataError, about
from boomerang.base.wording import counted
from boomerang.reading.csv_cells import Cells, read_cells
from boomerang.reading.datetimes import parse_datetimes
from boomerang.reading.faults import BAD_DATE, Fault, Faults
from boomerang.reading.numbers import parse_numbers
from boomerang.reading.offsets import OWN
from boomerang.reading.repeats import Repeats, find_repeats, number_rows

YES = ("yes", "y", "true", "t", "1")
NO = ("no", "n", "false", "f", "0")
# The columns, and what a cell is like that is surely meant as one of theirs.
COLUMNS = {"datetime": ".*[0-9].*", "returned": "|".join(YES + NO), "number": ".*[0-9].*"}
# A float64 written out in full has 309 digits and then some; one cell of a megabyte would widen all others.
MAX_CELL = 400


@dataclass(frozen=True)
class Purchases:
    """A purchase history in time order.

    Attributes
    ----------
    table : DataFrame
        `datetime` (datetime64[us], naive local time), `returned` (int8, 0 or 1) and `number` (float64, finite); where
        the datetimes of the file have offsets also `instant` (datetime64[us], naive UTC). Sorted by the instant where
        there is one, else by datetime; ties in file order, those of a file that falls throughout from its end. With a
        group column also `group` (int64): the place of its value in `group_values`, -1 where the cell is blank. Where
        labels may be open also `is_open` (bool); `returned` is 0 there. Of further columns, each numeric one as
        `raw_of` calls it (float64, NaN where its cell is blank), and each categorical one as `code_of` does (int64):
        the place of its value in `categories`.
    rows : ndarray of shape (n_purchases,), int
        Where each stood in the file, as an editor numbers its rows.
    others : DataFrame of str
        The other columns of the file, row by row, where they were to be kept.
    normalised : list of str
        What was not in the plain form and how it was read.
    dropped : dict of str to int
        Rows left out, by reason.
    offset : str or None
        The offset of the local times, such as +09:00, where the datetimes share one; None with a timezone.
    repeats : Repeats
        Rows that stand several times in the file.
    group_values : list of str
        Values of the group column, in the order in which they come first. They are people: no artifact holds them.
    categories : dict of str to list of str
        By categorical column its values, in the order in which they come first; a blank cell is the value ``""``.
    """

    table: pd.DataFrame
    rows: np.ndarray
    others: pd.DataFrame
    normalised: list[str] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    offset: str | None = None
    repeats: Repeats = field(default_factory=lambda: Repeats(0, []))
    group_values: list[str] = field(default_factory=list)
    categories: dict[str, list[str]] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """What a person should know of the reading, a line each."""
        left_out = (f"rows left out, {reason}: {count}" for reason, count in self.dropped.items())
        return [*self.normalised, *left_out, *(f"warning: {line}" for line in self.repeats.warnings)]


def read_purchases(
    path: Path,
    datetime_format: str | None = None,
    timezone: str | None = None,
    on_bad_rows: str = "error",
    keep_others: bool = False,
    offset: str | None = OWN,
    group_column: str | None = None,
    open_returned: bool = False,
    columns: Columns | None = None,
) -> Purchases:
    """Read the CSV, or gzipped CSV, at `path`.

    Parameters
    ----------
    path : Path
        The file.
    datetime_format : str, optional
        A strptime pattern, where dates are not ISO 8601.
    timezone : str, optional
        An IANA zone, such as `Europe/London`: datetimes with an offset are converted to its local time.
    on_bad_rows : {"error", "drop"}
        Refuse the file at its first bad row, or leave bad rows out and count them.
    keep_others : bool
        Keep the other columns too.
    offset : str or None
        Without a timezone, the offset whose local times are kept, as for `parse_datetimes`; by default the file's own.
    group_column : str, optional
        A further column whose values tell whose purchase each is. They are text: leading zeros and case count, blanks
        around them do not.
    open_returned : bool
        Whether `returned` may be empty: not known yet.
    columns : Columns, optional
        Further columns that are read.

    Raises
    ------
    DataError
        If the file cannot be read as purchases; the message names row, column, value and rule.
    """
    notes: list[str] = []
    further = {} if group_column is None else {group_column: "group_column must be a column"}
    if columns is not None:
        further |= dict.fromkeys(columns.numeric, "numeric_columns must be columns")
        further |= dict.fromkeys(columns.categorical, "categorical_columns must be columns")
    cells = read_cells(path, COLUMNS, notes, keep_others, further)
    faults = Faults()
    text = _strip_cells(cells, faults, notes, open_returned)
    labels = _parse_labels(cells.table["returned"], text["returned"], faults, notes, open_returned)
    times, expected = parse_datetimes(path.name, text["datetime"], notes, datetime_format, timezone, offset)
    faults.add(cells.table["datetime"], times.local.isna(), BAD_DATE, expected)
    numbers = parse_numbers(text["number"], faults)
    amounts, words = _read_further(cells.others, columns, faults, notes)
    if faults.found and on_bad_rows == "error":
        raise DataError(f"{path.name} {faults.describe(datetime_format)}")
    moments = times.columns()
    table = pd.DataFrame({**moments, "returned": labels, "number": numbers}).astype(dict.fromkeys(moments, "M8[us]"))
    if open_returned:
        table["is_open"] = text["returned"] == ""
    table = pd.concat([table, pd.DataFrame(amounts, index=table.index)], axis=1)
    table = table[~table.index.isin(faults.rows)]
    if table.empty:
        first = faults.describe(datetime_format)
        raise DataError(f"{path.name}: no purchase is left, every row is bad; the first: {first}")
    table = _sort(table, notes)
    others = cells.others.loc[table.index].reset_index(drop=True)
    group_values: list[str] = []
    if group_column is not None:
        with about(path.name):
            codes, group_values = _number_groups(others[group_column], group_column, notes)
        table = table.assign(group=codes)
    found = {name: pd.factorize(of_column.loc[table.index]) for name, of_column in words.items()}
    numbered = {code_of(name): codes.astype(np.int64) for name, (codes, _) in found.items()}
    # All columns at once: one by one, many of them would cost pandas ever more.
    table = pd.concat([table, pd.DataFrame(numbered, index=table.index)], axis=1)
    others = others if keep_others else others.drop(columns=list(further))
    rows = table.index.to_numpy()
    # Two exports may spell the same purchase in two ways: what was read is compared, not how it was written.
    read = [table[name].to_numpy() for name in (*moments, "returned", "number", "is_open") if name in table]
    alike = number_rows(len(table), [cells.numbers.loc[table.index].to_numpy(), *read])
    repeats = find_repeats(table[order_column(table)].to_numpy(), alike)
    table = table.reset_index(drop=True)
    categories = {name: values.tolist() for name, (_, values) in found.items()}
    return Purchases(table, rows, others, notes, faults.counts, times.offset, repeats, group_values, categories)


def _read_further(
    others: pd.DataFrame, columns: Columns | None, faults: Faults, notes: list[str]
) -> tuple[dict[str, pd.Series], dict[str, pd.Series]]:
    """Numbers of the numeric columns, NaN for blanks, as `raw_of` calls them, and the text of each categorical one."""
    if columns is None:
        return {}, {}
    text = {name: _strip_further(others[name], faults) for name in columns.names}
    amounts = {}
    for name in columns.numeric:
        is_blank = text[name] == ""
        amounts[raw_of(name)] = parse_numbers(text[name][~is_blank], faults, name).reindex(others.index)
        if is_blank.any():
            notes.append(f"{name}: {is_blank.sum():,} of {len(is_blank):,} cells are blank: not given")
    return amounts, {name: text[name] for name in columns.categorical}


def _strip_further(cells: pd.Series, faults: Faults) -> pd.Series:
    """The cells of a further column without outer blanks; too long ones are faults, and blank."""
    text: pd.Series = cells.str.strip()
    is_long = text.str.len() > MAX_CELL
    faults.add(cells, is_long, f"{cells.name} too long", f"{cells.name} must have at most {MAX_CELL} characters")
    return text.mask(is_long, "")


def _number_groups(cells: pd.Series, name: str, notes: list[str]) -> tuple[np.ndarray, list[str]]:
    """The codes of the groups, of shape (n_purchases,), int64, -1 for nobody, and the values that they stand for."""
    values = cells.str.strip()
    codes, found = pd.factorize(values.mask(values == ""))
    n_blank = int((codes < 0).sum())
    if n_blank == len(codes):
        raise DataError(f"group_column {name}: all {counted(len(codes), 'cell')} are blank, so nobody has a past")
    if len(found) == 1 and len(codes) > 1:
        notes.append(f"{name}: a single value in all purchases, so there is one history, as without a group column")
    if len(found) == len(codes) - n_blank > 1:
        notes.append(
            f"{name}: every value stands once, as that of an order number does, so no purchase has a past; a group "
            f"column tells whose purchases belong together"
        )
    if n_blank:
        notes.append(f"{name}: {n_blank:,} of {len(codes):,} cells are blank: purchases of nobody that is known")
    return codes.astype(np.int64), found.tolist()


def _sort(table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """The rows in time order: a file that falls throughout has its latest purchase first, among ties too."""
    column = order_column(table)
    order = table[column]
    if order.is_monotonic_increasing:
        return table
    if order.is_monotonic_decreasing:
        notes.append("datetime: rows fall throughout (newest first) and were sorted from the end of the file, ties too")
        return table.iloc[::-1]
    n_ties = int(order.duplicated(keep=False).sum())
    notes.append(
        "datetime: rows out of order were sorted; ties keep the order of the file: "
        f"{n_ties:,} of {len(table):,} purchases share their datetime with another"
    )
    return table.sort_values(column, kind="stable")


def _strip_cells(cells: Cells, faults: Faults, notes: list[str], open_returned: bool) -> pd.DataFrame:
    """The cells without outer blanks; too long ones are blank. Notes faults that any column can have."""
    if cells.misshapen:
        rows, counts, texts = zip(*cells.misshapen, strict=True)
        expected = f"expected as many cells as the header has, {cells.n_columns}, not {counts[0]}"
        faults.found.append(Fault("cells too few or too many", np.array(rows), texts, expected))
    text: pd.DataFrame = cells.table.apply(lambda column: column.str.strip())
    if (text != cells.table).any(axis=None):
        notes.append("cells: outer blanks left out")
    is_header = pd.concat([text[name].str.lower() == name for name in COLUMNS], axis=1).all(axis=1)
    faults.add(cells.table["datetime"], is_header, "repeated header", "expected a purchase, not the header again")
    for name in COLUMNS:
        is_long = text[name].str.len() > MAX_CELL
        faults.add(text[name], is_long, f"{name} too long", f"{name} must have at most {MAX_CELL} characters")
        text[name] = text[name].mask(is_long, "")
        if not (open_returned and name == "returned"):
            unless = ", unless open_returned is set" if name == "returned" else ""
            faults.add(cells.table[name], text[name] == "", f"{name} blank", f"{name} must not be blank{unless}")
    return text


def _parse_labels(
    cells: pd.Series, text: pd.Series, faults: Faults, notes: list[str], open_returned: bool
) -> pd.Series:
    """1 for yes, 0 for no and for what is neither, int8."""
    labels = text.str.lower()
    also = ("",) if open_returned else ()
    expected = f"returned must be one of {'/'.join(YES + NO)}{' or empty' if open_returned else ''}"
    faults.add(cells, ~labels.isin(YES + NO + also), "returned not a label", expected)
    others = text[~text.isin(("yes", "no")) & labels.isin(YES + NO)].value_counts()
    if len(others):
        notes.append(f"returned: {_list_words({str(word): int(count) for word, count in others.items()})}")
    return labels.isin(YES).astype("int8")


def _list_words(counts: dict[str, int]) -> str:
    """Which words were read as yes and which as no, the most frequent first: `Y (12) read as yes; 0 (3) read as no`."""
    words = sorted(counts, key=lambda word: (-counts[word], word))
    said = []
    for label, meant in (("yes", YES), ("no", NO)):
        if found := [f"{word} ({counts[word]:,})" for word in words if word.lower() in meant]:
            said.append(f"{', '.join(found)} read as {label}")
    return "; ".join(said)
