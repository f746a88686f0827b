import pytest
import torch
from test_training import SETTINGS, some_windows

from stages.lib.errors import TrainingError
from stages.lib.execution import Execution
from stages.lib.members import train_members


@pytest.fixture(scope="module")
def windows_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("windows")
    files = {length: folder / f"seq{length}.pt" for length in (2, 3, 5)}
    for length, path in files.items():
        path.write_bytes(some_windows(length).to_bytes())
    return files


@pytest.fixture(scope="module")
def reference(windows_files):
    return train_members(windows_files, "time", SETTINGS, Execution(jobs=1, quiet=True))


def assert_same(members, reference):
    assert [member.seq_length for member in members] == [member.seq_length for member in reference]
    for member, expected in zip(members, reference, strict=True):
        assert member.history == expected.history
        assert all(torch.equal(member.state[name], tensor) for name, tensor in expected.state.items())


@pytest.mark.parametrize(
    "execution",
    [
        Execution(jobs=3, quiet=True),
        Execution(jobs=2, num_workers=1, pin_memory=True, prefetch_factor=4, quiet=True),
    ],
)
def test_how_members_run_changes_no_byte(windows_files, reference, execution):
    assert_same(train_members(windows_files, "time", SETTINGS, execution), reference)


def test_a_member_is_the_same_without_the_others(windows_files, reference):
    alone = train_members({3: windows_files[3]}, "time", SETTINGS, Execution(jobs=1, quiet=True))
    assert_same(alone, reference[1:2])


def test_every_epoch_of_every_member_is_a_line_on_stderr(windows_files, capsys):
    members = train_members(windows_files, "time", SETTINGS, Execution(jobs=2))
    out, err = capsys.readouterr()
    assert out == ""
    best = members[0].history[1]
    line = (
        f"time   L=2   epoch 2   train_loss {best.train_loss:.4f}  val_loss {best.val_loss:.4f}  "
        f"val_accuracy {best.val_accuracy:.4f}"
    )
    assert line in err.splitlines()
    assert len(err.splitlines()) == 9


def test_quiet_prints_nothing(windows_files, capsys):
    train_members({2: windows_files[2]}, "time", SETTINGS, Execution(jobs=1, quiet=True))
    assert capsys.readouterr() == ("", "")


def test_a_precision_that_cannot_run_is_refused_before_training(windows_files, capsys):
    with pytest.raises(TrainingError, match="fp16"):
        train_members(windows_files, "time", SETTINGS.model_copy(update={"precision": "fp16"}), Execution(jobs=1))
    assert capsys.readouterr().err == ""
