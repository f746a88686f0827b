import errno
import threading
import time
from dataclasses import replace

import joblib
import psutil
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError

from boomerang.base import sources
from boomerang.base.errors import ChangedError, SettingsError, TrainingError
from boomerang.base.execution import Execution
from boomerang.base.files import sha256
from boomerang.model import tensors
from boomerang.training import checkpoints, store
from boomerang.training.members import EnsembleTask, train_members
from boomerang.training.store import SOURCES, Entry
from boomerang.training.trainer import MemberTrainer
from tests.training.support import SETTINGS, some_windows


def train_time(windows_files, settings, execution):
    return train_members({"time": EnsembleTask(windows_files, settings)}, execution)["time"]


@pytest.fixture(scope="module")
def windows_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("windows")
    files = {length: folder / f"seq{length}.pt" for length in (2, 3, 4, 5)}
    for length, path in files.items():
        path.write_bytes(some_windows(length).to_bytes())
    return files


@pytest.fixture(scope="module")
def reference(windows_files):
    return train_time(windows_files, SETTINGS, Execution(jobs=1, quiet=True, no_store=True))


def assert_same(members, reference):
    assert [member.seq_length for member in members] == [member.seq_length for member in reference]
    for member, expected in zip(members, reference, strict=True):
        assert member.history == expected.history
        assert member.val_logits.numpy().tobytes() == expected.val_logits.numpy().tobytes()
        # The bytes of its file.
        assert tensors.save(member.state) == tensors.save(expected.state)


@pytest.mark.parametrize(
    "execution",
    [
        Execution(jobs=2, quiet=True, no_store=True),
        Execution(jobs=4, quiet=True, no_store=True),
        Execution(jobs=2, num_workers=2, pin_memory=True, prefetch_factor=4, quiet=True, no_store=True),
    ],
)
def test_how_members_run_changes_no_byte(windows_files, reference, execution):
    assert_same(train_time(windows_files, SETTINGS, execution), reference)


def test_a_member_is_the_same_without_the_others(windows_files, reference):
    alone = train_time({3: windows_files[3]}, SETTINGS, Execution(jobs=1, quiet=True, no_store=True))
    assert_same(alone, reference[1:2])


def test_ensembles_that_train_side_by_side_are_those_that_train_alone(windows_files, reference):
    execution = Execution(jobs=2, quiet=True, no_store=True)
    other = EnsembleTask({2: windows_files[2]}, SETTINGS.model_copy(update={"lr": 0.01}))
    both = train_members({"time": EnsembleTask(windows_files, SETTINGS), "context": other}, execution)
    assert_same(both["time"], reference)
    assert_same(both["context"], train_members({"context": other}, execution)["context"])


def test_every_epoch_of_every_member_is_a_line_on_stderr(windows_files, capsys):
    members = train_time(windows_files, SETTINGS, Execution(jobs=2, no_store=True))
    out, err = capsys.readouterr()
    assert out == ""
    best = members[0].history[1]
    line = (
        f"time    L=2   epoch 2   train_loss {best.train_loss:.4f}  val_loss {best.val_loss:.4f}  "
        f"val_accuracy {best.val_accuracy:.4f}"
    )
    assert line in err.splitlines()
    assert len(err.splitlines()) == 12


def test_nothing_is_trained_when_a_source_is_not_what_it_was_at_the_start(windows_files, tmp_path, monkeypatch):
    lstm = SOURCES["boomerang/model/lstm.py"]
    at_start = sources.at_start() | {lstm: "the hash of what was imported"}
    for module in (sources, store):
        monkeypatch.setattr(module, "at_start", lambda: at_start)
    with pytest.raises(ChangedError, match=r"^boomerang/model/lstm\.py changed while this ran"):
        train_time(windows_files, SETTINGS, Execution(jobs=1, quiet=True, store=tmp_path))
    assert list(tmp_path.rglob("checkpoint")) == []


