"""The report a person opens: one page of HTML that needs nothing else, neither network nor file."""

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from boomerang.base.ensembles import ENSEMBLES, QUESTIONS, TREES
from boomerang.measures.evaluation import Answers, Evaluation, LossCurve, OverTime
from boomerang.measures.importance import N_REPEATS, Importance
from boomerang.measures.intervals import CONFIDENCE
from boomerang.measures.worth import name_way
from boomerang.report.charts import Series, bar_chart, fitting_axis, index_axis, line_chart, share_axis
from boomerang.report.leaderboard import (
    COLUMNS,
    amount_cell,
    describe_blocks,
    four_digits,
    interval_cell,
    list_by_column,
    list_compared_parts,
    list_known_past,
    loss_of,
)
from boomerang.report.shown_text import LONGEST_LABEL, LONGEST_NAME, cut, name_columns, show_value

HERE = Path(__file__).parent
PART_NAMES = {"train": "Training", "val": "Validation", "test": "Test"}
EXPLAINED = {
    "next": "Asked before the purchase is made: nothing is known of it, only the purchases before it.",
    "made": "Asked when the purchase has just been made: its time and number are known, its label is not. This is an "
    "easier question than the one before; figures of the two must not be compared.",
}


def load_template(name: str, autoescape: bool) -> Template:
    """A template beside this module; a variable that it misspells is an error."""
    # Only files of ours are templates; what comes from data goes into them as escaped values.
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True
    )
    environment.globals |= {"four_digits": four_digits, "describe_blocks": describe_blocks, "name_way": name_way}
    return environment.get_template(name)


def write_report(evaluation: Evaluation) -> str:
    """The page; it depends on the evaluation alone."""
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return load_template("report.html.jinja", autoescape=True).render(
        evaluation=evaluation,
        questions=QUESTIONS,
        explained=EXPLAINED,
        part_names=PART_NAMES,
        n_repeats=N_REPEATS,
        amount_cell=amount_cell,
        interval_cell=interval_cell,
        confidence=CONFIDENCE,
        panel_costs=_choose_panel_costs,
        shuffled_rows=describe_shuffled,
        compared_parts=list_compared_parts,
        loss_of=loss_of,
        known_past={question: list_known_past(answers) for question, answers in evaluation.questions.items()},
        by_column={question: list_by_column(answers) for question, answers in evaluation.questions.items()},
        show_value=show_value,
        cut=cut,
        longest_name=LONGEST_NAME,
        columns=[column for column in COLUMNS if column.html],
        style=Markup(style),
        style_hash=_hash(style),
        script=Markup(script),
        script_hash=_hash(script),
        charts={question: _draw(answers) for question, answers in evaluation.questions.items()},
        counts={
            question: json.dumps(answers.decisions.model_dump(), separators=(",", ":"))
            for question, answers in evaluation.questions.items()
        },
        training=_draw_training(evaluation),
        fold_columns={
            question: [model.name for model in answers.models if model.kind != "member"]
            for question, answers in evaluation.questions.items()
        },
    )


def _choose_panel_costs(answers: Answers) -> dict[str, str]:
    """What the panel begins with: the costs of the settings, where they are amounts."""
    costs = (answers.worth.cost_missed, answers.worth.cost_needless) if answers.worth else (5, 1)
    missed, needless = (5, 1) if any(isinstance(cost, str) for cost in costs) else costs
    return {"missed": f"{missed:.17g}", "needless": f"{needless:.17g}"}


