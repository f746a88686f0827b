"""The leaderboard of the report and of the model card: one table of columns for both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from boomerang.combining.decisions import show_amount
from boomerang.measures.figures import ModelFigures
from boomerang.measures.intervals import Interval


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


def _html_interval(interval: Interval | None, digits: int) -> Markup:
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


def _same(title: str, figure: Callable[[ModelFigures], float | None]) -> Column:
    """A column of plain figures to four digits, the same in report and card."""
    return Column(title, lambda model: four_digits(figure(model)), lambda model: four_digits(figure(model)))


COLUMNS = (
    Column(
        "log loss",
        lambda model: _html_interval(model.log_loss, 4),
        lambda model: f"{four_digits(model.log_loss.value)} {_bounds(model.log_loss, 4)}".rstrip(),
    ),
    Column("skill", lambda model: _html_interval(model.skill, 3), lambda model: format_number(model.skill.value, 3)),
    Column(
        "ROC-AUC",
        lambda model: _html_interval(model.roc_auc, 4),
        lambda model: four_digits(model.roc_auc.value if model.roc_auc else None),
    ),
    _same("PR-AUC", lambda model: model.pr_auc),
    _same("Brier", lambda model: model.brier),
    _same("accuracy", lambda model: model.accuracy),
    Column("calibration error", _html_calibration, lambda model: four_digits(model.calibration_error)),
    Column("by chance", None, lambda model: four_digits(model.calibration_error_by_chance)),
)
