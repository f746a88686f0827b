"""Stage `train_trees`: boosted trees that know of each purchase what the ensembles know of it."""

if __name__ == "__main__":
    from boomerang.base.processes import begin, die_with_parent
    from boomerang.base.sources import at_start

    begin()
    die_with_parent()
    at_start()

import io
from pathlib import Path

import numpy as np
import pandas as pd

from boomerang.base import settings
from boomerang.base.ensembles import QUESTIONS, TREES
from boomerang.base.errors import exit_on_error
from boomerang.base.files import write_atomic, write_json
from boomerang.base.outputs import replacing
from boomerang.base.paths import ARTIFACTS, trees_file
from boomerang.base.sources import unchanged
from boomerang.base.stage_files import read_json
from boomerang.features.known_past import find_known_past
from boomerang.features.prepared import SummaryFile, read_prepared
from boomerang.features.scaler import Scaler
from boomerang.model.lengths import LengthsFile
from boomerang.trees.boosting import boost
from boomerang.trees.inputs import TreeTable, fewest_past, list_inputs

INPUTS = [ARTIFACTS / "prepared", ARTIFACTS / "sequences" / "lengths.json"]


def train_trees(prepared_dir: Path, sequences_dir: Path, out_dir: Path, config: settings.TreesSettings) -> None:
    """Train boosted trees for each question.

    Parameters
    ----------
    prepared_dir, sequences_dir : Path
        Outputs of `prepare` and `sequences`.
    out_dir : Path
        Gets the trees of each question (`next.json`, `made.json`), `history.csv` (a line per question and round),
        `metrics.json` (the best round of each) and `validation.parquet` (what they say of the purchases of `val`).
    config : TreesSettings
        How they are trained.

    Raises
    ------
    ArtifactError
        If a file is missing, damaged or not what its stage writes.
    """
    summary = read_json(prepared_dir / "summary.json", SummaryFile)
    table, rules = read_prepared(prepared_dir / "purchases.parquet", summary.columns), summary.past
    scaler = read_json(prepared_dir / "scaler.json", Scaler)
    longest = read_json(sequences_dir / "lengths.json", LengthsFile).seq_lengths[-1]
    past, parts = find_known_past(table, rules), table["part"].to_numpy()
    known = TreeTable.of(table, past, scaler, rules, summary.further)
    # Fewer are known at the beginning alone, where no prediction is asked for.
    rows = {
        "train": np.flatnonzero((parts == "train") & (past.n_known >= fewest_past(rules is not None, longest))),
        "val": np.flatnonzero(parts == "val"),
    }
    histories, figures, logits = [], {}, {}
    base_rate = float(past.returned[parts == "train"].mean())
    for question in QUESTIONS:
        columns = list_inputs(question, rules is not None, longest, summary.further)
        inputs = {part: known.read(columns, of_part) for part, of_part in rows.items()}
        targets = {part: past.returned[of_part] for part, of_part in rows.items()}
        boosted = boost(
            inputs["train"],
            targets["train"],
            inputs["val"],
            targets["val"],
            [one.name for one in columns],
            base_rate,
            config,
        )
        write_atomic(out_dir / trees_file(question), boosted.forest.to_bytes())
        logits[question] = boosted.forest.logits(inputs["val"])
        histories.append(boosted.history.assign(question=question))
        best = boosted.history.iloc[len(boosted.forest.trees)]
        figures[question] = {
            "rounds": len(boosted.history) - 1,
            "best_round": len(boosted.forest.trees),
            "train_loss": float(best["train_loss"]),
            "val_loss": float(best["val_loss"]),
            "val_accuracy": float(np.mean((logits[question] >= 0) == targets["val"])),
        }
    history = pd.concat(histories)[["question", "round", "train_loss", "val_loss"]]
    write_atomic(out_dir / "history.csv", history.to_csv(index=False, lineterminator="\n").encode())
    write_json(out_dir / "metrics.json", figures)
    buffer = io.BytesIO()
    pd.DataFrame(logits).to_parquet(buffer, index=False)
    write_atomic(out_dir / "validation.parquet", buffer.getvalue())


def main() -> None:
    """Run the stage on `params.yaml`."""
    config = settings.load().train_trees
    with replacing(ARTIFACTS) as new, unchanged(INPUTS, config, lambda: settings.load().train_trees):
        train_trees(ARTIFACTS / "prepared", ARTIFACTS / "sequences", new / TREES, config)


if __name__ == "__main__":
    with exit_on_error():
        main()
