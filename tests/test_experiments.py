"""`dvc exp` as the README shows it: in the workspace, in folders of their own, queued, interrupted."""

import csv
import io
import os
import signal
import subprocess
import time

import pytest

from tests.support import clone_with_outputs, run

pytestmark = pytest.mark.xdist_group("pipeline")
# The store is part of what is tested here.
STORE = {"BOOMERANG_NO_STORE": "", "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org"}
STORE |= {"GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org"}


def entries(folder):
    return {path.parent.name for path in (folder / ".cache" / "members").glob("*/checkpoint")}


def shown(folder):
    """Experiments by name, as `dvc exp show` lists them."""
    rows = csv.DictReader(io.StringIO(run(folder, "dvc", "exp", "show", "--csv", **STORE)))
    return {row["Experiment"]: row for row in rows if row["Experiment"]}


def test_an_experiment_in_the_workspace_runs_only_what_its_parameter_changes(finished, tmp_path):
    clone = clone_with_outputs(finished, tmp_path)
    # The stages themselves run here: an output that comes out the same stops what depends on it.
    printed = run(
        clone, "dvc", "exp", "run", "-S", "train_simple.lr=0.003", "-S", "sequences.seq_lengths=[2,4]", **STORE
    )
    assert "Running stage 'train_simple'" in printed
    assert "Running stage 'meta'" in printed
    assert "Running stage 'evaluate'" in printed
    assert "Running stage 'backtest'" in printed
    assert printed.count("Running stage") == 4
    assert len(entries(clone)) == 2
    assert "val_loss" in run(clone, "dvc", "metrics", "show", "--json")
    assert "index.html" in run(clone, "dvc", "plots", "diff", "HEAD")
    assert "simple.log_loss" in run(clone, "dvc", "metrics", "diff", "--targets", "artifacts/metrics.json")


def test_queued_experiments_use_one_store_and_leave_the_workspace_alone(finished, tmp_path):
    clone = clone_with_outputs(finished, tmp_path)
    run(clone, "dvc", "exp", "run", "--queue", "-S", "train_simple.lr=0.004,0.005", "train_simple", **STORE)
    run(clone, "dvc", "queue", "start", "--jobs", "2", **STORE)
    deadline = time.monotonic() + 120
    while run(clone, "dvc", "queue", "status", **STORE).count("Success") < 2:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert run(clone, "git", "status", "--porcelain") == ""
    assert len(entries(clone)) == 4
    experiments = {row["train_simple.lr"]: name for name, row in shown(clone).items() if row["train_simple.lr"]}
    assert {"0.004", "0.005"} <= experiments.keys()
    run(clone, "dvc", "exp", "apply", experiments["0.004"])
    assert "lr: 0.004" in (clone / "params.yaml").read_text()
    assert run(clone, "dvc", "status", "-q", "train_simple") == ""


def test_an_experiment_in_a_folder_of_its_own_leaves_nothing_when_interrupted(finished, tmp_path):
    clone = clone_with_outputs(finished, tmp_path)
    options = {
        "env": os.environ | STORE | {"BOOMERANG_QUIET": "true", "BOOMERANG_JOBS": "1"},
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "start_new_session": True,
        "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    }
    command = ["dvc", "exp", "run", "--temp", "-S", "train_time.epochs=100000"]
    with subprocess.Popen(command, cwd=clone, **options) as experiment:
        deadline = time.monotonic() + 60
        while not entries(clone) and time.monotonic() < deadline:
            time.sleep(0.1)
        has_begun = bool(entries(clone))
        # One that does not begin must not go on for 100,000 epochs.
        os.killpg(experiment.pid, signal.SIGINT if has_begun else signal.SIGKILL)
    assert has_begun
    assert experiment.returncode != 0
    assert run(clone, "git", "status", "--porcelain") == ""
    assert run(clone, "dvc", "status", "-q") == ""
    assert not any((clone / ".dvc" / "tmp" / "exps" / "standalone").glob("tmp*"))
