"""Predict from the command line whether the next purchase, or one just made, will come back."""

if __name__ == "__main__":
    from stages.lib.processes import begin

    begin()

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from stages.lib import numerics
from stages.lib.errors import SettingsError, exit_on_error
from stages.lib.layout import ARTIFACTS, ENSEMBLES

BAR_WIDTH = 30


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="predict.py", description="Predict whether a purchase will come back.", allow_abbrev=False
    )
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--history", metavar="yes,no,...", help="past labels, latest last: the simple ensemble predicts")
    task.add_argument(
        "--history_csv",
        type=Path,
        metavar="FILE",
        help="past purchases, a CSV like the one trained on: the time ensemble predicts",
    )
    task.add_argument("--describe", action="store_true", help="list the trained members and their validation figures")
    parser.add_argument(
        "--next_datetime",
        metavar="DATETIME",
        help="when the purchase was made that follows those of --history_csv: the context ensemble predicts",
    )
    parser.add_argument("--next_number", metavar="NUMBER", help="the number of that purchase")
    parser.add_argument("--next", choices=("yes", "no"), default="yes", help="whose probability (default: yes)")
    parser.add_argument(
        "--weights",
        metavar="W,W,...",
        help="one per member by ascending length, instead of the trained ones",
    )
    parser.add_argument("--use_gpu", action="store_true", help="predict on CUDA; on the CPU where there is none")
    parser.add_argument(
        "--artifacts_dir", type=Path, default=ARTIFACTS, help="folder of models_meta.json (default: artifacts)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def parse_weights(text: str) -> list[float]:
    """`1,0.5,2` as numbers.

    Raises
    ------
    SettingsError
        If it is not numbers separated by commas.
    """
    try:
        return [float(weight) for weight in text.split(",")]
    except ValueError:
        raise SettingsError(f"--weights must be numbers like 1,1,2 (found {text!r})") from None


def predict(flags: argparse.Namespace) -> str:
    """What the flags ask for, ready to print."""
    is_made = flags.next_datetime is not None
    if is_made != (flags.next_number is not None) or (is_made and flags.history_csv is None):
        raise SettingsError("--next_datetime, --next_number and --history_csv must be given together")
    numerics.fix_environment({"fp32"})
    # Imported here because torch reads its instruction limits from the environment when it is imported.
    import torch

    from stages.lib.artifacts import read_metadata
    from stages.lib.devices import choose_device
    from stages.lib.ensemble import Ensemble, describe
    from stages.lib.features import stack_features
    from stages.lib.purchases import append_purchase, parse_labels, read_purchases

    torch.set_num_threads(1)
    metadata = read_metadata(flags.artifacts_dir)
    if flags.describe:
        content = metadata.model_dump()
        return json.dumps(content, indent=2) if flags.json else describe(metadata, flags.artifacts_dir)
    device = choose_device(flags.use_gpu)
    if flags.use_gpu and device.type == "cpu":
        print("use_gpu: no CUDA device found, predicting on the CPU", file=sys.stderr)
    if flags.history is not None:
        name, history = "simple", parse_labels(flags.history).reshape(-1, 1)
    else:
        reading = metadata.reading.model_dump()
        purchases = read_purchases(flags.history_csv, **reading)
        for note in purchases.notes:
            print(f"{flags.history_csv}: {note}", file=sys.stderr)
        table, name = purchases.table, "context" if is_made else "time"
        if is_made:
            table = append_purchase(table, flags.next_datetime, flags.next_number, **reading)
        history = stack_features(metadata.scaling.extend(table), ENSEMBLES[name].features)
    weights = None if flags.weights is None else parse_weights(flags.weights)
    prediction = Ensemble(metadata, flags.artifacts_dir, name, device).predict(history, weights)
    return format_prediction(asdict(prediction), name, flags.next, len(history) - is_made, flags.json)


def format_prediction(prediction: dict, name: str, label: str, n_history: int, as_json: bool) -> str:
    """The prediction for people, or as JSON.

    Parameters
    ----------
    prediction : dict
        Fields of `stages.lib.ensemble.Prediction`; its probabilities are those of a return.
    name : str
        The ensemble.
    label : {"yes", "no"}
        Whose probability to show.
    n_history : int
        Purchases in the history.
    as_json : bool
        One JSON object instead of lines.
    """
    for holder in (prediction, *prediction["members"]):
        if label == "no":
            holder["probability"] = 1 - holder["probability"]
    if as_json:
        return json.dumps({"ensemble": name, "next": label, **prediction})
    lines = [f"returned={label}: {prediction['probability']:.4f}   ({name} ensemble, {n_history} past purchases)"]
    for member in prediction["members"]:
        bar = "#" * round(BAR_WIDTH * member["probability"])
        figures = f"L={member['seq_length']:<5} {member['probability']:.4f}"
        lines.append(f"  {figures} |{bar:<{BAR_WIDTH}}| weight {member['weight']:.3f}")
    if prediction["left_out"]:
        lengths = ", ".join(map(str, prediction["left_out"]))
        lines.append(f"  left out, the history is too short for them: L = {lengths}")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Read the flags, predict, print."""
    with exit_on_error("--debug" in arguments):
        print(predict(build_parser().parse_args(arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])
