"""Stage `meta`: one file that tells a predictor everything about both ensembles, and how they compare to counting."""

if __name__ == "__main__":
    from stages.lib.processes import begin, die_with_parent

    begin()
    die_with_parent()

from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from stages.lib import baselines
from stages.lib.artifacts import FORMAT_VERSION, load_member
from stages.lib.ensemble import combine
from stages.lib.errors import exit_on_error
from stages.lib.files import read_artifact, read_json, read_table, sha256, write_json
from stages.lib.layout import ARTIFACTS, ENSEMBLES, LABELS, METADATA_FILE
from stages.lib.outputs import replacing

MARKOV_ORDER = 8


def meta(prepared_dir: Path, sequences_dir: Path, ensembles_dir: Path, out_dir: Path) -> None:
    """Describe the trained ensembles in `ensembles_dir`.

    Parameters
    ----------
    prepared_dir, sequences_dir : Path
        Outputs of `prepare` and `sequences`.
    ensembles_dir : Path
        Holds `time/` and `simple/`.
    out_dir : Path
        Gets `metrics.json` (validation figures of both ensembles and of counting on the same rows) and, last,
        `models_meta.json`.

    Raises
    ------
    ArtifactError
        If a file is missing, damaged or not what its stage writes.
    """
    table = read_table(prepared_dir / "purchases.parquet", ["returned", "part"])
    returned = table["returned"].to_numpy()
    val_rows = np.flatnonzero(table["part"] == "val")
    scaler, summary = read_json(prepared_dir / "scaler.json"), read_json(prepared_dir / "summary.json")
    lengths = read_json(sequences_dir / "lengths.json")
    ensembles, validation = {}, {}
    for name in ENSEMBLES:
        ensembles[name] = _describe_ensemble(ensembles_dir / name, name, lengths["seq_lengths"])
        weights = [member["weight"] for member in ensembles[name]["members"]]
        logits = read_table(ensembles_dir / name / "validation.parquet")
        probabilities = combine(expit(logits.to_numpy(dtype=np.float64)).T, np.array(weights))
        validation[name] = _measure(returned[val_rows], probabilities)
    precisions = {ensemble["precision"] for ensemble in ensembles.values()}
    validation |= _measure_counting(returned, val_rows)
    write_json(out_dir / "metrics.json", {"validation": validation})
    write_json(
        out_dir / METADATA_FILE,
        {
            "format_version": FORMAT_VERSION,
            "mode": lengths["mode"],
            "seq_lengths": lengths["seq_lengths"],
            "requested_seq_lengths": lengths["requested_seq_lengths"],
            "dropped_seq_lengths": lengths["dropped"],
            "precision": precisions.pop() if len(precisions) == 1 else "mixed",
            "scaler": "MinMax",
            "scaling": scaler,
            "labels": LABELS,
            "reading": summary["reading"],
            "ensembles": ensembles,
            "validation": validation,
        },
    )


def _describe_ensemble(folder: Path, name: str, seq_lengths: list[int]) -> dict[str, Any]:
    layout = ENSEMBLES[name]
    metrics, training = read_json(folder / "metrics.json"), read_json(folder / "training.json")
    sizes = (len(layout.features), training["hidden_size"], training["num_layers"])
    members = []
    for length in seq_lengths:
        content = read_artifact(folder / layout.member_file(length))
        load_member(content, f"{name}/{layout.member_file(length)}", *sizes)
        figures = metrics[f"seq{length}"]
        members.append(
            {
                "seq_length": length,
                "sha256": sha256(content),
                **figures,
                "weight": 1 / len(seq_lengths),
            }
        )
    return {
        "prefix": f"{name}/{layout.prefix}",
        "input_size": len(layout.features),
        "features": list(layout.features),
        **{key: training[key] for key in ("hidden_size", "num_layers", "precision", "device")},
        "members": members,
    }


def _measure(targets: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    """Log loss in nats, and ROC-AUC, which is undefined (null) where all targets are alike."""
    auc = float(roc_auc_score(targets, probabilities)) if len(np.unique(targets)) == 2 else None
    return {"log_loss": float(log_loss(targets, probabilities, labels=[0, 1])), "roc_auc": auc}


def _measure_counting(returned: np.ndarray, val_rows: np.ndarray) -> dict[str, dict]:
    """The baselines, counted on the training rows and measured on the rows of `val`."""
    first, end = int(val_rows[0]), int(val_rows[-1]) + 1
    predicted = {"base_rate": baselines.base_rate(returned, first, end)}
    if first > MARKOV_ORDER:
        predicted[f"markov_order_{MARKOV_ORDER}"] = baselines.markov_chain(returned, first, end, MARKOV_ORDER)
    return {name: _measure(returned[val_rows], probabilities) for name, probabilities in predicted.items()}


def main() -> None:
    """Run the stage."""
    with replacing(ARTIFACTS) as new:
        meta(ARTIFACTS / "prepared", ARTIFACTS / "sequences", ARTIFACTS, new)


if __name__ == "__main__":
    with exit_on_error():
        main()
