import pytest

from boomerang.measures.figures import ModelFigures
from boomerang.measures.intervals import Interval
from boomerang.report.leaderboard import COLUMNS, amount_cell, describe_blocks

FIGURES = {
    "name": "time",
    "kind": "ensemble",
    "chosen": "",
    "log_loss": {"value": 0.5, "low": 0.4, "high": 0.65432, "block_length": 3},
    "skill": {"value": 0.1, "low": -0.1, "high": 0.25, "block_length": 8},
    "roc_auc": {"value": 0.75, "low": 0.7, "high": 0.8, "block_length": 5},
    "brier": 0.15,
    "pr_auc": 0.25,
    "accuracy": 0.8,
    "calibration_error": 0.0123,
    "calibration_error_by_chance": 0.02,
}
NO_BOUNDS = {"value": 0.5, "low": None, "high": None, "block_length": None}


def cells(changed, page):
    figures = ModelFigures.model_validate(FIGURES | changed)
    renderers = {column.title: getattr(column, page) for column in COLUMNS}
    return {title: render(figures) for title, render in renderers.items() if render is not None}


def test_the_report_shows_bounds_in_small_print():
    assert cells({}, "html") == {
        "log loss": "0.5000 <small>(0.4000 to 0.6543)</small>",
        "skill": "0.100 <small>(-0.100 to 0.250)</small>",
        "ROC-AUC": "0.7500 <small>(0.7000 to 0.8000)</small>",
        "PR-AUC": "0.2500",
        "Brier": "0.1500",
        "accuracy": "0.8000",
        "calibration error": "0.0123 <small>by chance 0.0200</small>",
    }


def test_the_card_shows_the_bounds_of_the_log_loss_alone():
    assert cells({}, "markdown") == {
        "log loss": "0.5000 (0.4000 to 0.6543)",
        "skill": "0.100",
        "ROC-AUC": "0.7500",
        "PR-AUC": "0.2500",
        "Brier": "0.1500",
        "accuracy": "0.8000",
        "calibration error": "0.0123",
        "by chance": "0.0200",
    }


@pytest.mark.parametrize("page", ["html", "markdown"])
def test_what_is_undefined_is_said_to_be_and_missing_bounds_are_left_out(page):
    found = cells({"log_loss": NO_BOUNDS, "roc_auc": None, "pr_auc": None}, page)
    assert (found["log loss"], found["ROC-AUC"], found["PR-AUC"]) == ("0.5000", "undefined", "undefined")


def test_the_blocks_of_a_table_are_named_from_the_shortest_to_the_longest():
    figures = ModelFigures.model_validate(FIGURES)
    assert describe_blocks([figures]) == "blocks of 3 to 8 neighbouring purchases"
    few = ModelFigures.model_validate(FIGURES | {"log_loss": NO_BOUNDS, "skill": NO_BOUNDS, "roc_auc": None})
    assert describe_blocks([few]) == "blocks of neighbouring purchases"
    assert describe_blocks([figures, few]) == "blocks of 3 to 8 neighbouring purchases"


def test_costs_are_shown_with_their_bounds_if_any():
    assert amount_cell(Interval(value=1764.2, low=930.0, high=2598.0, block_length=2)) == (
        "1,764 <small>(930 to 2,598)</small>"
    )
    assert amount_cell(Interval(value=-5.5, low=None, high=None, block_length=None)) == "-5.5"
