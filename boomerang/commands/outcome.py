"""What came of a training, in plain words: verdicts, what speaks against its predictions, where the report lies."""

from collections.abc import Sequence
from pathlib import Path

from boomerang.base.ensembles import QUESTION_OF, short_name
from boomerang.base.errors import ArtifactError
from boomerang.base.outputs import read_output
from boomerang.base.stage_files import parse_json
from boomerang.base.wording import reword
from boomerang.combining.metadata import Metadata
from boomerang.measures.evaluation import Evaluation
from boomerang.serving.description import describe

FILE, REPORT = "evaluation/evaluation.json", "evaluation/report.html"
# Losses of the evaluation are rounded to six digits.
TOLERANCE = 1e-5


def describe_training(metadata: Metadata, artifacts_dir: Path) -> str:
    """What a training ends with: what was learned from, members and figures, the verdicts, the path of the report."""
    return "\n".join([describe(metadata, artifacts_dir), *list_verdicts(metadata, artifacts_dir)])


def list_verdicts(metadata: Metadata, artifacts_dir: Path) -> list[str]:
    """A line for each verdict, after it one for what acting is worth where costs are given, then the report's path.

    There is none where the models were copied without their evaluation, which predicting does not need. An evaluation
    that is damaged, or of other models, gives a line that says so in place of the verdicts.
    """
    try:
        evaluation = _read(metadata, artifacts_dir)
    except FileNotFoundError:
        return []
    except ArtifactError as error:
        return [f"no verdict: {error}"]
    verdicts = []
    for answers in evaluation.questions.values():
        said = [answers.verdict, answers.parts.sentence, *([answers.worth.sentence] if answers.worth else [])]
        verdicts += [reword(_on_one_line(sentence)) for sentence in said]
    unknown = "no verdict: no purchases were kept for testing (test_split is 0), so nobody can say how good these are"
    report = [f"report: {artifacts_dir / REPORT}"] if (artifacts_dir / REPORT).exists() else []
    return [*(verdicts or [reword(unknown)]), *report]


def list_doubts(metadata: Metadata, artifacts_dir: Path, names: Sequence[str]) -> list[str]:
    """What the evaluation says against a prediction by `names`, a sentence for each question; none where it is fine.

    Neither is there one where the evaluation is missing, of other models or damaged, nor where its test purchases were
    too few to tell.
    """
    try:
        questions = _read(metadata, artifacts_dir).questions
    except (FileNotFoundError, ArtifactError):
        return []
    found = []

    def called(name: str) -> str:
        """The full name, which says what is asked, where both questions are."""
        return name if len({QUESTION_OF[name] for name in names}) > 1 else short_name(name)

    for question, answers in questions.items():
        asked = [name for name in names if QUESTION_OF[name] == question]
        losses = {model.name: model.log_loss.value for model in answers.models}
        share = losses.get("base_rate")
        if not asked or share is None or answers.difference.low is None:
            continue
        worse = [name for name in asked if losses.get(short_name(name), share) > share]
        if worse:
            found.append(
                f"on the test purchases of the training {' and '.join(map(called, worse))} did worse than the share of "
                f"returns alone: use that ({artifacts_dir / REPORT})"
            )
        elif not answers.learned:
            found.append(
                f"the evaluation of the training could not show that anything is to be learned from its history, so "
                f"{' and '.join(map(called, asked))} may be no better than the share of returns "
                f"({artifacts_dir / REPORT})"
            )
    return found


def _read(metadata: Metadata, artifacts_dir: Path) -> Evaluation:
    """The evaluation of these models.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ArtifactError
        If it is damaged, or of other models.
    """
    path = artifacts_dir / FILE
    evaluation = parse_json(read_output(artifacts_dir, FILE), str(path), Evaluation)
    if not _is_of(metadata, evaluation):
        raise ArtifactError(f"{path} is of other models than {artifacts_dir} holds now; run the pipeline to its end")
    return evaluation


def _is_of(metadata: Metadata, evaluation: Evaluation) -> bool:
    """Whether the evaluation is of these models: of the same purchases, lengths, and losses of members and trees."""
    if (evaluation.parts, evaluation.seq_lengths) != (metadata.source.parts, metadata.seq_lengths):
        return False
    for question, trees in metadata.trees.items():
        curve = evaluation.trees.get(question)
        losses = curve.val_loss[trees.best_round : trees.best_round + 1] if curve else []
        if not losses or abs(losses[0] - trees.val_loss) > TOLERANCE:
            return False
        answers = evaluation.questions.get(question)
        if answers and answers.parts.answered_by != metadata.blend[question].answered_by:
            return False
    for name, ensemble in metadata.ensembles.items():
        for member in ensemble.members:
            curve = evaluation.training.get(name, {}).get(f"seq{member.seq_length}")
            losses = curve.val_loss[member.best_epoch - 1 : member.best_epoch] if curve else []
            if not losses or abs(losses[0] - member.val_loss) > TOLERANCE:
                return False
    return True


def _on_one_line(text: str) -> str:
    """The sentence without line breaks, and written out where it could steer a terminal."""
    line = " ".join(text.split())
    return line if line.isprintable() else ascii(line)
