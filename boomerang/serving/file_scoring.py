"""Every row of a table scored from its own past, as CSV or JSON lines, piece by piece."""

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from boomerang.combining.inference import TrainedEnsembles
from boomerang.reading.numbers import MAX_EXACT, NUMBER
from boomerang.reading.purchases import Purchases
from boomerang.serving.provenance import tell_parts

# Rows that are scored and written at a time. No figure depends on it.
CHUNK = 8192
# Enough digits that figures computed from the file are those of the report.
DIGITS = 9
# What a spreadsheet takes for the start of a formula (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
CONTROLS = ("\t", "\r", "\n")


def score_rows(
    ensembles: TrainedEnsembles, purchases: Purchases, names: list[str], threshold: float | None, chunk: int = CHUNK
) -> Iterator[pd.DataFrame]:
    """Tables of scored purchases, in time order, until all are done.

    Parameters
    ----------
    ensembles : TrainedEnsembles
        With `names` among those loaded.
    purchases : Purchases
        What to score; each row's past is the rows before it.
    names : list of str
        What predicts, a column each.
    threshold : float, optional
        Also decide: for each name a column `act_<name>` with `yes` where the probability is at or above it, else `no`.
    chunk : int
        Rows of a table.

    Yields
    ------
    DataFrame
        `row` (in the file), `datetime`, `returned`, `number`, `part` (as `tell_parts` has it), then the probabilities
        and decisions, which are empty where the past is shorter than any member needs, then the other columns of the
        file, each as `input_<column>` where its name is taken.
    """
    table = ensembles.metadata.scaling.extend(purchases.table)
    labels = np.array(["no", "yes"])
    parts = tell_parts(ensembles.metadata.source, purchases.table["datetime"])
    for first in range(0, len(table), chunk):
        end = min(first + chunk, len(table))
        rows = table.iloc[first:end]
        scored = pd.DataFrame(
            {
                "row": purchases.rows[first:end],
                "datetime": rows["datetime"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str.removesuffix(".000000").to_numpy(),
                "returned": labels[rows["returned"]],
                # As objects: in a column of floats, whole numbers would get back their `.0`.
                "number": pd.Series(list(map(_shorten, rows["number"].tolist())), dtype=object),
                "part": parts[first:end],
            }
        )
        probabilities = ensembles.score_scaled(table, first, end)
        for name in names:
            scored[name] = probabilities[name].round(DIGITS).to_numpy()
            if threshold is not None:
                acts = labels[(probabilities[name] >= threshold).to_numpy().astype(int)].astype(object)
                acts[probabilities[name].isna().to_numpy()] = None
                scored[f"act_{name}"] = acts
        others = purchases.others.iloc[first:end].reset_index(drop=True)
        others.columns = pd.Index(_rename(list(others.columns), list(scored.columns)))
        yield pd.concat([scored, others], axis=1)


def _shorten(number: float) -> int | float:
    """A whole number without its `.0`, as far as float64 tells whole numbers apart."""
    return int(number) if number.is_integer() and abs(number) < MAX_EXACT else number


def _rename(columns: list[str], taken: list[str]) -> list[str]:
    """The names that the other columns of the file have in the output, each once.

    A column without a name comes as a line break and its position, such as `\\n3`.
    """
    found: list[str] = []
    for column in columns:
        name = f"column_{int(column) + 1}" if column.startswith("\n") else column
        while name in taken or name in found or (name != column and name in columns):
            name = f"input_{name}"
        found.append(name)
    return found


def to_csv(table: pd.DataFrame, header: bool) -> bytes:
    """Rows as CSV; text that a spreadsheet would run as a formula begins with an apostrophe."""
    table = table.rename(columns=_defuse)
    for column in table.select_dtypes(["object", "str"]).columns:
        table[column] = pd.Series(list(map(_defuse, table[column])), index=table.index, dtype=object)
    return table.to_csv(index=False, header=header, lineterminator="\n").encode()


def _defuse(cell: Any) -> Any:
    if not isinstance(cell, str) or re.fullmatch(NUMBER, cell.strip()):
        return cell
    return f"'{cell}" if cell.startswith(CONTROLS) or cell.lstrip().startswith(FORMULA_STARTS) else cell


def to_json(table: pd.DataFrame, header: bool) -> bytes:
    """Rows as JSON, an object a line."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return "".join(f"{json.dumps(row, ensure_ascii=False, allow_nan=False)}\n" for row in rows).encode()
