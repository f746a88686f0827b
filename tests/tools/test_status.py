import os
import subprocess
import sys

import pytest
import yaml

from tests.support import ROOT, clone_with_outputs, commit, run

group = pytest.mark.xdist_group("pipeline")


def run_status(folder, **environment):
    command = [sys.executable, "-m", "tools.status"]
    found = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    return found.returncode, found.stdout.splitlines(), found.stderr


def remove_from_git(folder, path):
    """Commit that a file is none of git's any more; it stays where it is."""
    run(folder, "git", "rm", "-q", "--cached", path)
    run(folder, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "removed")


@group
def test_what_is_committed_is_up_to_date_with_and_without_its_outputs(finished, tmp_path):
    assert run_status(finished) == (0, ["up to date"], "")
    run(tmp_path, "git", "clone", "-q", str(finished), "clone")
    assert run_status(tmp_path / "clone") == (0, ["up to date"], "artifacts/ is not here: its files are not checked\n")


@group
def test_everything_that_is_not_up_to_date_is_a_line(finished, tmp_path):
    clone = clone_with_outputs(finished, tmp_path)
    for name, old, new in (
        ("dvc.yaml", "      - boomerang/training\n", ""),
        ("dvc.yaml", "      - prepare.val_split\n", ""),
        ("params.yaml", "max_seq_cap: 128", "max_seq_cap: 127"),
        ("requirements.txt", "rich==", "rich==0.0.0.dev"),
        ("machine.json", '"outputs": "', '"outputs": "0'),
    ):
        text = (clone / name).read_text()
        assert old in text
        (clone / name).write_text(text.replace(old, new))
    commit(clone)
    with (clone / "stages" / "meta.py").open("a") as file:
        file.write("# changed\n")
    (clone / "artifacts" / "time" / "model_seq99.pth").write_bytes(b"")
    code, lines, _ = run_status(clone)
    assert code == 1
    assert any(line.startswith("rich: ") for line in lines)
    for line in (
        "sequences: sequences.max_seq_cap is modified",
        "meta: stages/meta.py is modified",
        "train_time: artifacts/time is modified",
        "prepare: dvc.lock records prepare.val_split, which dvc.yaml does not name",
        "train_time: dvc.lock records boomerang/training, which dvc.yaml does not name",
        "train_simple: dvc.lock records boomerang/training, which dvc.yaml does not name",
        "stages/meta.py is not committed as it is here",
        "machine.json is not about the outputs in dvc.lock: `python -m tools.reproduce --record` renews it",
        "artifacts/time/model_seq99.pth is left over: models_meta.json knows of no such file",
    ):
        assert line in lines


@group
def test_data_that_is_not_in_git_is_named(finished, tmp_path):
    clone = clone_with_outputs(finished, tmp_path)
    remove_from_git(clone, "data/purchases.csv")
    assert run_status(clone)[:2] == (1, ["data/purchases.csv is not in git"])


@pytest.fixture
def foreign(tmp_path):
    """A repository with nothing of ours: two stages, a folder of sources, data that DVC tracks; all up to date."""
    for folder in ("source", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "source" / "one.py").write_text("")
    (tmp_path / "data" / "raw.csv").write_text("1")
    stages = {
        "first": {"cmd": "cp data/raw.csv made", "deps": ["source", "data/raw.csv"], "outs": ["made"]},
        "second": {"cmd": "cp made copied", "deps": ["made"], "outs": ["copied"]},
    }
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (tmp_path / ".gitignore").write_text("*.log\n__pycache__\n")
    run(tmp_path, "git", "init", "-q")
    run(tmp_path, "dvc", "init", "-q")
    with (tmp_path / ".dvcignore").open("a") as file:
        file.write("__pycache__/\n")
    run(tmp_path, "dvc", "add", "-q", "data")
    run(tmp_path, "dvc", "repro", "-q")
    run(tmp_path, sys.executable, "-m", "tools.reproduce", "--record", PYTHONPATH=str(ROOT))
    commit(tmp_path)
    return tmp_path


def test_a_repository_with_nothing_of_ours_is_checked(foreign):
    assert run_status(foreign, PYTHONPATH=str(ROOT)) == (0, ["up to date"], "")
    remove_from_git(foreign, "data.dvc")
    for name in ("new.py", "ignored.log", "__pycache__/one.pyc"):
        (foreign / "source" / name).parent.mkdir(exist_ok=True)
        (foreign / "source" / name).write_text("")
    (foreign / "source" / "one.py").unlink()
    assert run_status(foreign, PYTHONPATH=str(ROOT))[:2] == (
        1,
        [
            "first: source is modified",
            "data.dvc is not in git",
            "source/ignored.log is not in git",
            "source/new.py is not in git",
            "source/one.py is not committed as it is here",
        ],
    )


def test_a_clone_of_it_tells_what_is_stale_in_the_lock_alone(foreign, tmp_path_factory):
    (foreign / "source" / "one.py").write_text("# changed")
    stages = yaml.safe_load((foreign / "dvc.yaml").read_text())
    stages["stages"]["first"]["cmd"] = "echo 2 > made"
    (foreign / "dvc.yaml").write_text(yaml.safe_dump(stages))
    run(foreign, "dvc", "repro", "-q", "--single-item", "first")
    run(foreign, sys.executable, "-m", "tools.reproduce", "--record", PYTHONPATH=str(ROOT))
    commit(foreign)
    folder = tmp_path_factory.mktemp("clone")
    run(folder, "git", "clone", "-q", str(foreign), ".")
    assert run_status(folder, PYTHONPATH=str(ROOT))[:2] == (
        1,
        ["second: made from another made than first has written since"],
    )


@pytest.fixture
def scattered(tmp_path):
    """A repository with a stage that runs in a folder, one of a `dvc.yaml` in another, and an input from outside."""
    folder = tmp_path / "repository"
    outside = tmp_path / "outside.csv"
    for name in ("sub", "other"):
        (folder / name).mkdir(parents=True)
    (folder / "sub" / "raw").write_text("1")
    outside.write_text("2")
    one = {"cmd": "cp raw made", "wdir": "sub", "deps": ["raw", str(outside)], "outs": ["made"]}
    two = {"cmd": "cp ../sub/made copy", "deps": ["../sub/made"], "outs": ["copy"]}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"one": one}}))
    (folder / "other" / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"two": two}}))
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")
    run(folder, "dvc", "repro", "-q", "--all-pipelines")
    run(folder, sys.executable, "-m", "tools.reproduce", "--record", PYTHONPATH=str(ROOT))
    commit(folder)
    return folder


def test_stages_in_folders_and_inputs_from_outside_are_checked(scattered, tmp_path):
    assert run_status(scattered, PYTHONPATH=str(ROOT)) == (0, ["up to date"], "")
    run(tmp_path, "git", "clone", "-q", str(scattered), "clone")
    assert run_status(tmp_path / "clone", PYTHONPATH=str(ROOT)) == (0, ["up to date"], "")
    (scattered / "sub" / "raw").write_text("3")
    assert run_status(scattered, PYTHONPATH=str(ROOT))[1] == [
        "one: sub/raw is modified",
        "sub/raw is not committed as it is here",
    ]


def test_help_is_given_and_nothing_else():
    done = subprocess.run([sys.executable, "-m", "tools.status", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Exit code 1 when it is not" in done.stdout
