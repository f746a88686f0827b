"""Many members, trained side by side in processes of one thread each, each kept in the member store epoch by epoch."""

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import joblib
import torch
from joblib.externals.loky.process_executor import TerminatedWorkerError

from stages.lib import checkpoints
from stages.lib.devices import check_precision, choose_device
from stages.lib.errors import ArtifactError, ChangedError, TrainingError
from stages.lib.execution import Execution
from stages.lib.files import read_artifact
from stages.lib.processes import die_with_parent, keep_freed_memory
from stages.lib.progress import HistoryWriter, Row, show_members
from stages.lib.settings import TrainSettings
from stages.lib.sources import check_sources
from stages.lib.store import SOURCES, Entry, entry_name
from stages.lib.training import MemberTrainer, TrainedMember
from stages.lib.windows import read_windows


def train_members(
    windows_files: dict[int, Path], ensemble: str, settings: TrainSettings, execution: Execution
) -> list[TrainedMember]:
    """Train one member per file of windows; neither `execution` nor the order changes a byte of the result.

    A member that the store of `execution` knows is not trained again; one that was interrupted goes on.

    Parameters
    ----------
    windows_files : dict of int to Path
        Sequence length and its file of `Windows.to_bytes`.
    ensemble : str
        Which ensemble the members belong to.
    settings : TrainSettings
        How each is trained.
    execution : Execution
        How many run at a time, what is printed, where the store lies.

    Returns
    -------
    list of TrainedMember
        By ascending sequence length.

    Raises
    ------
    TrainingError
        If the machine cannot train in the precision that is asked for, a loss is not finite, or a worker is killed.
    """
    check_precision(settings.precision, choose_device(settings.use_gpu))
    with ExitStack() as stack:
        # Without a store the entries live as long as the run.
        store = execution.store_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="boomerang-")))
        entries = {
            length: Entry(store / entry_name(read_artifact(path), ensemble, length, settings))
            for length, path in windows_files.items()
        }
        rows = [Row(ensemble, length, settings.epochs, entries[length].history_file) for length in sorted(entries)]
        run = stack.enter_context(show_members(rows, execution.quiet))
        # The longest takes the most time: begun last, it would run alone at the end.
        tasks = {
            length: (windows_files[length], ensemble, settings, execution, entries[length], run)
            for length in sorted(windows_files, reverse=True)
        }
        # What earlier runs finished is read here: workers take seconds to start.
        found = {length: _read_finished(*task) for length, task in tasks.items()}
        missing = [length for length in tasks if found[length] is None]
        workers = joblib.Parallel(
            n_jobs=min(execution.jobs, len(missing) or 1),
            backend="loky",
            batch_size=1,
            initializer=die_with_parent,
            initargs=(os.getpid(),),
        )
        try:
            trained = workers(joblib.delayed(_train_member)(*tasks[length]) for length in missing)
        except TerminatedWorkerError:
            raise TrainingError(
                "a training process was killed, for lack of memory perhaps (fewer --jobs need less): the same command "
                "goes on after the last finished epoch"
            ) from None
    found |= dict(zip(missing, trained, strict=True))
    return [found[length] for length in sorted(found)]


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
    if entry_name(read_artifact(windows_file), ensemble, windows.seq_length, settings) != entry.folder.name:
        raise ChangedError("the code or the windows changed while this ran: nothing was written, run it again")
    with entry.reserved():
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
    return trainer.result()
