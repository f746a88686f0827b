"""The leaderboard of the report and of the model card, and the same by how much is known of a purchase."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from boomerang.combining.decisions import show_amount
from boomerang.measures.evaluation import NEW_OR_KNOWN, Answers, Stratum
from boomerang.measures.figures import ModelFigures
from boomerang.measures.intervals import Interval
from boomerang.measures.test_set import RIVALS


@dataclass(frozen=True)
class Column:
    """One column, after that of the model's name.

    Attributes
    ----------
    title : str
        Its heading.
    html, markdown : callable, or None
        Give the cell of a model in the report and in the card; None where the column is not shown there.
    """

    title: str
    html: Callable[[ModelFigures], str] | None
    markdown: Callable[[ModelFigures], str] | None


class StratumRow(NamedTuple):
    """Test purchases of which about as much is known: how many, the share of returns, and the models to compare there.

    `best_baseline` is the best of these purchases, whichever is the best of all; `group_rate` is None where it was not
    measured.
    """

    title: str
    n: int
    base_rate: float
    judged: ModelFigures
    best_baseline: ModelFigures
    group_rate: ModelFigures | None


# What the report calls the purchases with so many known ones of their group before them.
KNOWN_PAST_TITLES = {"0": "none", "1-2": "1 or 2", "3+": "3 or more"}


def list_known_past(answers: Answers) -> list[StratumRow]:
    """A row for each stratum that has test purchases; none where purchases have no past of their own."""
    return _list_strata(answers, answers.by_known_past, KNOWN_PAST_TITLES)


def list_by_column(answers: Answers) -> dict[str, list[StratumRow]]:
    """By categorical column, a row for each stratum that has test purchases."""
    titles = {name: name for name in NEW_OR_KNOWN}
    return {name: _list_strata(answers, strata, titles) for name, strata in answers.by_column.items()}


def _list_strata(answers: Answers, strata: Mapping[str, Stratum], titles: Mapping[str, str]) -> list[StratumRow]:
    rows = []
    for name, stratum in strata.items():
        by_name = {model.name: model for model in stratum.models}
        best = next(
            model for model in stratum.models if model.kind in RIVALS and model.name != answers.parts.answered_by
        )
        measured = (by_name[answers.judged], best, by_name.get("group_rate"))
        rows.append(StratumRow(titles[name], stratum.n, stratum.base_rate, *measured))
    return rows


def list_compared_parts(answers: Answers) -> list[tuple[str, Interval]]:
    """What the blend is compared with: each part alone, then the best baseline, where that is no part of it."""
    found = {**answers.parts.differences}
    found.setdefault(answers.best_baseline, answers.difference)
    return list(found.items())


def loss_of(answers: Answers, name: str) -> float:
    """The log loss of a model."""
    return next(model.log_loss.value for model in answers.models if model.name == name)


def format_number(value: float | None, digits: int) -> str:
    """A figure as the report and the model card print it."""
    return "undefined" if value is None else f"{value:.{digits}f}"


def four_digits(value: float | None) -> str:
    """A figure to four digits."""
    return format_number(value, 4)


def describe_blocks(models: Sequence[ModelFigures]) -> str:
    """How long the blocks are that the intervals of these models rest on, in words."""
    intervals = [figure for model in models for figure in (model.log_loss, model.skill, model.roc_auc) if figure]
    lengths = [interval.block_length for interval in intervals if interval.block_length]
    counts = f"{min(lengths)} to {max(lengths)} " if lengths else ""
    return f"blocks of {counts}neighbouring purchases"


def _bounds(interval: Interval, digits: int) -> str:
    """The bounds in brackets, or nothing where there are none."""
    if interval.low is None or interval.high is None:
        return ""
    return f"({format_number(interval.low, digits)} to {format_number(interval.high, digits)})"


def interval_cell(interval: Interval | None, digits: int) -> Markup:
    """A figure with its bounds in small print."""
    if interval is None:
        return Markup("undefined")
    value, bounds = format_number(interval.value, digits), _bounds(interval, digits)
    return Markup("{} <small>{}</small>").format(value, bounds) if bounds else Markup(value)


def amount_cell(interval: Interval) -> Markup:
    """A cost, or a difference of costs, with its bounds in small print."""
    value = show_amount(interval.value)
    if interval.low is None or interval.high is None:
        return Markup("{}").format(value)
    bounds = f"({show_amount(interval.low)} to {show_amount(interval.high)})"
    return Markup("{} <small>{}</small>").format(value, bounds)


def _html_calibration(model: ModelFigures) -> Markup:
    error, chance = four_digits(model.calibration_error), four_digits(model.calibration_error_by_chance)
    return Markup("{} <small>by chance {}</small>").format(error, chance)


def log_loss_text(model: ModelFigures) -> str:
    """The log loss with its bounds, as the card has it."""
    return f"{four_digits(model.log_loss.value)} {_bounds(model.log_loss, 4)}".rstrip()


def _same(title: str, figure: Callable[[ModelFigures], float | None]) -> Column:
    """A column of plain figures to four digits, the same in report and card."""
    return Column(title, lambda model: four_digits(figure(model)), lambda model: four_digits(figure(model)))


COLUMNS = (
    Column(
        "log loss",
        lambda model: interval_cell(model.log_loss, 4),
        log_loss_text,
    ),
    Column("skill", lambda model: interval_cell(model.skill, 3), lambda model: format_number(model.skill.value, 3)),
    Column(
        "ROC-AUC",
        lambda model: interval_cell(model.roc_auc, 4),
        lambda model: four_digits(model.roc_auc.value if model.roc_auc else None),
    ),
    _same("PR-AUC", lambda model: model.pr_auc),
    _same("Brier", lambda model: model.brier),
    _same("accuracy", lambda model: model.accuracy),
    Column("calibration error", _html_calibration, lambda model: four_digits(model.calibration_error)),
    Column("by chance", None, lambda model: four_digits(model.calibration_error_by_chance)),
)
