"""Many members, trained side by side in processes of one thread each."""

import os
from dataclasses import asdict
from pathlib import Path

import joblib
import torch

from stages.lib.execution import Execution
from stages.lib.processes import die_with_parent
from stages.lib.progress import report_epoch, show_epochs
from stages.lib.settings import TrainSettings
from stages.lib.training import MemberTrainer, TrainedMember, check_precision, choose_device
from stages.lib.windows import read_windows


def train_members(
    windows_files: dict[int, Path], ensemble: str, settings: TrainSettings, execution: Execution
) -> list[TrainedMember]:
    """Train one member per file of windows; neither `execution` nor the order changes a byte of the result.

    Parameters
    ----------
    windows_files : dict of int to Path
        Sequence length and its file of `Windows.to_bytes`.
    ensemble : str
        Which ensemble the members belong to.
    settings : TrainSettings
        How each is trained.
    execution : Execution
        How many run at a time, and what is printed.

    Returns
    -------
    list of TrainedMember
        By ascending sequence length.

    Raises
    ------
    TrainingError
        If the machine cannot train in the precision that is asked for, or a loss is not finite.
    """
    check_precision(settings.precision, choose_device(settings.use_gpu))
    # The longest takes the most time: begun last, it would run alone at the end.
    longest_first = sorted(windows_files, reverse=True)
    with show_epochs(len(windows_files) * settings.epochs, execution.quiet) as progress_file:
        workers = joblib.Parallel(
            n_jobs=min(execution.jobs, len(windows_files)),
            backend="loky",
            batch_size=1,
            initializer=die_with_parent,
            initargs=(os.getpid(),),
        )
        trained = workers(
            joblib.delayed(_train_member)(windows_files[length], ensemble, settings, execution, progress_file)
            for length in longest_first
        )
    return sorted(trained, key=lambda member: member.seq_length)


def _train_member(
    windows_file: Path, ensemble: str, settings: TrainSettings, execution: Execution, progress_file: Path
) -> TrainedMember:
    # With a second thread per member two members on two cores wait for each other, up to 100 times as long.
    torch.set_num_threads(1)
    trainer = MemberTrainer(read_windows(windows_file), ensemble, settings, execution)
    return trainer.train(lambda epoch: report_epoch(progress_file, asdict(epoch)))
