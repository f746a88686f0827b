"""Every write, fsync and rename of a run fails, or the process is killed there (after SQLite's "How SQLite is tested").

Afterwards the earlier artifacts or the complete new ones stand, or, if it was killed while these moved into place,
readers are told so; and the same command gives the reference bytes.
"""

import errno
import os
import shutil
import signal
from pathlib import Path

import pytest

import stages.evaluate
from boomerang.base import files, outputs, settings
from boomerang.base.errors import ArtifactError
from boomerang.base.execution import Execution
from boomerang.base.ownership import CARD_HEADING
from boomerang.base.paths import CARD_FILE, METADATA_FILE
from boomerang.combining.artifacts import read_member, read_metadata
from boomerang.commands import train
from tests.support import write_purchases

CALLS = ("write", "fsync", "replace", "unlink")


class FaultyOs:
    """`os`, except that its N-th call of `CALLS` goes wrong; N = 0 only counts them."""

    def __init__(self, n_until_fault, fault):
        self.n_calls = 0
        self.n_until_fault = n_until_fault
        self.fault = fault

    def __getattr__(self, name):
        real = getattr(os, name)
        if name not in CALLS:
            return real

        def call(*arguments, **options):
            self.n_calls += 1
            if self.n_calls == self.n_until_fault:
                self.fault()
            return real(*arguments, **options)

        return call


def full_disk():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def kill_self():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module", autouse=True)
def quick():
    """A stage `evaluate` that writes two files at once: it writes as the others do, and would triple the time."""

    def evaluate(prepared_dir, artifacts_dir, out_dir, *asked):
        # They are known as ours by what they hold, and differ from run to run.
        digest = files.sha256((artifacts_dir / METADATA_FILE).read_bytes())
        marks = dict.fromkeys(("parts", "base_rate", "training", "val_loss"), digest)
        files.write_json(out_dir / "evaluation" / "evaluation.json", marks)
        files.write_atomic(out_dir / CARD_FILE, CARD_HEADING + digest.encode())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages.evaluate, "evaluate", evaluate)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A function that runs a small training into a folder, and finished artifacts of an older and of a new run."""
    folder = tmp_path_factory.mktemp("runs")
    purchases = write_purchases(folder / "purchases.csv", 60)

    def run(out, seed=1, lengths=(2,)):
        """Into `out`, with a member store beside it."""
        from tests.support import SMALL_PARAMS

        params = {section: dict(values) for section, values in SMALL_PARAMS.items()}
        params["prepare"]["data_path"] = str(purchases)
        params["sequences"]["seq_lengths"] = list(lengths)
        params["train"] |= {"seed": seed, "epochs": 1, "hidden_size": 2, "batch_size": 64}
        execution = Execution(jobs=1, quiet=True, store=out.with_name(f"{out.name}-store"))
        train.run(settings.validate_settings(params, "test"), execution, out)

    run(folder / "old", seed=0, lengths=(2, 3))
    run(folder / "new")
    return run, folder / "old", folder / "new"


def contents(folder):
    """Every file by its name, without the lock and what a killed run leaves to be cleared by the next."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(".")}


def state_of(folder):
    """All that a next run can find in `folder` and in its store, random names and durations aside."""
    found = {}
    for top in (folder, folder.with_name(f"{folder.name}-store")):
        for path in filter(Path.is_file, top.rglob("*")):
            name = "temporary" if path.suffix == ".tmp" else path.name
            found[path.relative_to(top).parent / name] = b"" if name == "history.jsonl" else path.read_bytes()
    return found


def assert_old_or_new(folder, old, new):
    if contents(folder) not in (contents(old), contents(new)):
        assert (folder / ".replaced").exists()
        with pytest.raises(ArtifactError, match=r"interrupted while its outputs moved into place"):
            read_metadata(folder)
        return
    metadata = read_metadata(folder)
    for name, ensemble in metadata.ensembles.items():
        sizes = (ensemble.input_size, ensemble.hidden_size, ensemble.num_layers)
        for member in ensemble.members:
            read_member(folder, name, member, sizes)


def count_calls(monkeypatch, run, old, folder):
    shutil.copytree(old, folder)
    counting = FaultyOs(0, None)
    with monkeypatch.context() as patch:
        patch.setattr(files, "os", counting)
        patch.setattr(outputs, "os", counting)
        run(folder)
    return counting.n_calls


@pytest.mark.parametrize("fault", [full_disk, kill_self])
def test_no_fault_at_any_call_loses_the_earlier_artifacts(runs, tmp_path, monkeypatch, fault, capfd):
    run, old, new = runs
    # It is for the machine that goes down, not for a process that is killed, and most of the time would be spent in it.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(outputs, "PATIENCE_SECONDS", 0)
    n_calls = count_calls(monkeypatch, run, old, tmp_path / "counted")
    assert n_calls > 50
    recovered = []
    for n_until_fault in range(1, n_calls + 1):
        folder = tmp_path / str(n_until_fault)
        shutil.copytree(old, folder)
        child = os.fork()
        if child == 0:
            faulty = FaultyOs(n_until_fault, fault)
            files.os = outputs.os = faulty
            try:
                run(folder)
            except OSError as error:
                os._exit(10 if str(folder) in str(error) and not list(tmp_path.rglob("*.tmp")) else 20)
            except BaseException:
                os._exit(30)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if fault is kill_self:
            assert os.WTERMSIG(status) == signal.SIGKILL
        else:
            # A removal that fails after the new files stand is no reason to fail.
            assert os.waitstatus_to_exitcode(status) in (0, 10), n_until_fault
        if fault is full_disk:
            assert contents(folder) in (contents(old), contents(new))
        assert_old_or_new(folder, old, new)
        state = state_of(folder)
        if state not in recovered:
            recovered.append(state)
            run(folder)
            assert contents(folder) == contents(new)
            assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == [".lock"]
        shutil.rmtree(folder)
