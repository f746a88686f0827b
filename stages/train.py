"""Stages `train_time`, `train_simple` and `train_context`: windows become the members of one ensemble."""

if __name__ == "__main__":
    from boomerang.base.processes import begin, die_with_parent
    from boomerang.base.sources import at_start

    begin()
    die_with_parent()
    at_start()

import argparse
import io
import os
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from boomerang.base import settings
from boomerang.base.ensembles import ENSEMBLES, choose_ensembles
from boomerang.base.errors import ArtifactError, exit_on_error
from boomerang.base.execution import Execution
from boomerang.base.files import write_atomic, write_json
from boomerang.base.links import check_link
from boomerang.base.outputs import replacing
from boomerang.base.paths import ARTIFACTS, ROOT, windows_file
from boomerang.base.sources import unchanged
from boomerang.base.wording import counted, tell
from boomerang.model import tensors
from boomerang.model.devices import choose_device
from boomerang.model.known_past_windows import KnownPastWindows
from boomerang.model.windows import read_windows
from boomerang.training.members import EnsembleTask, train_members
from boomerang.training.trainer import TrainedMember

INPUTS = [ARTIFACTS / "sequences" / "{ensemble}"]


def train(configs: dict[str, settings.TrainSettings], windows_dir: Path, out_dir: Path, execution: Execution) -> None:
    """Train every member of each ensemble named in `configs`, all side by side.

    Parameters
    ----------
    configs : dict of {"time", "simple", "context"} to TrainSettings
        Which ensembles, and how each trains; changes the result.
    windows_dir : Path
        Holds a folder per ensemble with its `seq<L>.pt` files.
    out_dir : Path
        Gets a folder per ensemble: a `.pth` file per member, `history.csv` (a line per member and epoch),
        `metrics.json` (each member's best epoch), `validation.parquet` (each member's logits for the windows of `val`)
        and `training.json` (sizes, effective precision and device).
    execution : Execution
        How to carry it out; does not change the result.

    Raises
    ------
    ArtifactError
        If there are no windows, or a file of them is damaged or not of its ensemble.
    SettingsError
        If the machine cannot train in the precision asked for.
    TrainingError
        If a loss is not finite, or a training process is killed.
    """
    if any(config.use_gpu and choose_device(True).type == "cpu" for config in configs.values()):
        tell("use_gpu: no CUDA device found, training on the CPU")
    tasks = {name: EnsembleTask(_find_windows(windows_dir / name, name), config) for name, config in configs.items()}
    for name, members in train_members(tasks, execution).items():
        _write(name, members, out_dir / name, configs[name])


def _write(ensemble: str, members: list[TrainedMember], out_dir: Path, config: settings.TrainSettings) -> None:
    for member in members:
        write_atomic(out_dir / ENSEMBLES[ensemble].member_file(member.seq_length), tensors.save(member.state))
    history = pd.DataFrame([asdict(epoch) for member in members for epoch in member.history])
    write_atomic(out_dir / "history.csv", history.to_csv(index=False, lineterminator="\n").encode())
    buffer = io.BytesIO()
    logits = {f"seq{member.seq_length}": member.val_logits.numpy() for member in members}
    pd.DataFrame(logits).to_parquet(buffer, index=False)
    write_atomic(out_dir / "validation.parquet", buffer.getvalue())
    architecture = {key: getattr(config, key) for key in ("hidden_size", "num_layers", "precision")}
    write_json(out_dir / "training.json", {**architecture, "device": choose_device(config.use_gpu).type})
    figures = {
        f"seq{member.seq_length}": {
            "epochs": len(member.history),
            "best_epoch": member.best.epoch,
            "train_loss": member.best.train_loss,
            "val_loss": member.best.val_loss,
            "val_accuracy": member.best.val_accuracy,
        }
        for member in members
    }
    write_json(out_dir / "metrics.json", figures)


def _find_windows(folder: Path, ensemble: str) -> dict[int, Path]:
    """The files of windows in `folder` by sequence length; raises ArtifactError if one is not what its name says."""
    found = {}
    for path in sorted(folder.glob("*.pt")):
        check_link(path)
        windows = read_windows(path)
        spec = choose_ensembles(isinstance(windows, KnownPastWindows))[ensemble]
        length, shape = windows.seq_length, (windows.width, windows.n_features)
        # Whoever reads the purchase in question reads further columns too. Windows do not tell how many; the stage
        # `meta` knows, and refuses a member of another width.
        is_wide = windows.n_features > len(spec.features) and spec.question == "made"
        expected = (spec.n_steps(length), windows.n_features if is_wide else len(spec.features))
        if path.name != windows_file(length) or shape != expected:
            raise ArtifactError(
                f"{path} must be named by its L and hold windows of {counted(expected[0], 'purchase')} with "
                f"{counted(expected[1], 'feature')} (found L={length} and shape {shape})"
            )
        found[length] = path
    if not found:
        raise ArtifactError(f"{folder} holds no windows: run the stage sequences first")
    return found


def main() -> None:
    """Run the stage on `params.yaml` for the ensemble named on the command line."""
    parser = argparse.ArgumentParser(description="Train the members of one ensemble.")
    parser.add_argument("ensemble", choices=ENSEMBLES)
    ensemble = parser.parse_args().ensemble
    config = settings.load().training(ensemble)
    # An experiment in a folder of its own is told by DVC which repository it was started from: one store serves all.
    execution = Execution.from_environment(Path(os.environ.get("DVC_ROOT", ROOT)))
    (windows_dir,) = (Path(str(path).format(ensemble=ensemble)) for path in INPUTS)
    watched = unchanged([windows_dir], config, lambda: settings.load().training(ensemble))
    with replacing(ARTIFACTS) as new, watched:
        execution.warn_of_idle({ensemble: config})
        train({ensemble: config}, windows_dir.parent, new, execution)


if __name__ == "__main__":
    with exit_on_error():
        main()