def test_finished_members_are_read_without_a_worker(windows_files, reference, tmp_path, monkeypatch, capsys):
    train_time(windows_files, SETTINGS, Execution(jobs=1, quiet=True, store=tmp_path))
    monkeypatch.setattr("boomerang.training.members._train_member", None)
    assert_same(train_time(windows_files, SETTINGS, Execution(jobs=2, store=tmp_path)), reference)
    assert capsys.readouterr().err.count("3 of 3 epochs taken from the store") == 4


def test_quiet_prints_nothing(windows_files, capsys):
    train_time({2: windows_files[2]}, SETTINGS, Execution(jobs=1, quiet=True, no_store=True))
    assert capsys.readouterr() == ("", "")


def test_a_precision_that_cannot_run_is_refused_before_training(windows_files, capsys):
    with pytest.raises(SettingsError, match="fp16"):
        train_time(windows_files, SETTINGS.model_copy(update={"precision": "fp16"}), Execution(jobs=1, no_store=True))
    assert capsys.readouterr().err == ""


@pytest.fixture
def counted(monkeypatch):
    """The (L, epoch) of every epoch that is trained in this process."""
    trained = []
    run_epoch = MemberTrainer.run_epoch

    def count(trainer):
        epoch = run_epoch(trainer)
        trained.append((epoch.seq_length, epoch.epoch))
        return epoch

    monkeypatch.setattr(MemberTrainer, "run_epoch", count)
    return trained


@pytest.fixture
def execution(tmp_path):
    return Execution(jobs=1, quiet=True, store=tmp_path / "store")


def test_a_new_length_trains_alone_and_fewer_lengths_train_nothing(windows_files, reference, execution, counted):
    three = {length: windows_files[length] for length in (2, 4, 5)}
    train_time(three, SETTINGS, execution)
    counted.clear()
    assert_same(train_time(windows_files, SETTINGS, execution), reference)
    assert counted == [(3, 1), (3, 2), (3, 3)]
    counted.clear()
    assert_same(train_time({2: windows_files[2]}, SETTINGS, execution), reference[:1])
    assert counted == []


class Stopped(BaseException):
    """Ends a run where no code of ours can tidy up."""


@pytest.mark.parametrize("n_epochs", [1, 2, 3])
@pytest.mark.parametrize("changes", [{}, {"lr_schedule": "cosine", "early_stopping_patience": 1}])
def test_a_stopped_run_goes_on_after_the_last_finished_epoch(
    windows_files, execution, counted, monkeypatch, n_epochs, changes
):
    settings = SETTINGS.model_copy(update=changes)
    files = {3: windows_files[3]}
    expected = train_time(files, settings, Execution(jobs=1, quiet=True, no_store=True))
    counted.clear()
    write = Entry.write

    def write_and_stop(entry, checkpoint):
        write(entry, checkpoint)
        if len(counted) == n_epochs:
            raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(Entry, "write", write_and_stop)
        with pytest.raises(Stopped):
            train_time(files, settings, execution)
    assert_same(train_time(files, settings, execution), expected)
    assert counted == [(3, epoch.epoch) for epoch in expected[0].history]


