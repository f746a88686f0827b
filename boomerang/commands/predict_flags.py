"""The flags of `predict.py`: what they are, which go together, and what they ask for."""

import argparse
from pathlib import Path

from boomerang import __version__
from boomerang.base.costs import parse_cost
from boomerang.base.ensembles import BLEND, COMBINATION, ENSEMBLES, QUESTION_OF, TREES, names_answering, short_name
from boomerang.base.errors import SettingsError
from boomerang.combining.decisions import Costs

# Flags that say what to predict, and by default are not given.
PREDICTING = (
    *("next_datetime", "next_number", "next_column", "rates", "group", "now", "ensemble"),
    *("threshold", "cost_missed", "cost_needless", "weights"),
)

COST_FLAGS = ("cost_missed", "cost_needless")

# What a person calls these here: flags, or what only the training can change.
NAMES = {name: f"--{name}" for name in PREDICTING} | {
    name: f"the training's {name}"
    for name in (
        *("datetime_format", "timezone", "number_transform", "on_bad_rows"),
        *("val_split", "test_split", "seq_lengths", "max_seq_cap"),
        *("group_column", "label_delay_days", "open_returned", "rate_strength"),
        *("numeric_columns", "categorical_columns", "max_values"),
    )
}


def build_parser(prog: str = "predict.py") -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=prog, description="Predict whether a purchase will come back.", allow_abbrev=False
    )
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument(
        "--history", metavar="yes,no,...", help="past labels alone, latest last: predicts the one after them"
    )
    task.add_argument(
        "--history_csv",
        type=Path,
        metavar="FILE",
        help="past purchases, a CSV like the one trained on: predicts whether the one after them comes back",
    )
    task.add_argument("--csv", type=Path, metavar="FILE", help="score each purchase of a CSV from those before it")
    task.add_argument(
        "--describe", action="store_true", help="say what was learned from, list the members, end with the verdicts"
    )
    parser.add_argument(
        "--next_datetime",
        metavar="DATETIME",
        help="predicts another purchase instead: one that has just been made, after those of --history_csv. This is "
        "when, written as in the file",
    )
    parser.add_argument("--next_number", metavar="NUMBER", help="and this is the number of the purchase just made")
    parser.add_argument(
        "--next_column",
        action="append",
        metavar="NAME=VALUE",
        help="and this is what it has in a further column that the training read, once for each: price=19.90; nothing "
        "after the sign is a blank",
    )
    parser.add_argument(
        "--rates",
        choices=("history", "prepared"),
        help="where the rates so far of its values, such as its product, come from: the purchases of the file, or the "
        "counts that the training wrote (default: history, or prepared where --history_csv holds a single group)",
    )
    parser.add_argument(
        "--group",
        metavar="VALUE",
        help="whose purchase, where the training had a group column: a value of it in --history_csv, or ''",
    )
    parser.add_argument(
        "--now",
        metavar="DATETIME",
        help="when it is asked, where the training had a group column or a label delay: later labels are not read "
        "(default: the latest datetime of --history_csv)",
    )
    parser.add_argument(
        "--sort",
        choices=("file", "risk"),
        default="file",
        help="order of the scores of --csv: as in the file, or the most likely return first (default: file)",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="where the scores of --csv go (default: stdout)")
    parser.add_argument(
        "--ensemble",
        choices=(*ENSEMBLES, COMBINATION, TREES, BLEND, "all"),
        help="what predicts; combination: time and simple together; trees: boosted trees; blend: all that tells of the "
        "purchase together, which the report judges (default: blend, for --history simple)",
    )
    parser.add_argument("--threshold", type=float, metavar="P", help="also decide: act from this probability of yes on")
    parser.add_argument(
        "--cost_missed",
        type=parse_cost,
        metavar="COST",
        help="of a return that was not acted on: an amount, or the column that says it of each purchase, number or a "
        "numeric one that the training read; and",
    )
    parser.add_argument(
        "--cost_needless", type=parse_cost, metavar="COST", help="of acting for nothing, likewise: sets the threshold"
    )
    parser.add_argument(
        "--next",
        choices=("yes", "no"),
        default="yes",
        help="whose probability is shown: that it comes back, or that it stays (default: yes)",
    )
    parser.add_argument(
        "--weights",
        metavar="W,W,...",
        help="one per member in the order they are listed, instead of the trained ones",
    )
    parser.add_argument("--use_gpu", action="store_true", help="predict on CUDA; on the CPU where there is none")
    parser.add_argument(
        "--artifacts_dir", type=Path, help="folder of a training, of the model that predicts (default: artifacts)"
    )
    parser.add_argument("--json", action="store_true", help="JSON: one object, or one a line for --csv")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.add_argument("--version", action="version", version=f"boomerang {__version__}")
    return parser


