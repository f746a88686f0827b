"""Stage `backtest`: the whole pipeline on growing parts of the history, where `evaluate.n_folds` asks for it."""

if __name__ == "__main__":
    from boomerang.base.processes import begin, die_with_parent
    from boomerang.base.sources import at_start

    begin()
    die_with_parent()
    at_start()

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from boomerang.base import settings
from boomerang.base.ensembles import ENSEMBLES, TREES
from boomerang.base.errors import about, exit_on_error
from boomerang.base.execution import Execution
from boomerang.base.files import write_json
from boomerang.base.outputs import replacing
from boomerang.base.paths import ARTIFACTS, BACKTEST_FILE, ROOT
from boomerang.base.sources import unchanged
from boomerang.base.stage_files import read_json
from boomerang.features.columns import ColumnRules
from boomerang.features.prepared import SummaryFile, read_history, read_values
from boomerang.measures.evaluation import Evaluation
from boomerang.measures.folds import run_folds
from boomerang.reading.purchases import Purchases

INPUTS = [ARTIFACTS / "prepared"]
Run = Callable[[settings.Settings, Execution, Path], None]


def backtest(prepared_dir: Path, out_dir: Path, config: settings.Settings, execution: Execution, run: Run) -> None:
    """Run the pipeline at earlier origins.

    Parameters
    ----------
    prepared_dir : Path
        Output of `prepare`.
    out_dir : Path
        Gets `backtest.json`: a fold each with its figures; none where `evaluate.n_folds` is 0.
    config : Settings
        Of the pipeline.
    execution : Execution
        How members train; does not change the result.
    run : callable
        Runs every stage after `prepare` by settings into a folder: `run_prepared`.

    Raises
    ------
    SettingsError
        If the history does not carry so many folds.
    """
    folds = []
    if config.evaluate.n_folds:
        from .sequences import check_backtest

        check_backtest(prepared_dir, config.sequences, config.evaluate.n_folds)
        summary = read_json(prepared_dir / "summary.json", SummaryFile)
        history, counts = read_history(prepared_dir, summary.columns)
        categories = _read_categories(prepared_dir, summary.columns)

        def evaluate_fold(part: pd.DataFrame, fold_config: settings.Settings) -> Evaluation:
            purchases = Purchases(part, np.arange(len(part)), pd.DataFrame(index=part.index), categories=categories)
            return _run_fold(purchases, summary.file, fold_config, execution, run)

        folds = run_folds(history, counts, config, evaluate_fold)
    write_json(out_dir / BACKTEST_FILE, {"folds": folds})


def _read_categories(prepared_dir: Path, columns: ColumnRules | None) -> dict[str, list[str]]:
    """The values of categorical columns, by code."""
    if columns is None or not columns.categorical:
        return {}
    values = read_values(prepared_dir, columns)
    return {name: values["value"][values["column"] == name].tolist() for name in columns.categorical}


def _run_fold(purchases: Purchases, file: str, config: settings.Settings, execution: Execution, run: Run) -> Evaluation:
    """The evaluation of a pipeline run on a part of the purchases of `file`, in a folder that is gone afterwards."""
    from .prepare import write_prepared

    with tempfile.TemporaryDirectory(prefix="boomerang-") as folder:
        out_dir = Path(folder)
        with about(file):
            write_prepared(purchases, file, out_dir / "prepared", config.prepare)
        run(config, execution, out_dir)
        return read_json(out_dir / "evaluation" / "evaluation.json", Evaluation)


def run_pipeline(config: settings.Settings, execution: Execution, out_dir: Path) -> None:
    """Run every stage into `out_dir`, in one process: what `dvc repro` does in several; raises what they raise."""
    from .prepare import prepare

    prepare(Path(config.prepare.data_path), out_dir / "prepared", config.prepare)
    run_prepared(config, execution, out_dir)


def run_prepared(config: settings.Settings, execution: Execution, out_dir: Path) -> None:
    """Run every stage after `prepare`, which has written into `out_dir`; raises what they raise."""
    # Imported by the first fold: torch takes a second to import, and without folds this stage does not need it. By
    # relative names, for in an installed package the stages lie within `boomerang`.
    from .evaluate import evaluate
    from .meta import meta
    from .sequences import sequences
    from .train import train
    from .train_trees import train_trees

    sequences(out_dir / "prepared", out_dir / "sequences", config.sequences, config.evaluate.n_folds)
    train({name: config.training(name) for name in ENSEMBLES}, out_dir / "sequences", out_dir, execution)
    train_trees(out_dir / "prepared", out_dir / "sequences", out_dir / TREES, config.train_trees)
    meta(out_dir / "prepared", out_dir / "sequences", out_dir, out_dir)
    backtest(out_dir / "prepared", out_dir, config, execution, run_prepared)
    asked = config.evaluate
    costs = (asked.cost_missed, asked.cost_needless)
    evaluate(out_dir / "prepared", out_dir, out_dir, asked.equivalence_margin, *costs, asked.shown_columns)


def main() -> None:
    """Run the stage on `params.yaml`."""
    config = settings.load()
    execution = Execution.from_environment(Path(os.environ.get("DVC_ROOT", ROOT)))
    with replacing(ARTIFACTS) as new, unchanged(INPUTS, config, settings.load):
        backtest(ARTIFACTS / "prepared", new, config, execution, run_prepared)


if __name__ == "__main__":
    with exit_on_error():
        main()
