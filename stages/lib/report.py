"""The report a person opens: one page of HTML that needs nothing else, neither network nor file."""

import base64
import hashlib
import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from stages.lib.charts import Series, bar_chart, fitting_axis, index_axis, line_chart, share_axis
from stages.lib.evaluation import Answers, Evaluation
from stages.lib.layout import ENSEMBLES, QUESTIONS

HERE = Path(__file__).parent
PART_NAMES = {"train": "Training", "val": "Validation", "test": "Test"}
EXPLAINED = {
    "next": "Asked before the purchase is made: nothing is known of it, only the purchases before it.",
    "made": "Asked when the purchase has just been made: its time and number are known, its label is not. This is an "
    "easier question than the one before; figures of the two must not be compared.",
}


def number(value: float | None, digits: int) -> str:
    """A figure as the report and the model card print it."""
    return "undefined" if value is None else f"{value:.{digits}f}"


def template(name: str, autoescape: bool) -> "Environment":
    """A template beside this module; a name that it misspells is an error."""
    # Only files of ours are templates; what comes from data goes into them as escaped values.
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=autoescape, undefined=StrictUndefined, trim_blocks=True
    )
    environment.globals |= {"number": number, "four": lambda value: number(value, 4)}
    return environment.get_template(name)


def write_report(evaluation: Evaluation) -> str:
    """The page, a function of the evaluation alone."""
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return template("report.html.jinja", autoescape=True).render(
        evaluation=evaluation,
        questions=QUESTIONS,
        explained=EXPLAINED,
        part_names=PART_NAMES,
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


def _hash(text: str) -> str:
    """How a content security policy names the one script, or style, that may run."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _draw(answers: Answers) -> dict[str, Markup]:
    """Every chart of one question."""
    drawn = {}
    time, importance = answers.over_time, answers.importance
    top = max(*time.observed, *time.predicted)
    steps = range(len(time.first))
    shown = [
        Series("predicted", steps, time.predicted, "ours-line"),
        Series("came back", steps, time.observed, "theirs-line"),
    ]
    days = index_axis("first day of each bin", [first[:10] for first in time.first])
    drawn["over_time"] = line_chart("Share that came back, in time order", days, share_axis("share", top), shown)
    drawn["features"] = bar_chart("Rise of log loss by feature", sorted(importance.features.items(), key=_by_size))
    lags = sorted((int(lag), rise) for lag, rise in importance.lags.items())
    drawn["lags"] = bar_chart("Rise of log loss by lag", [(f"lag {lag}", rise) for lag, rise in lags])
    styles = {answers.judged: "ours-line", answers.best_baseline: "theirs-line"}
    named = [
        (name.replace("_", " "), answers.curves[name], style)
        for name, style in styles.items()
        if name in answers.curves
    ]
    for chart in ("reliability", "roc", "precision_recall"):
        drawn[chart] = ""
    if named:
        top = max(value for _, curves, _ in named for value in (*curves.predicted, *curves.observed))
        dots = [Series(name, curves.predicted, curves.observed, style, True) for name, curves, style in named]
        axes = share_axis("predicted probability", top), share_axis("share that came back", top)
        drawn["reliability"] = line_chart("Reliability: on the diagonal, 30 % means 3 in 10", *axes, dots, True)
        roc = [Series(name, curves.false_positive_rate, curves.true_positive_rate, s) for name, curves, s in named]
        axes = share_axis("share of those that stay, flagged"), share_axis("share of returns found")
        drawn["roc"] = line_chart("ROC curve", *axes, roc, True)
        pr = [Series(name, curves.recall, curves.precision, style) for name, curves, style in named]
        axes = share_axis("recall: share of returns found"), share_axis("precision: flagged that came back")
        drawn["precision_recall"] = line_chart("Precision and recall", *axes, pr)
    # They are made of our own words and numbers, escaped where they are drawn.
    return {name: Markup(svg) for name, svg in drawn.items()}


def _by_size(bar: tuple[str, float]) -> tuple[float, str]:
    return -bar[1], bar[0]


def _draw_training(evaluation: Evaluation) -> list[Markup]:
    """Losses by epoch, a chart per ensemble, a line per member for validation and a faint one for training."""
    drawn = []
    for ensemble in ENSEMBLES:
        members = evaluation.training[ensemble]
        series = []
        for index, length in enumerate(evaluation.seq_lengths):
            losses, shade = members[f"seq{length}"], f"shade{index % 6}"
            epochs = range(1, len(losses.val_loss) + 1)
            series.append(Series(f"L={length}", epochs, losses.val_loss, shade))
            series.append(Series("", epochs, losses.train_loss, f"{shade} faint"))
        longest = max(len(one.y) for one in series)
        axes = (
            index_axis("epoch", [str(epoch) for epoch in range(longest + 1)]),
            fitting_axis("loss", [loss for one in series for loss in one.y]),
        )
        title = f"{ensemble}: validation loss, faint the training loss"
        drawn.append(Markup(line_chart(title, *axes, series)))
    return drawn