def _hash(text: str) -> str:
    """The hash by which the page's content security policy names the one script, or style, that may run."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _draw(answers: Answers) -> dict[str, Markup]:
    """Every chart of one question."""
    drawn = {
        "over_time": _draw_over_time(answers.over_time),
        "features": _draw_features(answers.importance),
        "lags": bar_chart("Rise of log loss by lag", _list_lags(answers.importance)),
        **_draw_curves(answers),
    }
    # Names of columns are from outside: charts escape every text that they draw.
    return {name: Markup(svg) for name, svg in drawn.items()}


def describe_shuffled(n_rows: int, n_test: int) -> str:
    """Among which of the test purchases values are exchanged, in words."""
    if n_rows == n_test:
        return f"the {n_test:,} test purchases"
    return (
        f"{n_rows:,} of the {n_test:,} test purchases (at equal distances; all of them, predicted again for every "
        f"exchange, would take too long)"
    )


def sort_features(importance: Importance, name_column: Callable[[str], str] = str) -> list[tuple[str, float, float]]:
    """Name, mean rise and spread of each feature and further column, the largest rise first.

    `name_column` gives what stands for the name of a column, as `name_columns` has it.
    """
    columns = [(name_column(called), importance.columns[name]) for name, called in name_columns(importance).items()]
    every = [*importance.features.items(), *columns]
    return sorted(((name, rise.mean, rise.spread) for name, rise in every), key=lambda bar: (-bar[1], bar[0]))


def _draw_features(importance: Importance) -> str:
    bars = sort_features(importance)
    title = "Rise of log loss by feature and column" if importance.columns else "Rise of log loss by feature"
    return bar_chart(title, [(cut(name, LONGEST_LABEL), mean, spread) for name, mean, spread in bars])


def _list_lags(importance: Importance) -> list[tuple[str, float, float]]:
    lags = sorted((int(lag), rise.mean, rise.spread) for lag, rise in importance.lags.items())
    return [(f"lag {lag}", mean, spread) for lag, mean, spread in lags]


def _draw_over_time(time: OverTime) -> str:
    steps = range(len(time.first))
    shown = [
        Series("predicted", steps, time.predicted, "ours-line"),
        Series("came back", steps, time.observed, "theirs-line"),
    ]
    days = index_axis("first day of each bin", [first[:10] for first in time.first])
    shares = share_axis("share", max(*time.observed, *time.predicted))
    return line_chart("Share that came back, in time order", days, shares, shown)


def _draw_curves(answers: Answers) -> dict[str, str]:
    """Reliability, ROC, precision by recall and gains of our model and the best baseline; empty without curves."""
    styles = {answers.judged: "ours-line", answers.best_baseline: "theirs-line"}
    named = [
        (name.replace("_", " "), answers.curves[name], style)
        for name, style in styles.items()
        if name in answers.curves
    ]
    if not named:
        return {"reliability": "", "roc": "", "precision_recall": "", "gains": ""}
    dots = [Series(name, curves.predicted, curves.observed, style, True) for name, curves, style in named]
    roc = [Series(name, curves.false_positive_rate, curves.true_positive_rate, style) for name, curves, style in named]
    pr = [Series(name, curves.recall, curves.precision, style) for name, curves, style in named]
    gains = [Series(name, curves.acted, curves.caught, style) for name, curves, style in named]
    top = max(value for _, curves, _ in named for value in (*curves.predicted, *curves.observed))
    reliability_axes = share_axis("predicted probability", top), share_axis("share that came back", top)
    roc_axes = share_axis("share of those that stay, flagged"), share_axis("share of returns found")
    gains_axes = share_axis("share of purchases acted on"), share_axis("share of returns caught")
    pr_axes = share_axis("recall: share of returns found"), share_axis("precision: flagged that came back")
    return {
        "reliability": line_chart("Reliability: on the diagonal, 30 % means 3 in 10", *reliability_axes, dots, True),
        "roc": line_chart("ROC curve", *roc_axes, roc, True),
        "precision_recall": line_chart("Precision and recall", *pr_axes, pr),
        "gains": line_chart("Gains: the diagonal is acting at random", *gains_axes, gains, True),
    }


def _draw_training(evaluation: Evaluation) -> list[Markup]:
    """A chart of losses for each ensemble, a line per member, and one for the trees, a line per question."""
    drawn = []
    for ensemble in ENSEMBLES:
        members = evaluation.training[ensemble]
        curves = {f"L={length}": members[f"seq{length}"] for length in evaluation.seq_lengths}
        drawn.append(_draw_losses(ensemble, curves, "epoch", 1))
    return [*drawn, _draw_losses(TREES, dict(evaluation.trees), "round", 0)]


def _draw_losses(name: str, curves: dict[str, LossCurve], step: str, first: int) -> Markup:
    """Lines of validation losses, and faint ones of training losses, by step; the first step has the number `first`."""
    series = []
    for index, (label, losses) in enumerate(curves.items()):
        steps, shade = range(first, len(losses.val_loss) + first), f"shade{index % 6}"
        series.append(Series(label, steps, losses.val_loss, shade))
        series.append(Series("", steps, losses.train_loss, f"{shade} faint"))
    last = max(one.x[-1] for one in series)
    axes = (
        index_axis(step, [str(number) for number in range(int(last) + 1)]),
        fitting_axis("loss", [loss for one in series for loss in one.y]),
    )
    return Markup(line_chart(f"{name}: validation loss, faint the training loss", *axes, series))
