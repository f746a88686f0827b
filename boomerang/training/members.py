"""Train many members side by side in processes of one thread each; the member store keeps each after every epoch."""

import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import joblib
import torch
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits

from boomerang.base.errors import ArtifactError, ChangedError, TrainingError
from boomerang.base.execution import Execution
from boomerang.base.processes import die_with_parent, give_freed_memory_back, keep_freed_memory
from boomerang.base.settings import TrainSettings
from boomerang.base.sources import check_sources
from boomerang.model.devices import choose_device
from boomerang.model.windows import AnyWindows, read_windows
from boomerang.training import checkpoints
from boomerang.training.backends import check_precision
from boomerang.training.progress import HistoryWriter, MemberProgress, show_progress
from boomerang.training.store import SOURCES, Entry, entry_name
from boomerang.training.trainer import MemberTrainer, TrainedMember


@dataclass(frozen=True)
class EnsembleTask:
    """What the members of one ensemble are trained on, and how.

    Attributes
    ----------
    windows_files : dict of int to Path
        For each sequence length, a file of windows.
    settings : TrainSettings
        How each member is trained.
    """

    windows_files: dict[int, Path]
    settings: TrainSettings


@dataclass(frozen=True)
class _Job:
    """One member to train, as it is sent to a worker process; `entry` is its place in the member store."""

    ensemble: str
    seq_length: int
    windows_file: Path
    settings: TrainSettings
    execution: Execution
    entry: Entry

    @property
    def key(self) -> tuple[str, int]:
        return self.ensemble, self.seq_length

    def new_trainer(self, windows: AnyWindows) -> MemberTrainer:
        return MemberTrainer(windows, self.ensemble, self.settings, self.execution)

    def new_progress(self) -> MemberProgress:
        return MemberProgress(self.ensemble, self.seq_length, self.settings.epochs, self.entry.history_file)


def train_members(tasks: dict[str, EnsembleTask], execution: Execution) -> dict[str, list[TrainedMember]]:
    """Train one member per file of windows; neither `execution` nor the order changes a byte of the result.

    A member that is complete in the store of `execution` is not trained again; an interrupted one is continued.

    Parameters
    ----------
    tasks : dict of str to EnsembleTask
        By ensemble. The members of all ensembles share the workers.
    execution : Execution
        How many members are trained at a time, what is printed, and where the store is.

    Returns
    -------
    dict of str to list of TrainedMember
        By ensemble, then in ascending order of sequence length.

    Raises
    ------
    SettingsError
        If the machine cannot train in the precision that is asked for.
    TrainingError
        If a loss is not finite, or a worker is killed.
    """
    for task in tasks.values():
        check_precision(task.settings.precision, choose_device(task.settings.use_gpu))
    with ExitStack() as stack:
        # Without a store, the entries live as long as the run.
        store = execution.store_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="boomerang-")))
        jobs = _list_jobs(tasks, execution, store)
        run_id = stack.enter_context(show_progress([job.new_progress() for job in jobs], execution.quiet))
        # Members that earlier runs finished are read in this process, because workers take seconds to start.
        read = {job.key: _read_finished(job, run_id) for job in jobs}
        members = {key: member for key, member in read.items() if member is not None}
        missing = [job for job in jobs if job.key not in members]
        trained = _train_side_by_side(missing, run_id, execution)
    members |= {job.key: member for job, member in zip(missing, trained, strict=True)}
    return {name: [members[name, length] for length in sorted(task.windows_files)] for name, task in tasks.items()}


def _list_jobs(tasks: dict[str, EnsembleTask], execution: Execution, store: Path) -> list[_Job]:
    """A job per member, by ensemble, then in ascending order of sequence length."""
    return [
        _Job(name, length, path, task.settings, execution, Entry(store / entry_name(path, name, length, task.settings)))
        for name, task in tasks.items()
        for length, path in sorted(task.windows_files.items())
    ]


def _read_finished(job: _Job, run_id: str) -> TrainedMember | None:
    """The member, if the store holds all of its epochs, undamaged."""
    try:
        checkpoint = job.entry.read()
        if checkpoint is None:
            return None
        trainer = job.new_trainer(read_windows(job.windows_file))
        checkpoints.resume(trainer, checkpoint)
    except ArtifactError:
        # The worker that trains the member finds the same error and prints it.
        return None
    if not trainer.finished:
        return None
    with job.entry.reserved():
        HistoryWriter(job.entry.history_file, run_id, trainer.history)
    return trainer.result()


def _train_side_by_side(jobs: list[_Job], run_id: str, execution: Execution) -> list[TrainedMember]:
    """Train the members of `jobs`, as many at a time as `execution` says; results are in the order of `jobs`."""
    # The longest member takes the most time: if it began last, it would run alone at the end.
    longest_first = sorted(jobs, key=lambda job: -job.seq_length)
    workers = joblib.Parallel(
        n_jobs=min(execution.jobs, len(jobs) or 1),
        backend="loky",
        batch_size=1,
        initializer=die_with_parent,
        initargs=(os.getpid(),),
    )
    try:
        trained = workers(joblib.delayed(_train_member)(job, run_id) for job in longest_first)
    except TerminatedWorkerError:
        then = (
            "begins anew, for without a store nothing is kept"
            if execution.no_store
            else "goes on after the last finished epoch"
        )
        raise TrainingError(
            f"a training process was killed, for lack of memory perhaps (fewer --jobs need less): the same command "
            f"{then}"
        ) from None
    except OSError as error:
        # What a member writes is named in its errors.
        if error.filename:
            raise
        raise TrainingError(
            f"a training process cannot be started or reached ({error.strerror or error}): memory, shared memory "
            "(/dev/shm; of a container --shm-size) or the number of processes may be too small; fewer --jobs need less"
        ) from None
    members = {job.key: member for job, member in zip(longest_first, trained, strict=True)}
    return [members[job.key] for job in jobs]


def _train_member(job: _Job, run_id: str) -> TrainedMember:
    """Train one member in this process, from where its entry in the store ends."""
    # If each had a second thread, two members on two cores would wait for each other, up to 100 times as long.
    torch.set_num_threads(1)
    keep_freed_memory()
    windows = read_windows(job.windows_file)
    # The entry is named by the code and the windows that the main process saw. This process has now loaded both: they
    # are the same if the files still are.
    check_sources(SOURCES.values())
    if entry_name(job.windows_file, job.ensemble, windows.seq_length, job.settings) != job.entry.folder.name:
        raise ChangedError("the code or the windows changed while this ran: nothing was written, run it again")
    with job.entry.reserved(), threadpool_limits(1, user_api="blas"):
        trainer = _resume_or_start(job, windows)
        history = HistoryWriter(job.entry.history_file, run_id, trainer.history)
        while not trainer.finished:
            epoch = trainer.run_epoch()
            job.entry.write(checkpoints.save(trainer))
            history.add(epoch)
    result = trainer.result()
    del trainer
    give_freed_memory_back()
    return result


def _resume_or_start(job: _Job, windows: AnyWindows) -> MemberTrainer:
    """A trainer that continues from the checkpoint in the store, or a new one if there is none that can be used."""
    trainer = job.new_trainer(windows)
    try:
        checkpoint = job.entry.read()
        if checkpoint is not None:
            checkpoints.resume(trainer, checkpoint)
    except ArtifactError as error:
        print(f"warning: member store: {error}; this member is trained anew", file=sys.stderr)
        return job.new_trainer(windows)
    return trainer
