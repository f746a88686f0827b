"""Every row of a table scored from its own past, as CSV or JSON lines, piece by piece."""

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pandas as pd

from boomerang.base.ensembles import LABELS, QUESTION_OF
from boomerang.combining.decisions import Costs
from boomerang.combining.inference import TrainedEnsembles
from boomerang.combining.row_costs import RowCosts
from boomerang.reading.numbers import MAX_EXACT, NUMBER
from boomerang.reading.purchases import Purchases
from boomerang.serving.provenance import tell_parts

# Rows that are scored and written at a time. No figure depends on it.
CHUNK = 8192
# Enough digits that figures computed from the file are those of the report.
DIGITS = 9
# What a spreadsheet takes for the start of a formula (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# What is written of a label; nothing where it is open, or where there is no score to decide by.
WORDS = np.array([*LABELS, None], dtype=object)
CONTROLS = ("\t", "\r", "\n")


def score_rows(
    ensembles: TrainedEnsembles,
    purchases: Purchases,
    names: list[str],
    rule: float | Costs | None,
    chunk: int = CHUNK,
    deciding: Collection[str] | None = None,
    by_risk: bool = False,
) -> Iterator[pd.DataFrame]:
    """Tables of scored purchases, in the order of the file, until all are done.

    Parameters
    ----------
    ensembles : TrainedEnsembles
        With `names` among those loaded.
    purchases : Purchases
        What to score; each row's past are the rows before it or, where each has a past of its own, those of its group
        that were known by then. A row whose label is open is scored, and nobody's past.
    names : list of str
        What predicts, a column each.
    rule : float or Costs, optional
        Also decide, by this threshold or by what mistakes cost: for each name a column `act_<name>` with `yes` where
        the probability is at or above the threshold of the row, else `no`. With costs also `cost_act_<name>` and
        `cost_let_be_<name>`, what acting on the purchase and letting it be cost on average.
    chunk : int
        Rows of a table.
    deciding : collection of str, optional
        Those of `names` by which to decide; all by default.
    by_risk : bool
        Order by the probability of the last of `names` that knows the purchase, or else of the last of all, the highest
        first; ties, and rows without a probability, in the order of the file.

    Yields
    ------
    DataFrame
        `row` (in the file), `datetime`, `returned` (empty where it is open), `number`, `part` (as `tell_parts` has it),
        `threshold` where each row has its own, then the probabilities, decisions and costs, which are empty where the
        past is shorter than any member needs, then the other columns of the file, each as `input_<column>` where its
        name is taken.
    """
    table = ensembles.scale(purchases.table)
    is_open = table["is_open"].to_numpy() if "is_open" in table else np.zeros(len(table), dtype=bool)
    parts = np.full(len(table), "new", dtype=object)
    known, metadata = purchases.table[~is_open], ensembles.metadata
    parts[~is_open] = tell_parts(metadata.source, known["datetime"], known.get("instant"), metadata.reading.timezone)
    windows = ensembles.windows(table)
    scores = (
        ensembles.score_scaled(windows, first, min(first + chunk, len(table)), names)
        for first in range(0, len(table), chunk)
    )
    order = np.argsort(purchases.rows, kind="stable")
    # A file in time order is written as it is scored; for another order all must be scored first.
    if by_risk or (order != np.arange(len(order))).any():
        every = pd.concat(scores)
        order = _sort_by_risk(order, every, names) if by_risk else order
        scores = (every.iloc[order[first : first + chunk]] for first in range(0, len(order), chunk))
    for number, probabilities in enumerate(scores):
        at = order[number * chunk : (number + 1) * chunk]
        scored = _copy_read(purchases, table, at, is_open, parts)
        costs = RowCosts.of(rule, table.iloc[at], len(at)) if isinstance(rule, Costs) else None
        if costs is not None and costs.costs.columns:
            scored["threshold"] = _round(costs.thresholds)
        for name in names:
            is_decided = deciding is None or name in deciding
            _add_scores(scored, name, probabilities[name].to_numpy(), rule if is_decided else None, costs)
        others = purchases.others.iloc[at].reset_index(drop=True)
        others.columns = pd.Index(_rename(list(others.columns), list(scored.columns)))
        yield pd.concat([scored, others], axis=1)


def _sort_by_risk(order: np.ndarray, scores: pd.DataFrame, names: list[str]) -> np.ndarray:
    """Rows in `order`, the highest probability first: of the last of `names` that knows the purchase, or of all."""
    deciding = [name for name in names if QUESTION_OF[name] == "made"] or names
    by_risk: np.ndarray = order[np.argsort(-scores[deciding[-1]].to_numpy()[order], kind="stable")]
    return by_risk


def _copy_read(
    purchases: Purchases, table: pd.DataFrame, at: np.ndarray, is_open: np.ndarray, parts: np.ndarray
) -> pd.DataFrame:
    """What was read of the rows `at`, as it is written."""
    rows = table.iloc[at]
    return pd.DataFrame(
        {
            "row": purchases.rows[at],
            "datetime": rows["datetime"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f").str.removesuffix(".000000").to_numpy(),
            "returned": WORDS[np.where(is_open[at], len(LABELS), rows["returned"])],
            # As objects: in a column of floats, whole numbers would get back their `.0`.
            "number": pd.Series(list(map(_shorten, rows["number"].tolist())), dtype=object),
            "part": parts[at],
        }
    )


def _add_scores(
    scored: pd.DataFrame, name: str, probabilities: np.ndarray, rule: float | Costs | None, costs: RowCosts | None
) -> None:
    """Add to `scored` the probabilities of `name` and, by a rule, what to do and what either way costs."""
    scored[name] = probabilities.round(DIGITS)
    if rule is None:
        return
    thresholds = np.full(len(probabilities), rule) if costs is None else costs.thresholds
    acts = WORDS[(probabilities >= thresholds).astype(int)]
    acts[np.isnan(probabilities) | np.isnan(thresholds)] = None
    scored[f"act_{name}"] = acts
    if costs is not None:
        act, let_be = costs.expect(probabilities)
        scored[f"cost_act_{name}"], scored[f"cost_let_be_{name}"] = _round(act), _round(let_be)


def _round(values: np.ndarray) -> list[float]:
    """The values to `DIGITS` digits; numpy would make the largest of them infinite on the way."""
    return [round(value, DIGITS) for value in values.tolist()]


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
