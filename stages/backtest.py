"""Stage `backtest`: the whole pipeline on growing parts of the history, where `evaluate.n_folds` asks for it."""

if __name__ == "__main__":
    from boomerang.base.processes import begin, die_with_parent
    from boomerang.base.sources import at_start

    begin()
    die_with_parent()
    at_start()

import os
import re
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd

from boomerang.base import settings
from boomerang.base.ensembles import ENSEMBLES
from boomerang.base.errors import BoomerangError, exit_on_error
from boomerang.base.execution import Execution
from boomerang.base.files import write_json
from boomerang.base.outputs import replacing
from boomerang.base.paths import ARTIFACTS, BACKTEST_FILE, ROOT
from boomerang.base.sources import unchanged
from boomerang.base.stage_files import read_json
from boomerang.base.wording import counted
from boomerang.features.prepared import SummaryFile, read_history
from boomerang.measures.evaluation import Evaluation
from boomerang.measures.folds import run_folds

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
        Runs every stage by settings into a folder: `run_pipeline`.

    Raises
    ------
    SettingsError
        If the history does not carry so many folds.
    """
    folds = []
    if config.evaluate.n_folds:
        from .sequences import check_backtest

        check_backtest(prepared_dir, config.sequences, config.evaluate.n_folds)
        history, counts = read_history(prepared_dir)
        file = read_json(prepared_dir / "summary.json", SummaryFile).file

        def evaluate_fold(part: pd.DataFrame, fold_config: settings.Settings) -> Evaluation:
            return _run_fold(part, file, fold_config, execution, run)

        folds = run_folds(history, counts, config, evaluate_fold)
    write_json(out_dir / BACKTEST_FILE, {"folds": folds})


def _run_fold(
    history: pd.DataFrame, file: str, config: settings.Settings, execution: Execution, run: Run
) -> Evaluation:
    """The evaluation of a pipeline run on `history`, a part of `file`, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="boomerang-") as folder:
        path = Path(folder) / "purchases.csv"
        history.to_csv(path, index=False)
        prepare = config.prepare.model_copy(update={"data_path": str(path)})
        try:
            run(config.model_copy(update={"prepare": prepare}), execution, Path(folder) / "artifacts")
        except BoomerangError as error:
            # Nobody knows the file in the folder.
            message = re.sub(rf"({re.escape(folder)}/)?\b{re.escape(path.name)}(: )?", "", str(error))
            raise type(error)(f"{file}, its first {counted(len(history), 'purchase')}: {message}") from None
        return read_json(Path(folder) / "artifacts" / "evaluation" / "evaluation.json", Evaluation)


def run_pipeline(config: settings.Settings, execution: Execution, out_dir: Path, tells: bool = True) -> None:
    """Run every stage into `out_dir`, in one process: what `dvc repro` does in several; raises what they raise.

    `tells` is that of `prepare`: of a fold nothing is said, because its file is ours, and all was said of the whole.
    """
    # Imported by the first fold: torch takes a second to import, and without folds this stage does not need it. By
    # relative names, for in an installed package the stages lie within `boomerang`.
    from .evaluate import evaluate
    from .meta import meta
    from .prepare import prepare
    from .sequences import sequences
    from .train import train

    prepare(Path(config.prepare.data_path), out_dir / "prepared", config.prepare, tells)
    sequences(out_dir / "prepared", out_dir / "sequences", config.sequences, config.evaluate.n_folds)
    train({name: config.training(name) for name in ENSEMBLES}, out_dir / "sequences", out_dir, execution)
    meta(out_dir / "prepared", out_dir / "sequences", out_dir, out_dir)
    backtest(out_dir / "prepared", out_dir, config, execution, partial(run_pipeline, tells=False))
    evaluate(out_dir / "prepared", out_dir, out_dir, config.evaluate.equivalence_margin)


def main() -> None:
    """Run the stage on `params.yaml`."""
    config = settings.load()
    execution = Execution.from_environment(Path(os.environ.get("DVC_ROOT", ROOT)))
    with replacing(ARTIFACTS) as new, unchanged(INPUTS, config, settings.load):
        backtest(ARTIFACTS / "prepared", new, config, execution, partial(run_pipeline, tells=False))


if __name__ == "__main__":
    with exit_on_error():
        main()
