"""What a training ends with, and `--describe` too: both verdicts, and where the report lies."""

import json
import shutil

import pytest

from boomerang.combining.artifacts import read_metadata
from boomerang.commands import predict
from boomerang.commands.outcome import list_verdicts


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
    expected = [questions[question]["verdict"] for question in ("next", "made")]
    assert capsys.readouterr().out.splitlines()[-3:] == [*expected, f"report: {trained / 'evaluation' / 'report.html'}"]


def test_models_without_their_evaluation_are_described_without_verdicts(folder, capsys):
    shutil.rmtree(folder / "evaluation")
    assert verdicts_of(folder) == []
    predict.main(["--describe", "--artifacts_dir", str(folder)])
    assert capsys.readouterr().out.splitlines()[-1] == f"metadata: {folder / 'models_meta.json'}"


def test_a_report_that_was_not_copied_is_not_named(folder):
    (folder / "evaluation" / "report.html").unlink()
    assert len(verdicts_of(folder)) == 2


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
