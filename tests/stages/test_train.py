import shutil

import pytest

from boomerang.base import settings
from boomerang.base.ensembles import TIME_FEATURES
from boomerang.base.errors import ArtifactError
from boomerang.base.execution import Execution
from stages.train import train

WIDTH = len(TIME_FEATURES)


@pytest.fixture
def run(params, tmp_path):
    """Train the time ensemble on the windows in `tmp_path`/windows, to write nothing there if they are refused."""
    config = settings.validate_settings(params, "test").training("time")

    def run():
        train({"time": config}, tmp_path / "windows", tmp_path / "out", Execution(jobs=1, quiet=True, no_store=True))

    yield run
    assert not (tmp_path / "out").exists()


@pytest.fixture
def windows(trained, tmp_path):
    """A copy of the time ensemble's windows, to be damaged."""
    return shutil.copytree(trained / "sequences" / "time", tmp_path / "windows" / "time")


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_without_windows_is_refused(run, tmp_path, exists):
    if exists:
        (tmp_path / "windows" / "time").mkdir(parents=True)
    with pytest.raises(ArtifactError, match="windows/time holds no windows: run the stage sequences first"):
        run()


@pytest.mark.parametrize("name", ["seqfoo.pt", "seq3.pt", "seq02.pt", "other.pt"])
def test_windows_that_are_not_what_their_name_says_are_refused(run, windows, name):
    shutil.copy(windows / "seq2.pt", windows / name)
    message = rf"{name} must be named by its L .* \(found L=2 and shape \(2, {WIDTH}\)\)"
    with pytest.raises(ArtifactError, match=message):
        run()


def test_windows_of_the_other_ensemble_are_refused(run, windows, trained):
    shutil.copy(trained / "sequences" / "simple" / "seq2.pt", windows / "seq2.pt")
    message = rf"windows of 2 purchases with {WIDTH} features \(found L=2 and shape \(2, 1\)\)"
    with pytest.raises(ArtifactError, match=message):
        run()


def test_windows_elsewhere_are_not_followed(run, windows):
    (windows / "seq2.pt").rename(windows.parent / "elsewhere")
    (windows / "seq2.pt").symlink_to("../elsewhere")
    with pytest.raises(ArtifactError, match="a link that leads out of"):
        run()
