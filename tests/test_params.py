"""`params.yaml` has the form in which DVC writes it back, so that `-S` of one value changes the line of that value."""

import difflib

import pytest
from dvc.utils.hydra import apply_overrides

from boomerang.base.paths import ROOT

WRITTEN = (ROOT / "params.yaml").read_text(encoding="utf-8")


def changed_lines(path, *overrides):
    """The lines that `dvc exp run -S` takes out of the file and puts into it."""
    path.write_text(WRITTEN, encoding="utf-8")
    apply_overrides(str(path), list(overrides))
    found = difflib.ndiff(WRITTEN.splitlines(), path.read_text(encoding="utf-8").splitlines())
    return [line for line in found if line[0] in "+-"]


@pytest.mark.parametrize(
    "override",
    [
        "train_simple.epochs=1",
        "train.lr=0.003",
        "train.use_gpu=true",
        "train.lr_schedule=cosine",
        "evaluate.n_folds=3",
        "evaluate.cost_missed=8",
        "evaluate.cost_needless=number",
        "prepare.timezone=Europe/London",
        "prepare.datetime_format='%d/%m/%Y %H:%M'",
        "train_context.precision=bf16",
    ],
)
def test_setting_one_value_by_dvc_changes_one_line(tmp_path, override):
    removed, added = changed_lines(tmp_path / "params.yaml", override)
    name, value = override.split(".")[1].split("=")
    assert removed.startswith(f"-   {name}:")
    assert added.startswith(f"+   {name}: {value}")


def test_setting_what_stands_there_by_dvc_changes_no_line(tmp_path):
    assert changed_lines(tmp_path / "params.yaml", "train.seed=0") == []


def test_setting_a_list_by_dvc_changes_its_items_alone(tmp_path):
    lines = changed_lines(tmp_path / "params.yaml", "sequences.seq_lengths=[2,3,5]")
    assert lines == ["-   - 8", "-   - 12", "-   - 24"]