def parse_weights(text: str) -> list[float]:
    """`1,0.5,2` as numbers.

    Raises
    ------
    SettingsError
        If it is not numbers separated by commas.
    """
    try:
        return [float(weight) for weight in text.split(",")]
    except ValueError:
        raise SettingsError(f"--weights must be numbers like 1,1,2 (found {text!r})") from None


def choose_names(flags: argparse.Namespace) -> list[str]:
    """What shall predict.

    Raises
    ------
    SettingsError
        If flags are missing, or the ensemble asked for cannot predict from what they give.
    """
    is_made = flags.next_datetime is not None
    if is_made != (flags.next_number is not None) or (is_made and flags.history_csv is None):
        raise SettingsError("--next_datetime, --next_number and --history_csv must be given together")
    for name in ("group", "now"):
        if getattr(flags, name) is not None and flags.history_csv is None:
            raise SettingsError(f"--{name} goes with --history_csv")
    if flags.next_column is not None and not is_made:
        raise SettingsError("--next_column goes with --next_datetime and --next_number")
    if flags.rates is not None and not is_made and flags.csv is None:
        raise SettingsError("--rates goes with --csv, or with --next_datetime and --next_number")
    if is_made and flags.now is not None:
        raise SettingsError("--now goes with the next purchase; that of one just made is its --next_datetime")
    if flags.output is not None and flags.csv is None:
        raise SettingsError("--output goes with --csv")
    if flags.sort != "file" and flags.csv is None:
        raise SettingsError("--sort goes with --csv")
    if flags.csv is not None and flags.next == "no":
        raise SettingsError("--next goes with a prediction of one purchase; --csv scores the probability of yes")
    if flags.describe:
        given = [name for name in PREDICTING if getattr(flags, name) is not None]
        given += ["next"] * (flags.next != "yes") + ["use_gpu"] * flags.use_gpu
        if given:
            raise SettingsError(f"--describe predicts nothing: --{given[0]} does not go with it")
        return []
    if flags.csv is not None:
        able = [*names_answering("next"), *names_answering("made")]
    else:
        able = ["simple"] if flags.history is not None else names_answering("made" if is_made else "next")
    name = flags.ensemble or (BLEND if flags.history is None else "simple")
    names = able if name == "all" else [one for one in able if short_name(one) == name]
    if not names:
        choices = ", ".join(dict.fromkeys(map(short_name, able)))
        raise SettingsError(f"--ensemble must be one that predicts from what is given: {choices} (found {name})")
    if flags.weights is not None and (flags.csv is not None or len(names) > 1):
        raise SettingsError("--weights goes with one prediction of one ensemble")
    return names


def choose_rule(flags: argparse.Namespace, names: list[str]) -> float | Costs | None:
    """By what to decide, a threshold or costs; None where no decision is asked for.

    Raises
    ------
    SettingsError
        If it is given twice or by halves, is no probability or no cost, or if a cost is the purchase's own and none of
        `names` predicts a purchase of which it is known.
    """
    costs = [getattr(flags, name) for name in COST_FLAGS]
    threshold: float | None = flags.threshold
    if costs == [None, None]:
        if threshold is not None and not 0 <= threshold <= 1:
            raise SettingsError(f"--threshold must be a probability from 0 to 1 (found {threshold})")
        # Without the sign of -0.
        return None if threshold is None else abs(threshold)
    if None in costs or flags.threshold is not None:
        raise SettingsError("--cost_missed and --cost_needless must be given together, and without --threshold")
    rule = Costs(*costs)
    if rule.columns and not names_that_decide(rule, names):
        given = " and ".join(name for name in COST_FLAGS if isinstance(getattr(flags, name), str))
        raise SettingsError(
            f"{given} can be {rule.columns[0]} only where that of the purchase is known when it is predicted: with "
            f"--next_datetime and --next_number, or with --csv and --ensemble context, trees, blend or all (found "
            f"{', '.join(names)}, which tells of a purchase before it is made)"
        )
    return rule


def names_that_decide(rule: float | Costs | None, names: list[str]) -> list[str]:
    """Those of `names` whose predictions are decided on by the rule.

    What tells of a purchase before it is made is not, where costs are the purchase's own.
    """
    if isinstance(rule, Costs) and rule.columns:
        return [name for name in names if QUESTION_OF[name] == "made"]
    return [] if rule is None else names
