"""The model card: what was trained on what, how good it is, what it is for and what not.

Sections as in Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from stages.lib.evaluation import Evaluation
from stages.lib.layout import ENSEMBLES, QUESTIONS
from stages.lib.metadata import Metadata
from stages.lib.report import template


def write_card(evaluation: Evaluation, metadata: Metadata) -> str:
    """The card as Markdown, a function of the evaluation and the metadata alone."""
    text = template("model_card.md.jinja", autoescape=False).render(
        evaluation=evaluation,
        metadata=metadata,
        questions=QUESTIONS,
        asked={name: layout.question for name, layout in ENSEMBLES.items()},
        n_members=len(metadata.ensembles) * len(metadata.seq_lengths),
    )
    return text.rstrip("\n") + "\n"
