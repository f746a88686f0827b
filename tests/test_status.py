import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, clone_with_outputs, commit, run

from stages import status
from stages.lib.layout import OUTPUT_FOLDERS

group = pytest.mark.xdist_group("pipeline")


def run_status(folder):
    found = subprocess.run([sys.executable, "-m", "stages.status"], cwd=folder, capture_output=True, text=True)
    return found.returncode, found.stdout.splitlines(), found.stderr


@group
def test_what_is_committed_is_up_to_date_with_and_without_its_outputs(finished, tmp_path):
    assert run_status(finished) == (0, ["up to date"], "")
    run(tmp_path, "git", "clone", "-q", str(finished), "clone")
    assert run_status(tmp_path / "clone") == (0, ["up to date"], "artifacts/ is not here: its files are not checked\n")


@group
def test_everything_that_is_not_up_to_date_is_a_line(finished, tmp_path):
    clone = clone_with_outputs(finished, tmp_path)
    for name, old, new in (
        ("dvc.yaml", "      - stages/lib/batches.py\n", ""),
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
        "prepare: reads prepare.val_split, which is not in its params",
        "train_time: imports stages/lib/batches.py, which is not in its deps",
        "train_simple: imports stages/lib/batches.py, which is not in its deps",
        "stages/meta.py is not committed as it is here",
        "machine.json is not about the outputs in dvc.lock: `python -m stages.reproduce --record` renews it",
        "artifacts/time/model_seq99.pth is left over: models_meta.json knows of no such file",
    ):
        assert line in lines


@group
def test_data_that_is_not_in_git_is_named(finished, tmp_path):
    clone = clone_with_outputs(finished, tmp_path)
    run(clone, "git", "rm", "-q", "--cached", "data/purchases.csv")
    commit_without_data = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "no data")
    run(clone, *commit_without_data)
    assert run_status(clone)[:2] == (1, ["data/purchases.csv is not in git"])


@pytest.mark.parametrize(
    ("tracked", "said"),
    [({"data.dvc"}, True), ({"data/a.csv.dvc"}, True), (set(), False), ({"data"}, False), ({"other.dvc"}, False)],
)
def test_data_is_in_dvc_where_git_tracks_its_dvc_file_or_that_of_a_folder_above(tracked, said):
    assert status._is_in_dvc("data/a.csv", tracked) is said


def test_help_is_given_and_nothing_else():
    done = subprocess.run([sys.executable, "-m", "stages.status", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Exit code 1 when it is not" in done.stdout


def test_every_file_of_a_finished_run_is_expected(trained):
    folders = [path for name in OUTPUT_FOLDERS for path in (trained / name).rglob("*")]
    found = {path.relative_to(trained).as_posix() for path in folders if path.is_file()}
    assert found == status.expected_files([2, 4])


def test_missing_left_over_and_foreign_files_are_named(trained, tmp_path):
    folder = tmp_path / "artifacts"
    shutil.copytree(trained, folder)
    assert status.check_outputs(folder) == []
    (folder / "simple" / "model_simple_seq2.pth").write_bytes(b"other")
    (folder / "simple" / "model_simple_seq4.pth").unlink()
    (folder / "sequences" / "time" / "seq3.pt").touch()
    assert status.check_outputs(folder) == [
        "artifacts/sequences/time/seq3.pt is left over: models_meta.json knows of no such file",
        "artifacts/simple/model_simple_seq2.pth is not the file that models_meta.json names: its SHA-256 differs",
        "artifacts/simple/model_simple_seq4.pth is missing",
    ]
