import errno
import itertools
import os
from pathlib import Path

import pytest

from boomerang.base import outputs
from boomerang.base.errors import ArtifactError, BusyError
from boomerang.base.files import sha256
from boomerang.base.outputs import read_output, replacing

pytestmark = pytest.mark.usefixtures("anybodys")


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


@pytest.mark.parametrize("leftover", [".staged", ".replaced", ".publishing"])
def test_what_a_killed_run_left_behind_is_never_read_and_the_next_run_clears_it(folder, leftover, monkeypatch):
    monkeypatch.setattr(outputs, "PATIENCE_SECONDS", 0)
    # Other outputs may stand in place since then, of a checkout for one.
    fill(folder / leftover, time__a="stale", models_meta="stale")
    before = {"time/a": "old", "time/b": "old", "meta": "old", "other": "old"}
    assert read_output(folder, "time/a") == b"old"
    with pytest.raises(FileNotFoundError if leftover != ".replaced" else ArtifactError):
        read_output(folder, "models_meta")
    with replacing(folder) as new:
        assert list(new.iterdir()) == []
        fill(new, later="new")
    assert contents(folder) == {**before, "later": "new"}


class KilledError(BaseException):
    """Ends a process at once: nothing after it is put back."""


def stop_at_move(monkeypatch, number, error):
    """Let the move of this number go wrong."""
    moves = itertools.count(1)
    real = os.replace

    def replace(source, target):
        if next(moves) == number:
            raise error
        real(source, target)

    monkeypatch.setattr(outputs.os, "replace", replace)


NEW_FILES = {"time__a": "new", "meta": "new", "fresh": "new", "models_meta.json": "new"}
NEW = {"time/a": "new", "meta": "new", "other": "old", "fresh": "new", "models_meta.json": "new"}


def publish(folder):
    with replacing(folder) as new:
        fill(new, **NEW_FILES)


@pytest.fixture
def described(folder):
    (folder / "models_meta.json").write_text("old")
    return folder


@pytest.mark.parametrize("number", range(1, 8))
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_move_that_fails_puts_everything_back(described, monkeypatch, number, error):
    before = contents(described)
    with monkeypatch.context() as patch:
        stop_at_move(patch, number, error)
        with pytest.raises(type(error)):
            publish(described)
    assert contents(described) == before
    publish(described)
    assert contents(described) == NEW


def kill_at_move(monkeypatch, folder, number):
    with monkeypatch.context() as patch:
        stop_at_move(patch, number, KilledError())
        patch.setattr(outputs, "_move_back", lambda *arguments: None)
        patch.setattr(outputs.shutil, "rmtree", lambda *arguments, **options: None)
        with pytest.raises(KilledError):
            publish(folder)


@pytest.mark.parametrize("number", range(1, 8))
def test_a_kill_between_two_moves_leaves_no_metadata_and_the_same_command_mends_it(described, monkeypatch, number):
    monkeypatch.setattr(outputs, "PATIENCE_SECONDS", 0)
    kill_at_move(monkeypatch, described, number)
    if number == 1:
        assert read_output(described, "models_meta.json") == b"old"
    else:
        with pytest.raises(ArtifactError, match=r"interrupted while its outputs moved .*: run the same"):
            read_output(described, "models_meta.json")
    publish(described)
    assert contents(described) == NEW


def test_outputs_checked_out_after_a_kill_stay_when_a_later_stage_runs(described, monkeypatch):
    kill_at_move(monkeypatch, described, 5)
    checked_out = {"time/a": "other commit", "meta": "other commit", "models_meta.json": "other commit"}
    for name, content in checked_out.items():
        fill(described, **{name.replace("/", "__"): content})
    with replacing(described) as new:
        fill(new, later="new")
    assert contents(described) == {**checked_out, "fresh": "new", "other": "old", "later": "new"}


def test_a_reader_waits_for_a_run_whose_outputs_are_moving(described, monkeypatch):
    (described / ".replaced").mkdir()
    (described / "models_meta.json").rename(described / ".replaced" / "models_meta.json")
    monkeypatch.setattr(outputs.time, "sleep", lambda seconds: publish(described))
    assert read_output(described, "models_meta.json") == b"new"


def test_a_reader_waits_when_the_moves_begin_while_it_reads(described, monkeypatch):
    real = outputs.check_link

    def begin(path):
        if not (described / ".replaced").exists():
            (described / ".replaced").mkdir()
            path.rename(described / ".replaced" / path.name)
        real(path)

    monkeypatch.setattr(outputs, "check_link", begin)
    monkeypatch.setattr(outputs.time, "sleep", lambda seconds: (monkeypatch.undo(), publish(described)))
    assert read_output(described, "models_meta.json") == b"new"


def test_a_file_of_another_run_than_the_metadata_is_refused(folder):
    assert read_output(folder, "time/a", sha256(b"old")) == b"old"
    with pytest.raises(ArtifactError, match=r"out/time/a is not the file that models_meta.json names"):
        read_output(folder, "time/a", sha256(b"other"))


@pytest.mark.parametrize("target", ["../outside", "/etc/hostname", "loop"])
def test_a_link_out_of_the_folder_or_in_a_circle_is_not_followed(folder, target):
    fill(folder.parent, outside="secret")
    (folder / "loop").symlink_to(target)
    with pytest.raises(ArtifactError, match=r"is not followed|cannot be read"):
        read_output(folder, "loop")


def test_a_missing_output_is_named(folder):
    with pytest.raises(FileNotFoundError, match=r"out/none does not exist"):
        read_output(folder, "none")


def test_an_error_of_the_body_is_not_taken_for_one_of_the_folder(tmp_path):
    with pytest.raises(OSError, match="No space") as found, replacing(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert found.value.filename is None


def test_an_error_of_putting_outputs_into_place_names_the_folder(tmp_path, monkeypatch):
    def fail(*paths):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(outputs, "_move_into_place", fail)
    with pytest.raises(OSError, match="No space") as found, replacing(tmp_path):
        pass
    assert found.value.filename == str(tmp_path)
