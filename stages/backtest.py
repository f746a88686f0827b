"""Stage `backtest`: the whole pipeline on growing parts of the history, where `evaluate.n_folds` asks for it."""

if __name__ == "__main__":
    from stages.lib.processes import begin, die_with_parent
    from stages.lib.sources import at_start

    begin()
    die_with_parent()
    at_start()

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from stages.lib import settings
from stages.lib.errors import SettingsError, exit_on_error
from stages.lib.evaluation import Evaluation
from stages.lib.execution import Execution
from stages.lib.files import read_json, write_json
from stages.lib.layout import ARTIFACTS, BACKTEST_FILE
from stages.lib.outputs import replacing
from stages.lib.prepared import read_history
from stages.lib.sources import unchanged

INPUTS = [ARTIFACTS / "prepared"]
Run = Callable[[settings.Settings, Execution, Path], None]


def backtest(prepared_dir: Path, out_dir: Path, config: settings.Settings, execution: Execution, run: Run) -> None:
    """Train and evaluate anew at earlier origins (Tashman 2000, "Out-of-sample tests of forecasting accuracy").

    With n folds and t test purchases, fold k sees the history without its last ``(n - k) t`` purchases, and tests on
    the last t of what is left: the test blocks follow each other, and the last fold is the pipeline itself.

    Parameters
    ----------
    prepared_dir : Path
        Output of `prepare`.
    out_dir : Path
        Gets `backtest.json`: a fold each with its figures; none where `evaluate.n_folds` is 0.
    config : Settings
        Of the pipeline; each fold keeps the number of validation and test purchases, and has fewer to train on.
    execution : Execution
        How members train; does not change the result.
    run : callable
        Runs all stages by settings into a folder.

    Raises
    ------
    SettingsError
        If the first fold would have fewer training purchases than the validation part has.
    """
    n_folds = config.evaluate.n_folds
    folds = []
    if n_folds:
        history, counts = read_history(prepared_dir)
        if (n_train := counts["train"] - (n_folds - 1) * counts["test"]) < counts["val"]:
            raise SettingsError(
                f"evaluate.n_folds must leave the first fold as many training purchases as validation purchases, "
                f"{counts['val']} (found {n_train} with n_folds {n_folds} and {counts['test']} test purchases each)"
            )
        for fold in range(1, n_folds + 1):
            part = history.iloc[: len(history) - (n_folds - fold) * counts["test"]]
            print(f"backtest: fold {fold} of {n_folds}, {len(part)} purchases", file=sys.stderr)
            folds.append(_run_fold(part, counts, config, execution, run))
    write_json(out_dir / BACKTEST_FILE, {"folds": folds})


def _run_fold(
    history: pd.DataFrame, counts: dict[str, int], config: settings.Settings, execution: Execution, run: Run
) -> dict[str, Any]:
    """What `Fold` holds, of a pipeline run on `history` in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="boomerang-") as folder:
        path = Path(folder) / "purchases.csv"
        history.to_csv(path, index=False)
        prepare = {
            "data_path": str(path),
            "val_split": counts["val"] / len(history),
            "test_split": counts["test"] / len(history),
            "datetime_format": None,
            "timezone": None,
            "on_bad_rows": "error",
        }
        changed = {
            "prepare": config.prepare.model_copy(update=prepare),
            "evaluate": config.evaluate.model_copy(update={"n_folds": 0}),
        }
        run(config.model_copy(update=changed), execution, Path(folder) / "artifacts")
        evaluation = read_json(Path(folder) / "artifacts" / "evaluation" / "evaluation.json", Evaluation)
    log_loss = {
        question: {model.name: model.log_loss.value for model in answers.models if model.kind != "member"}
        for question, answers in evaluation.questions.items()
    }
    test = evaluation.parts["test"]
    return {"n_train": evaluation.parts["train"].rows, "test": test.model_dump(), "log_loss": log_loss}


def _run_stages(config: settings.Settings, execution: Execution, out_dir: Path) -> None:
    # Imported by the first fold: torch takes a second to import, and without folds nothing needs it.
    from stages.whole import run_stages

    run_stages(config, execution, out_dir)


def main() -> None:
    """Run the stage on `params.yaml`."""
    config = settings.load()
    execution = Execution.from_environment(Path(os.environ.get("DVC_ROOT", "")))
    watched = unchanged(Path(__file__), INPUTS, config, settings.load)
    with replacing(ARTIFACTS) as new, watched:
        backtest(ARTIFACTS / "prepared", new, config, execution, _run_stages)


if __name__ == "__main__":
    with exit_on_error():
        main()
