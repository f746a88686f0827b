"""Many members, trained side by side in processes of one thread each, each kept in the member store epoch by epoch."""

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

from stages.lib import checkpoints
from stages.lib.backends import check_precision
from stages.lib.devices import choose_device
from stages.lib.errors import ArtifactError, ChangedError, TrainingError
from stages.lib.execution import Execution
from stages.lib.processes import die_with_parent, give_freed_memory_back, keep_freed_memory
from stages.lib.progress import HistoryWriter, Row, show_members
from stages.lib.settings import TrainSettings
from stages.lib.sources import check_sources
from stages.lib.store import SOURCES, Entry, entry_name
from stages.lib.training import MemberTrainer, TrainedMember
from stages.lib.windows import read_windows


@dataclass(frozen=True)
class EnsembleTask:
    """What one ensemble's members are trained on, and how.

    Attributes
    ----------
    windows_files : dict of int to Path
        Sequence length and its file of `Windows.to_bytes`.
    settings : TrainSettings
        How each member is trained.
    """

    windows_files: dict[int, Path]
    settings: TrainSettings


def train_members(tasks: dict[str, EnsembleTask], execution: Execution) -> dict[str, list[TrainedMember]]:
    """Train one member per file of windows; neither `execution` nor the order changes a byte of the result.

    A member that the store of `execution` knows is not trained again; one that was interrupted goes on.

    Parameters
    ----------
    tasks : dict of str to EnsembleTask
        By ensemble. The members of all of them share the workers.
    execution : Execution
        How many run at a time, what is printed, where the store lies.

    Returns
    -------
    dict of str to list of TrainedMember
        By ensemble, then by ascending sequence length.

    Raises
    ------
    SettingsError
        If the machine cannot train in the precision that is asked for.
    TrainingError
        If a loss is not finite, or a worker is killed.
    """
    for task in tasks.values():
        check_precision(task.settings.precision, choose_device(task.settings.use_gpu))
    files = {(name, length): path for name, task in tasks.items() for length, path in task.windows_files.items()}
    with ExitStack() as stack:
        # Without a store the entries live as long as the run.
        store = execution.store_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="boomerang-")))
        entries = {
            (name, length): Entry(store / entry_name(path, name, length, tasks[name].settings))
            for (name, length), path in files.items()
        }
        rows = [
            Row(name, length, task.settings.epochs, entries[name, length].history_file)
            for name, task in tasks.items()
            for length in sorted(task.windows_files)
        ]
        run = stack.enter_context(show_members(rows, execution.quiet))
        # The longest takes the most time: begun last, it would run alone at the end.
        arguments = {
            (name, length): (files[name, length], name, tasks[name].settings, execution, entries[name, length], run)
            for name, length in sorted(files, key=lambda member: -member[1])
        }
        # What earlier runs finished is read here: workers take seconds to start.
        found = {member: _read_finished(*given) for member, given in arguments.items()}
        missing = [member for member in arguments if found[member] is None]
        workers = joblib.Parallel(
            n_jobs=min(execution.jobs, len(missing) or 1),
            backend="loky",
            batch_size=1,
            initializer=die_with_parent,
            initargs=(os.getpid(),),
        )
        try:
            trained = workers(joblib.delayed(_train_member)(*arguments[member]) for member in missing)
        except TerminatedWorkerError:
            raise TrainingError(
                "a training process was killed, for lack of memory perhaps (fewer --jobs need less): the same command "
                "goes on after the last finished epoch"
            ) from None
    found |= dict(zip(missing, trained, strict=True))
    return {name: [found[name, length] for length in sorted(task.windows_files)] for name, task in tasks.items()}


def _read_finished(
    windows_file: Path, ensemble: str, settings: TrainSettings, execution: Execution, entry: Entry, run: str
) -> TrainedMember | None:
    """The member, if the store holds all of its epochs, undamaged."""
    try:
        checkpoint = entry.read()
        if checkpoint is None:
            return None
        trainer = MemberTrainer(read_windows(windows_file), ensemble, settings, execution)
        checkpoints.resume(trainer, checkpoint)
    except ArtifactError:
        # Whoever trains it says why.
        return None
    if not trainer.finished:
        return None
    with entry.reserved():
        HistoryWriter(entry.history_file, run, trainer.history)
    return trainer.result()


def _train_member(
    windows_file: Path, ensemble: str, settings: TrainSettings, execution: Execution, entry: Entry, run: str
) -> TrainedMember:
    # With a second thread per member two members on two cores wait for each other, up to 100 times as long.
    torch.set_num_threads(1)
    keep_freed_memory()
    windows = read_windows(windows_file)
    # The code that is loaded here is that of the entry's name if the files, now that it is loaded, still are.
    check_sources(SOURCES.values())
    if entry_name(windows_file, ensemble, windows.seq_length, settings) != entry.folder.name:
        raise ChangedError("the code or the windows changed while this ran: nothing was written, run it again")
    with entry.reserved(), threadpool_limits(1, user_api="blas"):
        trainer = MemberTrainer(windows, ensemble, settings, execution)
        try:
            checkpoint = entry.read()
            if checkpoint is not None:
                checkpoints.resume(trainer, checkpoint)
        except ArtifactError as error:
            print(f"warning: member store: {error}; this member is trained anew", file=sys.stderr)
            trainer = MemberTrainer(windows, ensemble, settings, execution)
        history = HistoryWriter(entry.history_file, run, trainer.history)
        while not trainer.finished:
            epoch = trainer.run_epoch()
            entry.write(checkpoints.save(trainer))
            history.add(epoch)
    result = trainer.result()
    del trainer
    give_freed_memory_back()
    return result
