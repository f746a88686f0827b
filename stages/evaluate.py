"""Stage `evaluate`: how good the predictions are on the test purchases, which nothing before has looked at."""

if __name__ == "__main__":
    from boomerang.base.processes import begin, die_with_parent
    from boomerang.base.sources import at_start

    begin()
    die_with_parent()
    at_start()

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from boomerang.base import settings
from boomerang.base.checks import shown
from boomerang.base.costs import Cost
from boomerang.base.ensembles import ENSEMBLES, TREES
from boomerang.base.errors import ArtifactError, SettingsError, exit_on_error
from boomerang.base.files import write_atomic, write_json
from boomerang.base.outputs import replacing
from boomerang.base.paths import ARTIFACTS, BACKTEST_FILE, CARD_FILE, METADATA_FILE
from boomerang.base.sources import unchanged
from boomerang.base.stage_files import read_artifact, read_json, validate_json
from boomerang.combining.decisions import Costs
from boomerang.combining.inference import TrainedEnsembles
from boomerang.features.prepared import SummaryFile, read_prepared, read_unscaled, read_values
from boomerang.measures.answers import measure_test_part
from boomerang.measures.evaluation import EVALUATION_FORMAT, BacktestFile, Evaluation
from boomerang.measures.values import ValueRates, rank_values
from boomerang.report.model_card import write_card
from boomerang.report.report import write_report
from boomerang.report.tables import list_curves, list_metrics, list_models

INPUTS = [ARTIFACTS / name for name in ("prepared", METADATA_FILE, BACKTEST_FILE, *ENSEMBLES, TREES)]


def evaluate(
    prepared_dir: Path,
    artifacts_dir: Path,
    out_dir: Path,
    margin: float,
    cost_missed: Cost | None = None,
    cost_needless: Cost | None = None,
    shown_columns: Sequence[str] = (),
) -> None:
    """Measure the ensembles and the baselines on the test purchases.

    Parameters
    ----------
    prepared_dir : Path
        Output of `prepare`.
    artifacts_dir : Path
        Holds `models_meta.json`, `backtest.json`, a folder per ensemble and that of the trees.
    out_dir : Path
        Gets `evaluation/` (`evaluation.json` and what is made from it: `report.html`, `leaderboard.csv`,
        `metrics.json`, curves for plots) and `MODEL_CARD.md`.
    margin : float
        Setting `evaluate.equivalence_margin`.
    cost_missed, cost_needless : Cost, optional
        Settings of the same names: both, or neither.
    shown_columns : sequence of str, optional
        Setting of the same name.

    Raises
    ------
    ArtifactError
        If a file is missing, damaged or not what its stage writes.
    SettingsError
        If a column holds an amount that is too large to be a cost, or one that shall be shown was not read.
    """
    path = prepared_dir / "purchases.parquet"
    summary = read_json(prepared_dir / "summary.json", SummaryFile)
    table = read_prepared(path, summary.columns)
    costs = None if cost_missed is None or cost_needless is None else Costs(cost_missed, cost_needless)
    table = pd.concat([table, read_unscaled(path, summary.columns)], axis=1)
    ensembles = TrainedEnsembles.load(artifacts_dir)
    losses = {name: _read_losses(artifacts_dir / name / "history.csv") for name in ENSEMBLES}
    rounds = _read_rounds(artifacts_dir / TREES / "history.csv")
    folds = read_json(artifacts_dir / BACKTEST_FILE, BacktestFile).folds
    content = {
        "format_version": EVALUATION_FORMAT,
        "seq_lengths": ensembles.metadata.seq_lengths,
        "precision": ensembles.metadata.precision,
        "parts": summary.parts,
        "warnings": summary.warnings,
        "training": losses,
        "trees": rounds,
        "folds": folds,
        "values": _rank_values(prepared_dir, summary, shown_columns, table["datetime"].iloc[-1]),
        **dict(measure_test_part(table, ensembles, margin, costs)),
    }
    evaluation = validate_json(content, "evaluation.json", Evaluation)
    folder = out_dir / "evaluation"
    write_json(folder / "evaluation.json", evaluation.model_dump())
    write_json(folder / "metrics.json", list_metrics(evaluation))
    for name, rows in {"leaderboard": list_models(evaluation), **list_curves(evaluation)}.items():
        write_atomic(folder / f"{name}.csv", rows.to_csv(index=False, lineterminator="\n").encode())
    write_atomic(folder / "report.html", write_report(evaluation).encode())
    write_atomic(out_dir / CARD_FILE, write_card(evaluation, ensembles.metadata).encode())


def _rank_values(
    prepared_dir: Path, summary: SummaryFile, shown_columns: Sequence[str], until: pd.Timestamp
) -> ValueRates | None:
    """The values of the columns that shall be shown; None where there are none."""
    read = summary.columns.categorical if summary.columns else []
    if foreign := [name for name in shown_columns if name not in read]:
        raise SettingsError(
            f"evaluate.shown_columns must be among the categorical columns that were prepared (found "
            f"{shown(foreign[0])}, not in {shown(read)})"
        )
    if summary.columns is None or not shown_columns:
        return None
    values = read_values(prepared_dir, summary.columns)
    return rank_values(values, shown_columns, summary.columns, until.strftime("%Y-%m-%dT%H:%M:%S"))


def _read_losses(path: Path) -> dict[str, dict[str, list[float]]]:
    """By member (`seq<L>`), its training and validation losses, epoch by epoch."""
    found = _read_curves(path, "seq_length", lambda column: column.astype(np.int64))
    return {f"seq{length}": curve for length, curve in found.items()}


def _read_rounds(path: Path) -> dict[str, dict[str, list[float]]]:
    """By question, the losses of the trees, round by round."""
    return {str(question): curve for question, curve in _read_curves(path, "question", lambda column: column).items()}


def _read_curves(
    path: Path, by: str, convert: Callable[[pd.Series], pd.Series]
) -> dict[object, dict[str, list[float]]]:
    """`train_loss` and `val_loss` of a history, for each value of the column `by`."""
    try:
        history = pd.read_csv(io.BytesIO(read_artifact(path)))
        losses = history[["train_loss", "val_loss"]].astype(np.float64).round(6)
        values = convert(history[by])
    except (KeyError, ValueError) as error:
        raise ArtifactError(f"{path} is not the history of a training: {error}") from None
    return {
        value: {str(name): column.tolist() for name, column in of_one.items()}
        for value, of_one in losses.groupby(values)
    }


def main() -> None:
    """Run the stage on `params.yaml`."""

    def take() -> tuple[float, Cost | None, Cost | None, list[str]]:
        asked = settings.load().evaluate
        return asked.equivalence_margin, asked.cost_missed, asked.cost_needless, asked.shown_columns

    taken = take()
    with replacing(ARTIFACTS) as new, unchanged(INPUTS, taken, take):
        evaluate(ARTIFACTS / "prepared", ARTIFACTS, new, *taken)


if __name__ == "__main__":
    with exit_on_error():
        main()
