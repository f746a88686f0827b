"""Stage `evaluate`: how good the predictions are on the test purchases, which nothing before has looked at."""

if __name__ == "__main__":
    from stages.lib.processes import begin, die_with_parent
    from stages.lib.sources import at_start

    begin()
    die_with_parent()
    at_start()

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import expit

from stages.lib.baselines import predict_baselines
from stages.lib.errors import ArtifactError, exit_on_error
from stages.lib.evaluation import EVALUATION_FORMAT, BacktestFile, Evaluation
from stages.lib.files import check, read_artifact, read_json, write_atomic, write_json
from stages.lib.importance import permutation_importance
from stages.lib.judging import SEED, Judged, Sample
from stages.lib.layout import (
    ANSWERS,
    ARTIFACTS,
    BACKTEST_FILE,
    CARD_FILE,
    COMBINATION,
    ENSEMBLES,
    METADATA_FILE,
    ensembles_asked,
)
from stages.lib.model_card import write_card
from stages.lib.outputs import replacing
from stages.lib.prepared import SummaryFile, read_prepared
from stages.lib.report import write_report
from stages.lib.scorer import Scorer
from stages.lib.sources import unchanged
from stages.lib.tables import list_curves, list_metrics, list_models

INPUTS = [ARTIFACTS / name for name in ("prepared", METADATA_FILE, BACKTEST_FILE, *ENSEMBLES)]


def evaluate(prepared_dir: Path, artifacts_dir: Path, out_dir: Path) -> None:
    """Measure the ensembles and the baselines on the test purchases.

    Parameters
    ----------
    prepared_dir : Path
        Output of `prepare`.
    artifacts_dir : Path
        Holds `models_meta.json`, `backtest.json` and a folder per ensemble.
    out_dir : Path
        Gets `evaluation/` (`evaluation.json` and what is made from it: `report.html`, `leaderboard.csv`,
        `metrics.json`, curves for plots) and `MODEL_CARD.md`.

    Raises
    ------
    ArtifactError
        If a file is missing, damaged or not what its stage writes.
    """
    # As in training: the same bytes whatever number of cores there is.
    torch.set_num_threads(1)
    table = read_prepared(prepared_dir / "purchases.parquet")
    summary = read_json(prepared_dir / "summary.json", SummaryFile)
    scorer = Scorer.load(artifacts_dir)
    metadata = scorer.metadata
    n_test = int((table["part"] == "test").sum())
    content = {
        "format_version": EVALUATION_FORMAT,
        "seq_lengths": metadata.seq_lengths,
        "precision": metadata.precision,
        "parts": {name: part.model_dump() for name, part in summary.parts.items()},
        "training": {name: _read_losses(artifacts_dir / name / "history.csv") for name in ENSEMBLES},
        "folds": [fold.model_dump() for fold in read_json(artifacts_dir / BACKTEST_FILE, BacktestFile).folds],
        "majority_accuracy": None,
        "resampling": None,
        "questions": {},
    }
    if n_test:
        content |= _answer(table, n_test, scorer)
    evaluation = check(content, "evaluation.json", Evaluation)
    folder = out_dir / "evaluation"
    write_json(folder / "evaluation.json", evaluation.model_dump())
    write_json(folder / "metrics.json", list_metrics(evaluation))
    for name, rows in {"leaderboard": list_models(evaluation), **list_curves(evaluation)}.items():
        write_atomic(folder / f"{name}.csv", rows.to_csv(index=False, lineterminator="\n").encode())
    write_atomic(folder / "report.html", write_report(evaluation).encode())
    write_atomic(out_dir / CARD_FILE, write_card(evaluation, metadata).encode())


def _answer(table: pd.DataFrame, n_test: int, scorer: Any) -> dict[str, Any]:
    """What is found out on the last `n_test` purchases."""
    first = len(table) - n_test
    returned = table["returned"].to_numpy()
    sample = Sample(returned[first:], float(returned[table["part"] == "train"].mean()))
    baselines = predict_baselines(table, scorer.metadata.seq_lengths[-1])
    ours = _predict(table, first, scorer)
    datetimes = table["datetime"].iloc[first:].dt.strftime("%Y-%m-%dT%H:%M:%S").tolist()
    questions = {}
    for question, judged in ANSWERS.items():
        models = ours[question] + [
            Judged(name, "baseline", baseline.probabilities, baseline.chosen)
            for name, baseline in baselines[question].items()
        ]
        probabilities = next(model.probabilities for model in models if model.name == judged)
        features, lags, n_rows = permutation_importance(scorer, judged, table, first, SEED)
        questions[question] = sample.answer(question, judged, models) | {
            "over_time": sample.over_time(probabilities, datetimes),
            "importance": {"features": features, "lags": lags, "n_rows": n_rows},
        }
    return {
        "majority_accuracy": sample.majority_accuracy,
        "resampling": sample.blocks.describe(),
        "questions": questions,
    }


def _predict(table: pd.DataFrame, first: int, scorer: Any) -> dict[str, list[Judged]]:
    """Of each question the combination, the ensembles and the members, with their probabilities from row `first` on."""
    logits = scorer.member_logits(table, first, len(table))
    found = {}
    for question, judged in ANSWERS.items():
        names = ensembles_asked(question)
        found[question] = [Judged(name, "ensemble", scorer.combine(logits, name)) for name in names]
        if judged == COMBINATION:
            found[question].append(Judged(COMBINATION, "combination", scorer.combine(logits, COMBINATION)))
        found[question] += [
            Judged(f"{name}_seq{length}", "member", expit(row))
            for (name, length), row in logits.items()
            if name in names
        ]
    return found


def _read_losses(path: Path) -> dict[str, dict[str, list[float]]]:
    """`LossCurve` of each member, by `seq<L>`."""
    try:
        history = pd.read_csv(io.BytesIO(read_artifact(path)))
        losses = history[["train_loss", "val_loss"]].astype(np.float64).round(6)
        members = history["seq_length"].astype(np.int64)
    except (KeyError, ValueError) as error:
        raise ArtifactError(f"{path} is not the history of an ensemble: {error}") from None
    return {f"seq{length}": rows.to_dict("list") for length, rows in losses.groupby(members)}


def main() -> None:
    """Run the stage."""
    with replacing(ARTIFACTS) as new, unchanged(Path(__file__), INPUTS):
        evaluate(ARTIFACTS / "prepared", ARTIFACTS, new)


if __name__ == "__main__":
    with exit_on_error():
        main()
