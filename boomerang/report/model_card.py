"""The model card: what was trained on what, how good it is, what it is for and what not.

Sections as in Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from boomerang.base.ensembles import ENSEMBLES, QUESTIONS
from boomerang.combining.metadata import Metadata
from boomerang.measures.evaluation import Evaluation
from boomerang.measures.importance import N_REPEATS
from boomerang.report.leaderboard import COLUMNS, list_by_column, list_known_past, log_loss_text
from boomerang.report.report import load_template, sort_features
from boomerang.report.shown_text import code_span


def write_card(evaluation: Evaluation, metadata: Metadata) -> str:
    """The card as Markdown; it depends on the evaluation and the metadata alone."""
    text = load_template("model_card.md.jinja", autoescape=False).render(
        evaluation=evaluation,
        metadata=metadata,
        questions=QUESTIONS,
        asked={name: spec.question for name, spec in ENSEMBLES.items()},
        n_repeats=N_REPEATS,
        code_span=code_span,
        sort_features=sort_features,
        known_past={question: list_known_past(answers) for question, answers in evaluation.questions.items()},
        by_column={question: list_by_column(answers) for question, answers in evaluation.questions.items()},
        log_loss_text=log_loss_text,
        columns=[column for column in COLUMNS if column.markdown],
        n_members=len(metadata.ensembles) * len(metadata.seq_lengths),
    )
    return text.rstrip("\n") + "\n"
