"""Which values of a categorical column came back most and least often so far."""

from collections.abc import Sequence
from typing import Annotated

import pandas as pd
from pydantic import AfterValidator, Field

from boomerang.base.checks import Section, int_between
from boomerang.base.columns import ColumnName
from boomerang.features.columns import ColumnRules
from boomerang.features.inputs import rate_so_far
from boomerang.features.prepared import IsoDatetime
from boomerang.measures.metrics import round_figure

# How many values are told at either end.
N_SHOWN = 10
Count = Annotated[int, int_between(0, 1 << 40)]
Rate = Annotated[float, Field(ge=0, le=1)]


class ValueRate(Section):
    """One value: its rate so far, the labels that this rests on, and how many of those purchases came back.

    The value is as the file has it; empty where it was not given.
    """

    value: str
    rate: Rate
    n_known: Count
    n_returned: Count


class ColumnValues(Section):
    """One column: how many values there are, and those with the highest and the lowest rate, none of them twice."""

    n_values: Count
    highest: Annotated[list[ValueRate], Field(max_length=N_SHOWN)]
    lowest: Annotated[list[ValueRate], Field(max_length=N_SHOWN)]


class ValueRates(Section):
    """The values of the columns that shall be shown.

    Attributes
    ----------
    until : str
        The datetime of the last purchase whose label was counted, as ISO 8601.
    base_rate, rate_strength : float
        What rates so far start from, as in `ColumnRules`.
    columns : dict of str to ColumnValues
        By column.
    """

    until: IsoDatetime
    base_rate: Rate
    rate_strength: Annotated[float, Field(gt=0)]
    columns: Annotated[dict[ColumnName, ColumnValues], AfterValidator(lambda found: dict(sorted(found.items())))]


def rank_values(values: pd.DataFrame, names: Sequence[str], rules: ColumnRules, until: str) -> ValueRates:
    """The values of some columns by their rate so far.

    Parameters
    ----------
    values : DataFrame
        As `read_values` returns it.
    names : sequence of str
        Columns to tell of.
    rules : ColumnRules
        Of the training.
    until : str
        As in `ValueRates`.
    """
    columns = {name: _rank_column(values[values["column"] == name], rules) for name in names}
    return ValueRates(until=until, base_rate=rules.base_rate, rate_strength=rules.rate_strength, columns=columns)


def _rank_column(values: pd.DataFrame, rules: ColumnRules) -> ColumnValues:
    rates = rate_so_far(values["n_returned"].to_numpy(), values["n_known"].to_numpy(), rules)
    # What is the same in the figures that are written is the same here.
    ranked = values.assign(rate=[round_figure(rate) for rate in rates])
    # Of the few values of a small column either end gets half.
    highest = _sort(ranked, ascending=False)[: min(N_SHOWN, (len(ranked) + 1) // 2)]
    lowest = _sort(ranked.drop(highest.index), ascending=True)[:N_SHOWN]
    return ColumnValues(n_values=len(ranked), highest=_list_rates(highest), lowest=_list_rates(lowest))


def _sort(ranked: pd.DataFrame, ascending: bool) -> pd.DataFrame:
    """By rate; of equal ones first what rests on more labels, then by the text of the value."""
    return ranked.sort_values(["rate", "n_known", "value"], ascending=[ascending, False, True], kind="stable")


def _list_rates(ranked: pd.DataFrame) -> list[ValueRate]:
    rows = zip(ranked["value"], ranked["rate"], ranked["n_known"], ranked["n_returned"], strict=True)
    return [
        ValueRate(value=value, rate=rate, n_known=int(n_known), n_returned=int(n_returned))
        for value, rate, n_known, n_returned in rows
    ]
