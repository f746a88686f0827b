import os
from pathlib import Path

import pytest

from boomerang.base import outputs
from boomerang.base.errors import ArtifactError, BusyError
from boomerang.base.files import sha256
from boomerang.base.outputs import read_output, replacing


def fill(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def contents(folder):
    found = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert found.pop(".lock") == ""
    return found


@pytest.fixture
def folder(tmp_path):
    """A folder with the outputs of an earlier run."""
    with replacing(tmp_path / "out") as new:
        fill(new, time__a="old", time__b="old", meta="old", other="old")
    return tmp_path / "out"


def test_what_is_written_replaces_what_has_its_name_and_the_rest_stays(folder):
    with replacing(folder) as new:
        fill(new, time__a="new", meta="new")
        assert contents(folder)["meta"] == "old"
    assert contents(folder) == {"time/a": "new", "meta": "new", "other": "old"}


@pytest.mark.parametrize("stop", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_fails_half_way_leaves_everything_as_it_was(folder, stop):
    def write_half():
        with replacing(folder) as new:
            fill(new, time__a="new", meta="new")
            raise stop

    before = contents(folder)
    with pytest.raises(stop):
        write_half()
    assert contents(folder) == before


def test_a_second_writer_is_refused_and_disturbs_nothing(folder):
    with replacing(folder) as new:
        fill(new, meta="new")
        with pytest.raises(BusyError, match=r"out: another run is writing here"), replacing(folder):
            pytest.fail("two writers at a time")
    assert contents(folder)["meta"] == "new"
    with replacing(folder):
        pass


def test_a_folder_that_cannot_be_written_is_found_before_anything_is_done(folder, monkeypatch):
    (folder / "lost+found").mkdir()

    def read_only(dir):
        assert Path(dir).name != "lost+found", "not one that a run replaces"
        if Path(dir).name == "time":
            raise OSError(30, "Read-only file system", str(dir))
        return Path(os.devnull).open()

    monkeypatch.setattr(outputs.tempfile, "TemporaryFile", read_only)
    with pytest.raises(OSError, match=r"Read-only file system: '.*/time'"), replacing(folder):
        pytest.fail("the body ran")


def test_a_run_killed_while_moving_is_read_as_finished_and_finished_by_the_next(folder):
    fill(folder / ".publishing", time__a="new", meta="new")
    assert read_output(folder, "meta") == b"new"
    assert read_output(folder, "time/a") == b"new"
    assert read_output(folder, "other") == b"old"
    with replacing(folder):
        assert contents(folder) == {"time/a": "new", "meta": "new", "other": "old"}


def test_of_two_runs_the_file_that_is_asked_for_is_read(folder):
    fill(folder / ".publishing", time__a="new")
    for content in (b"old", b"new"):
        assert read_output(folder, "time/a", sha256(content)) == content
    with pytest.raises(ArtifactError, match=r"out/time/a is not the file that models_meta.json names"):
        read_output(folder, "time/a", sha256(b"other"))


def test_what_a_killed_run_left_unfinished_is_cleared(folder):
    fill(folder / ".staged", meta="half")
    assert read_output(folder, "meta") == b"old"
    with replacing(folder) as new:
        assert list(new.iterdir()) == []


@pytest.mark.parametrize("target", ["../outside", "/etc/hostname", "loop"])
def test_a_link_out_of_the_folder_or_in_a_circle_is_not_followed(folder, target):
    fill(folder.parent, outside="secret")
    (folder / "loop").symlink_to(target)
    with pytest.raises(ArtifactError, match=r"is not followed|cannot be read"):
        read_output(folder, "loop")


def test_a_missing_output_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"out/none does not exist"):
        read_output(folder, "none")
