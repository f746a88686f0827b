"""What DVC is told agrees with what the stages do."""

import os
import shutil
import subprocess
import time

import networkx
import psutil
import pytest
import yaml
from dvc.repo import Repo

from tests.benchmarks import kills
from tests.support import ROOT, SMALL_PARAMS, clone_with_outputs, run, wait_until_ended

pytestmark = [
    # Warnings of DVC about its own parts.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    # One worker makes the finished pipeline that these tests look at.
    pytest.mark.xdist_group("pipeline"),
]

PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STAGES = list(PIPELINE)
TRAININGS = {"train_time", "train_simple", "train_context"}
# What runs again after a change: the stage that reads the setting and whatever depends on its output.
AFTER = {"meta", "backtest", "evaluate"}
TREES = {"train_trees", *AFTER}
EVERYTHING = {"prepare", "sequences", *TRAININGS, *TREES}
RERUNS = {
    "prepare.group_column": ("customer", EVERYTHING),
    "prepare.numeric_columns": (["price"], EVERYTHING),
    "prepare.categorical_columns": (["product"], EVERYTHING),
    "prepare.max_values": (1000, EVERYTHING),
    "prepare.label_delay_days": (14.0, EVERYTHING),
    "prepare.open_returned": (True, EVERYTHING),
    "prepare.rate_strength": (10.0, EVERYTHING),
    "prepare.number_transform": ("none", EVERYTHING),
    "prepare.val_split": (0.3, EVERYTHING),
    "prepare.test_split": (0.2, EVERYTHING),
    "prepare.data_path": ("data/other.csv", EVERYTHING),
    "prepare.datetime_format": ("%Y-%m-%dT%H:%M:%S", EVERYTHING),
    "prepare.timezone": ("UTC", EVERYTHING),
    "prepare.on_bad_rows": ("drop", EVERYTHING),
    # `sequences` only checks the folds: its windows come out the same, and no training runs in the end.
    "evaluate.n_folds": (2, EVERYTHING - {"prepare"}),
    "evaluate.equivalence_margin": (0.01, {"evaluate"}),
    "evaluate.cost_missed": (8.0, {"evaluate"}),
    "evaluate.cost_needless": (1.0, {"evaluate"}),
    "evaluate.shown_columns": (["product"], {"evaluate"}),
    "sequences.seq_lengths": ([2], EVERYTHING - {"prepare"}),
    "sequences.max_seq_cap": (3, EVERYTHING - {"prepare"}),
    "train_trees.rounds": (30, TREES),
    "train_trees.lr": (0.2, TREES),
    "train_trees.leaves": (5, TREES),
    "train_trees.early_stopping_patience": (4, TREES),
}
TRAIN_CHANGES = {
    "seed": 1,
    "epochs": 3,
    "batch_size": 64,
    "lr": 0.003,
    "hidden_size": 8,
    "num_layers": 2,
    "grad_accum_steps": 2,
    "early_stopping_patience": 1,
    "lr_schedule": "cosine",
    "precision": "bf16",
    "use_gpu": True,
}
for name, value in TRAIN_CHANGES.items():
    RERUNS[f"train.{name}"] = (value, TRAININGS | AFTER)
    RERUNS |= {f"{stage}.{name}": (value, {stage, *AFTER}) for stage in sorted(TRAININGS)}


def test_the_table_covers_every_parameter():
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(RERUNS) == {f"{section}.{name}" for section, values in params.items() for name in values}


def stages_that_would_run(folder):
    """The stages that DVC finds changed, and those that depend on them."""
    with Repo(str(folder)) as repo:
        stale = {where.rsplit(":", 1)[-1] for where in repo.status()}
        by_name = {stage.name: stage for stage in repo.index.stages}
        graph = repo.index.graph
        # In DVC's graph an edge leads from a stage to what it depends on.
        dependent = [networkx.ancestors(graph, by_name[name]) for name in stale]
        return stale.union(*({stage.name for stage in found} for found in dependent))


