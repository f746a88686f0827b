import shutil

import pytest

from boomerang.base.paths import OUTPUT_FOLDERS
from tools.inventory import find_unaccounted, list_expected


@pytest.mark.parametrize(("training", "has_values"), [("trained", False), ("trained_on_columns", True)])
def test_every_file_of_a_finished_run_is_expected(request, training, has_values, tmp_path):
    trained = request.getfixturevalue(training)
    folders = [path for name in OUTPUT_FOLDERS for path in (trained / name).rglob("*")]
    found = {path.relative_to(trained).as_posix() for path in folders if path.is_file()}
    assert found == list_expected([2, 4], has_values)
    shutil.copytree(trained, tmp_path / "artifacts")
    assert find_unaccounted(tmp_path) == []


def test_missing_left_over_and_foreign_files_are_named(trained, tmp_path):
    folder = tmp_path / "artifacts"
    shutil.copytree(trained, folder)
    assert find_unaccounted(tmp_path) == []
    (folder / "simple" / "model_simple_seq2.pth").write_bytes(b"other")
    (folder / "simple" / "model_simple_seq4.pth").unlink()
    (folder / "sequences" / "time" / "seq3.pt").touch()
    assert find_unaccounted(tmp_path) == [
        "artifacts/sequences/time/seq3.pt is left over: models_meta.json knows of no such file",
        "artifacts/simple/model_simple_seq2.pth is not the file that models_meta.json names: its SHA-256 differs",
        "artifacts/simple/model_simple_seq4.pth is missing",
    ]


@pytest.mark.parametrize("name", ["artifacts", "artifacts/time"])
def test_artifacts_that_are_not_here_are_no_fault_and_damaged_ones_are(tmp_path, capsys, name):
    (tmp_path / name).mkdir(parents=True)
    lines = find_unaccounted(tmp_path)
    said = capsys.readouterr().err
    if name == "artifacts":
        assert (lines, said) == ([], "artifacts/ is not here: its files are not checked\n")
    else:
        assert [line.partition("models_meta.json")[2] for line in lines] == [
            " cannot be read: No such file or directory"
        ]
        assert said == ""
