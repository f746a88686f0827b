"""What a training ends with, and `--describe` too: both verdicts, and where the report lies."""

import json
import shutil

import pytest

from boomerang.base.wording import calling_settings
from boomerang.combining.artifacts import read_metadata
from boomerang.commands import predict, train_flags
from boomerang.commands.outcome import list_doubts, list_verdicts
from tests.commands.support import run


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of what a prediction and its verdicts need, to be damaged."""
    return shutil.copytree(trained, tmp_path / "artifacts", ignore=shutil.ignore_patterns("sequences", "prepared"))


def verdicts_of(folder):
    return list_verdicts(read_metadata(folder), folder)


def change(folder, edit):
    path = folder / "evaluation" / "evaluation.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def test_describe_ends_with_both_verdicts_and_the_path_of_the_report(trained, capsys):
    predict.main(["--describe", "--artifacts_dir", str(trained)])
    questions = json.loads((trained / "evaluation" / "evaluation.json").read_text())["questions"]
    said = [questions[question] for question in ("next", "made")]
    verdicts = [line for answers in said for line in (answers["verdict"], answers["parts"]["sentence"])]
    expected = [verdict.replace("test_split", "the training's test_split") for verdict in verdicts]
    assert capsys.readouterr().out.splitlines()[-5:] == [*expected, f"report: {trained / 'evaluation' / 'report.html'}"]


def test_what_acting_is_worth_follows_the_verdict_of_its_question(folder):
    sentence = "What acting on the next purchase is worth is not measured: because."
    worth = {"cost_missed": "number", "cost_needless": 1, "sentence": sentence}
    worth |= {"n_acted": None, "cost": None, "alternatives": []}
    before = verdicts_of(folder)
    change(folder, lambda content: content["questions"]["next"].update(worth=worth))
    assert verdicts_of(folder) == [*before[:2], sentence, *before[2:]]


def test_models_without_their_evaluation_are_described_without_verdicts(folder, capsys):
    shutil.rmtree(folder / "evaluation")
    assert verdicts_of(folder) == []
    predict.main(["--describe", "--artifacts_dir", str(folder)])
    assert capsys.readouterr().out.splitlines()[-1] == f"metadata: {folder / 'models_meta.json'}"


def test_a_report_that_was_not_copied_is_not_named(folder):
    (folder / "evaluation" / "report.html").unlink()
    assert len(verdicts_of(folder)) == 4


def test_without_test_purchases_there_is_no_verdict_and_a_line_says_why(folder):
    change(folder, lambda content: content.update(questions={}, resampling=None, majority_accuracy=None))
    first, last = verdicts_of(folder)
    assert first.startswith("no verdict: no purchases were kept for testing (test_split is 0)")
    assert last.startswith("report: ")


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content["parts"]["train"].update(rows=141),
        lambda content: content["parts"].pop("test"),
        lambda content: content.update(seq_lengths=[2]),
        lambda content: content["training"]["context"]["seq4"].update(val_loss=[0.25, 0.25]),
        lambda content: content["training"]["simple"]["seq2"].update(val_loss=[]),
        lambda content: content["training"]["time"].pop("seq2"),
        lambda content: content["training"].pop("time"),
        lambda content: content["trees"]["next"].update(val_loss=[0.25] * 21),
        lambda content: content["trees"].pop("made"),
    ],
)
def test_the_evaluation_of_other_models_gives_no_verdict(folder, edit):
    change(folder, edit)
    (line,) = verdicts_of(folder)
    assert line.startswith(f"no verdict: {folder / 'evaluation' / 'evaluation.json'} is of other models than")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff"])
def test_a_damaged_evaluation_gives_a_line_and_no_error(folder, content):
    (folder / "evaluation" / "evaluation.json").write_bytes(content)
    (line,) = verdicts_of(folder)
    assert line.startswith(f"no verdict: {folder / 'evaluation' / 'evaluation.json'}")
    assert line.isprintable()


def test_a_verdict_steers_no_terminal(folder):
    change(folder, lambda content: content["questions"]["next"].update(verdict="\x1b[2Jfine,\nreally"))
    assert verdicts_of(folder)[0] == r"'\x1b[2Jfine, really'"


BOUNDS = {"value": 0.1, "low": -0.1, "high": 0.2, "block_length": 1}


def judge(folder, question, losses, learned=True, difference=BOUNDS):
    """Let the evaluation say so of one question: log losses by model, whether anything was learned, the difference."""

    def edit(content):
        answers = content["questions"][question]
        answers.update(learned=learned, difference=difference)
        for model in answers["models"]:
            model["log_loss"]["value"] = losses.get(model["name"], 0.4)

    change(folder, edit)


def doubts_of(folder, *names):
    return list_doubts(read_metadata(folder), folder, names)


WORSE = "on the test purchases of the training {} did worse than the share of returns alone: use that ("
UNKNOWN = "the evaluation of the training could not show that anything is to be learned from its history, so {} may be"


@pytest.mark.parametrize(
    ("question", "losses", "learned", "names", "said"),
    [
        ("next", {"base_rate": 0.4}, True, ["combination"], None),
        ("next", {"combination": 0.5}, True, ["combination"], WORSE.format("combination")),
        ("next", {"combination": 0.5}, False, ["combination"], WORSE.format("combination")),
        ("next", {}, False, ["combination"], UNKNOWN.format("combination")),
        ("next", {"combination": 0.5}, True, ["simple"], None),
        ("next", {"simple": 0.5}, True, ["simple"], WORSE.format("simple")),
        ("next", {"simple": 0.5}, True, ["time"], None),
        (
            "next",
            {"simple": 0.5, "time": 0.5},
            True,
            ["time", "simple", "combination"],
            WORSE.format("time and simple"),
        ),
        ("next", {"blend": 0.5}, True, ["blend_next"], WORSE.format("blend")),
        ("next", {"blend": 0.5}, True, ["blend_next", "blend_made"], WORSE.format("blend_next")),
        ("made", {"blend": 0.5}, True, ["trees_made", "blend_made"], WORSE.format("blend")),
        ("next", {}, False, ["blend_next", "blend_made"], UNKNOWN.format("blend_next")),
        ("next", {"combination": 0.5}, False, ["context"], None),
        ("made", {"context": 0.5}, True, ["context"], WORSE.format("context")),
        ("made", {}, False, ["context"], UNKNOWN.format("context")),
        ("made", {"context": 0.5}, False, ["combination", "simple"], None),
    ],
)
def test_what_speaks_against_a_prediction_is_said_of_what_predicts(folder, question, losses, learned, names, said):
    judge(folder, question, losses, learned)
    found = doubts_of(folder, *names)
    assert len(found) == (said is not None)
    assert all(line.startswith(said) and "\n" not in line for line in found)


@pytest.mark.parametrize("how", ["missing", "damaged", "of other models", "too few to tell", "no test purchases"])
def test_where_the_evaluation_cannot_tell_nothing_speaks_against_a_prediction(folder, how):
    judge(folder, "next", {"combination": 0.5}, learned=False)
    assert len(doubts_of(folder, "combination")) == 1
    if how == "missing":
        shutil.rmtree(folder / "evaluation")
    elif how == "damaged":
        (folder / "evaluation" / "evaluation.json").write_bytes(b"{")
    elif how == "of other models":
        change(folder, lambda content: content.update(seq_lengths=[2]))
    elif how == "too few to tell":
        judge(folder, "next", {"combination": 0.5}, False, BOUNDS | {"low": None, "high": None, "block_length": None})
    else:
        change(folder, lambda content: content.update(questions={}, resampling=None, majority_accuracy=None))
    assert doubts_of(folder, "combination") == []


@pytest.mark.parametrize("task", ["--history", "--history_csv", "--csv", "made"])
def test_every_way_to_predict_tells_what_speaks_against_it(folder, trained, capsys, task):
    judge(folder, "next", {"simple": 0.5, "blend": 0.5})
    judge(folder, "made", {"blend": 0.5})
    path = trained.parent / "purchases.csv"
    made = ["--next_datetime", "2024-03-01 09:00", "--next_number", "5"]
    given = {"--history": ["--history", "yes,no,no"], "made": ["--history_csv", path, *made]}.get(task, [task, path])
    out, err = run(capsys, *given, "--artifacts_dir", folder)
    said = {
        "--history": ["simple"],
        "--history_csv": ["blend"],
        "made": ["blend"],
        "--csv": ["blend_next", "blend_made"],
    }[task]
    notes = [line for line in err.splitlines() if "share of returns" in line]
    assert len(notes) == len(said)
    assert all(line.startswith(f"note: {WORSE.format(names)}") for line, names in zip(notes, said, strict=True))
    assert "share of returns" not in out


@pytest.mark.parametrize(
    ("command", "called"), [(train_flags.FLAG_NAMES, "--test_split"), (predict.NAMES, "the training's test_split")]
)
@pytest.mark.parametrize("advice", ["with these, {} 0.15 would", "with these, no value of {} would"])
def test_a_setting_in_a_verdict_is_called_as_the_command_calls_it(folder, command, called, advice):
    change(folder, lambda content: content["questions"]["next"].update(verdict=advice.format("test_split")))
    with calling_settings(command):
        assert verdicts_of(folder)[0] == advice.format(called)
    assert verdicts_of(folder)[0] == advice.format("test_split")