@pytest.mark.parametrize("parameter", RERUNS)
def test_a_changed_parameter_runs_what_depends_on_it_and_nothing_else(finished, parameter):
    value, expected = RERUNS[parameter]
    section, key = parameter.split(".")
    params = yaml.safe_load((finished / "params.yaml").read_text())
    params[section][key] = value
    (finished / "params.yaml").write_text(yaml.safe_dump(params))
    try:
        assert stages_that_would_run(finished) == expected
    finally:
        (finished / "params.yaml").write_text(yaml.safe_dump(SMALL_PARAMS))
    assert stages_that_would_run(finished) == set()


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("boomerang/base/files.py", EVERYTHING),
        ("boomerang/reading/purchases.py", EVERYTHING),
        ("boomerang/model/windows.py", EVERYTHING - {"prepare"}),
        ("boomerang/training/adam.py", TRAININGS | AFTER),
        ("boomerang/trees/forest.py", TREES),
        ("boomerang/combining/calibration.py", AFTER),
        ("boomerang/measures/baselines.py", AFTER),
        ("boomerang/report/report.css", {"backtest", "evaluate"}),
        ("boomerang/serving/predictor.py", set()),
        ("boomerang/commands/train.py", set()),
        ("tools/status.py", set()),
        ("requirements-pipeline.txt", EVERYTHING),
        ("requirements.txt", set()),
        ("requirements-dev.txt", set()),
    ],
)
def test_a_changed_file_runs_the_stages_that_depend_on_it(finished, module, expected):
    path = finished / module
    before = path.read_text()
    path.write_text(before + "# changed\n")
    try:
        assert stages_that_would_run(finished) == expected
    finally:
        path.write_text(before)


def test_a_killed_dvc_takes_its_stage_along(finished, tmp_path):
    clone = clone_with_outputs(finished, tmp_path)
    params = yaml.safe_load((clone / "params.yaml").read_text())
    params["train"]["epochs"] = 100_000
    (clone / "params.yaml").write_text(yaml.safe_dump(params))
    # DVC starts stages with $SHELL; unlike bash, Debian's dash does not give its place to the only command.
    environment = os.environ | {"BOOMERANG_QUIET": "true", "BOOMERANG_JOBS": "2", "SHELL": "/bin/sh"}
    with subprocess.Popen(["dvc", "repro", "-q", "train_time"], cwd=clone, env=environment) as dvc:
        deadline = time.monotonic() + 60
        # The stage, loky's tracker of resources, two workers.
        while len(below := psutil.Process(dvc.pid).children(recursive=True)) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert any("stages.train" in process.cmdline() for process in below)
        dvc.kill()
    wait_until_ended(below)
    run(clone, "git", "checkout", "-q", "params.yaml")
    run(clone, "dvc", "repro", "-q", "train_time")
    assert (clone / "dvc.lock").read_text() == (finished / "dvc.lock").read_text()


def test_an_edit_while_a_stage_runs_is_not_recorded_as_if_it_had_been_used(finished, tmp_path):
    clone = clone_with_outputs(finished, tmp_path)
    source = clone / "boomerang" / "model" / "windows.py"
    command = ["dvc", "repro", "--force", "--single-item", "sequences"]
    with subprocess.Popen(command, cwd=clone, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as dvc:
        # Outputs are in the making when the imports are done.
        deadline = time.monotonic() + 60
        while not (clone / "artifacts" / ".staged").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        source.write_text(source.read_text() + "# changed\n")
        printed = dvc.communicate()[0].decode()
    assert dvc.returncode != 0
    assert "error: boomerang/model/windows.py changed while this ran: nothing was written, run it again" in printed
    assert "sequences" in stages_that_would_run(clone)


def test_a_stage_that_fails_leaves_the_earlier_outputs(finished, tmp_path):
    clone = clone_with_outputs(finished, tmp_path)
    before = (clone / "artifacts" / "prepared" / "purchases.parquet").read_bytes()
    with (clone / "data" / "purchases.csv").open("a") as file:
        file.write("2030-01-01,perhaps,1\n")
    failed = subprocess.run(["dvc", "repro", "-q"], cwd=clone, capture_output=True, text=True)
    assert failed.returncode != 0
    assert "row 202: returned must be one of" in failed.stderr
    assert (clone / "artifacts" / "prepared" / "purchases.parquet").read_bytes() == before


def test_the_command_line_gives_the_bytes_of_the_pipeline(finished, tmp_path):
    # params.yaml lies beside train.py, and so do the modules that it runs.
    shutil.copy(ROOT / "train.py", finished)
    try:
        run(tmp_path, "python", str(finished / "train.py"), "--artifacts_dir", "out")
    finally:
        (finished / "train.py").unlink()
    assert kills.contents(tmp_path / "out") == kills.contents(finished / "artifacts")
