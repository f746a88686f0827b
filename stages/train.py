"""Stages `train_time`, `train_simple` and `train_context`: windows become the members of one ensemble."""

if __name__ == "__main__":
    from stages.lib.processes import begin, die_with_parent
    from stages.lib.sources import at_start

    begin()
    die_with_parent()
    at_start()

import argparse
import io
import os
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from stages.lib import numerics, settings
from stages.lib.errors import ArtifactError, exit_on_error
from stages.lib.execution import Execution
from stages.lib.files import check_inside, write_atomic, write_json
from stages.lib.layout import ARTIFACTS, ENSEMBLES, EnsembleLayout, windows_file
from stages.lib.outputs import replacing
from stages.lib.sources import unchanged

INPUTS = [ARTIFACTS / "sequences" / "{ensemble}"]


def train(
    ensemble: str,
    windows_dir: Path,
    out_dir: Path,
    config: settings.TrainSettings,
    execution: Execution,
) -> None:
    """Train every member of `ensemble`.

    Parameters
    ----------
    ensemble : {"time", "simple", "context"}
        Which one.
    windows_dir : Path
        Holds its `seq<L>.pt` files.
    out_dir : Path
        Gets a `.pth` file per member, `history.csv` (a line per member and epoch), `metrics.json` (each member's best
        epoch), `validation.parquet` (each member's logits for the windows of `val`) and `training.json` (sizes,
        effective precision and device).
    config : TrainSettings
        How to train; changes the result.
    execution : Execution
        How to carry it out; does not change the result.

    Raises
    ------
    ArtifactError
        If there are no windows, or a file of them is damaged or not of this ensemble.
    TrainingError
        If the machine cannot train in the precision asked for, or a loss is not finite.
    """
    # Imported here because torch reads its instruction limits, which the caller sets, when it is imported.
    from stages.lib import tensors
    from stages.lib.devices import choose_device
    from stages.lib.members import train_members

    device = choose_device(config.use_gpu).type
    if config.use_gpu and device == "cpu":
        print("use_gpu: no CUDA device found, training on the CPU", file=sys.stderr)
    windows_files = _find_windows(windows_dir, ENSEMBLES[ensemble])
    members = train_members(windows_files, ensemble, config, execution)

    for member in members:
        write_atomic(out_dir / ENSEMBLES[ensemble].member_file(member.seq_length), tensors.save(member.state))
    history = pd.DataFrame([asdict(epoch) for member in members for epoch in member.history])
    write_atomic(out_dir / "history.csv", history.to_csv(index=False, lineterminator="\n").encode())
    buffer = io.BytesIO()
    logits = {f"seq{member.seq_length}": member.val_logits.numpy() for member in members}
    pd.DataFrame(logits).to_parquet(buffer, index=False)
    write_atomic(out_dir / "validation.parquet", buffer.getvalue())
    architecture = {key: getattr(config, key) for key in ("hidden_size", "num_layers", "precision")}
    write_json(out_dir / "training.json", {**architecture, "device": device})
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


def _find_windows(folder: Path, layout: EnsembleLayout) -> dict[int, Path]:
    """The files of windows in `folder` by sequence length; raises ArtifactError if one is not what its name says."""
    # Imported here because of torch, as above.
    from stages.lib.windows import read_windows

    found = {}
    for path in sorted(folder.glob("*.pt")):
        check_inside(path)
        windows = read_windows(path)
        length, shape = windows.seq_length, tuple(windows.inputs.shape[1:])
        if path.name != windows_file(length) or shape != (layout.n_steps(length), len(layout.features)):
            raise ArtifactError(
                f"{path} must be named by its L and hold windows of {layout.n_steps(length)} purchases with "
                f"{len(layout.features)} features (found L={length} and shape {shape})"
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
    execution = Execution.from_environment(Path(os.environ.get("DVC_ROOT", "")))
    numerics.fix_environment({config.precision})
    (windows_dir,) = (Path(str(path).format(ensemble=ensemble)) for path in INPUTS)
    watched = unchanged(Path(__file__), [windows_dir], config, lambda: settings.load().training(ensemble))
    with replacing(ARTIFACTS) as new, watched:
        train(ensemble, windows_dir, new / ensemble, config, execution)


if __name__ == "__main__":
    with exit_on_error():
        main()
