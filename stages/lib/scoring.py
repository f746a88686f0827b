"""Every row of a table scored from its own past, as CSV or JSON lines, piece by piece."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from stages.lib.ensemble import Predictor
from stages.lib.purchases import Purchases

# Rows that are scored and written at a time; no figure depends on it.
CHUNK = 8192
# As many digits as make figures computed from the file those of the report.
DIGITS = 9
# What a spreadsheet takes for the start of a formula (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def score_rows(
    predictor: Predictor, purchases: Purchases, names: list[str], threshold: float | None, chunk: int = CHUNK
) -> Iterator[pd.DataFrame]:
    """Tables of scored purchases, in time order, until all are done.

    Parameters
    ----------
    predictor : Predictor
        That can predict `names`.
    purchases : Purchases
        What to score; each row's past is the rows before it.
    names : list of str
        What predicts, a column each.
    threshold : float, optional
        Also decide: a column `act_<name>` each, `yes` where the probability is at or above it, else `no`.
    chunk : int
        Rows of a table.

    Yields
    ------
    DataFrame
        `row` (in the file), `datetime`, `returned`, `number`, the probabilities and decisions, empty where the past is
        shorter than any member needs, and the other columns of the file, as `input_<column>` where the name is taken.
    """
    table = predictor.metadata.scaling.extend(purchases.table)
    labels = np.array(["no", "yes"])
    for first in range(0, len(table), chunk):
        end = min(first + chunk, len(table))
        rows = table.iloc[first:end]
        scored = pd.DataFrame(
            {
                "row": purchases.rows[first:end],
                "datetime": rows["datetime"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str.removesuffix(".000000").to_numpy(),
                "returned": labels[rows["returned"]],
                "number": [int(number) if number.is_integer() else number for number in rows["number"].tolist()],
            }
        )
        probabilities = predictor.score(table, first, end)
        for name in names:
            scored[name] = probabilities[name].round(DIGITS).to_numpy()
            if threshold is not None:
                acts = labels[(probabilities[name] >= threshold).to_numpy().astype(int)]
                scored[f"act_{name}"] = np.where(probabilities[name].isna(), None, acts)
        others = purchases.others.iloc[first:end].reset_index(drop=True)
        yield pd.concat([scored, others.rename(columns=partial(_rename, taken=list(scored.columns)))], axis=1)


def _rename(column: str, taken: list[str]) -> str:
    """The name in the output of another column of the file; one without a name comes as its position, `\\n3`."""
    if column.startswith("\n"):
        return f"column_{int(column) + 1}"
    return f"input_{column}" if column in taken else column


def to_csv(table: pd.DataFrame, header: bool) -> bytes:
    """Rows as CSV; text that a spreadsheet would run as a formula begins with an apostrophe."""
    table = table.rename(columns=_defuse)
    for column in table.select_dtypes(["object", "str"]).columns:
        table[column] = table[column].map(_defuse, na_action="ignore")
    return table.to_csv(index=False, header=header, lineterminator="\n").encode()


def _defuse(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell


def to_json(table: pd.DataFrame, header: bool) -> bytes:
    """Rows as JSON, an object a line."""
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    return "".join(f"{json.dumps(row, ensure_ascii=False, allow_nan=False)}\n" for row in rows).encode()