def damage(content, how):
    if how == "flipped bit":
        return content[:-1000] + bytes([content[-1000] ^ 1]) + content[-999:]
    if how == "truncated":
        return content[: len(content) // 2]
    if how == "of another member":
        other = MemberTrainer(some_windows(4), "time", SETTINGS, Execution(jobs=1))
        other.run_epoch()
        content = checkpoints.save(other)
    else:
        content = how
    return sha256(content).encode() + b"\n" + content


@pytest.mark.parametrize("how", ["flipped bit", "truncated", "of another member", b"", b"no checkpoint"])
def test_a_damaged_entry_is_dropped_with_a_warning_and_made_again(
    windows_files, reference, execution, counted, capsys, how
):
    files = {2: windows_files[2]}
    train_time(files, SETTINGS, execution)
    (path,) = execution.store.glob("*/checkpoint")
    path.write_bytes(damage(path.read_bytes(), how))
    counted.clear()
    assert_same(train_time(files, SETTINGS, execution), reference[:1])
    assert counted == [(2, 1), (2, 2), (2, 3)]
    assert capsys.readouterr().err.startswith("warning: member store: ")


def test_a_checkpoint_of_very_many_epochs_is_read(windows_files):
    settings = SETTINGS.model_copy(update={"epochs": 30_000})
    long, resumed = (MemberTrainer(some_windows(2), "time", settings, Execution(jobs=1)) for _ in range(2))
    first = long.run_epoch()
    long.history = [replace(first, epoch=number) for number in range(1, 30_001)]
    checkpoints.resume(resumed, checkpoints.save(long))
    assert resumed.finished


def test_epochs_taken_from_the_store_are_reported(windows_files, tmp_path, capsys):
    execution = Execution(jobs=1, store=tmp_path)
    train_time({2: windows_files[2]}, SETTINGS, execution)
    assert len(capsys.readouterr().err.splitlines()) == 3
    train_time({2: windows_files[2]}, SETTINGS, execution)
    assert capsys.readouterr().err == "time    L=2   3 of 3 epochs taken from the store\n"


def kill_a_worker_at_work(store):
    """Kill one of this process's children as soon as two members have done some epochs."""
    deadline = time.monotonic() + 60
    while sum(len(path.read_text().splitlines()) > 10 for path in store.glob("*/history.jsonl")) < 2:
        assert time.monotonic() < deadline, "no two members were ever at work"
        time.sleep(0.01)
    workers = [child for child in psutil.Process().children() if "popen_loky_posix" in " ".join(child.cmdline())]
    workers[0].kill()


def test_a_killed_worker_is_reported_and_the_same_command_goes_on(windows_files, tmp_path):
    files = {length: windows_files[length] for length in (2, 3)}
    settings = SETTINGS.model_copy(update={"epochs": 200})
    execution = Execution(jobs=2, quiet=True, store=tmp_path)
    killer = threading.Thread(target=kill_a_worker_at_work, args=(tmp_path,))
    killer.start()
    with pytest.raises(TrainingError, match="the same command goes on after the last finished epoch"):
        train_time(files, settings, execution)
    killer.join()
    expected = train_time(files, settings, Execution(jobs=2, quiet=True, no_store=True))
    assert_same(train_time(files, settings, execution), expected)


@pytest.mark.parametrize("no_store", [True, False])
def test_a_killed_worker_promises_to_go_on_only_where_a_store_keeps_the_epochs(
    windows_files, tmp_path, monkeypatch, no_store
):
    def kill(self, tasks):
        raise TerminatedWorkerError

    monkeypatch.setattr(joblib.Parallel, "__call__", kill)
    said = "begins anew, for without a store nothing is kept" if no_store else "goes on after the last finished epoch"
    with pytest.raises(TrainingError, match=rf"killed, .*: the same command {said}$"):
        train_time(windows_files, SETTINGS, Execution(jobs=2, quiet=True, store=tmp_path, no_store=no_store))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), TrainingError),
        (OSError(errno.ENOSPC, "No space left on device"), TrainingError),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), TrainingError),
        (OSError(errno.ENOSPC, "No space left on device", "store/checkpoint"), OSError),
    ],
)
def test_training_processes_that_cannot_be_started_end_the_run(windows_files, monkeypatch, error, kind):
    def refuse(self, tasks):
        raise error

    monkeypatch.setattr(joblib.Parallel, "__call__", refuse)
    with pytest.raises(kind, match=error.strerror) as found:
        train_time(windows_files, SETTINGS, Execution(jobs=2, quiet=True, no_store=True))
    assert isinstance(found.value, TrainingError) == (error.filename is None)
