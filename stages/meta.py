"""Stage `meta`: one file that tells a predictor all about the ensembles, and how they compare to counting."""

if __name__ == "__main__":
    from stages.lib.processes import begin, die_with_parent
    from stages.lib.sources import at_start

    begin()
    die_with_parent()
    at_start()

import math
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from stages.lib import baselines
from stages.lib.artifacts import load_member
from stages.lib.calibration import Combination, combine, fit_across, fit_combination
from stages.lib.errors import ArtifactError, exit_on_error
from stages.lib.features import Scaler
from stages.lib.files import check, read_artifact, read_json, read_table, sha256, write_json
from stages.lib.layout import ARTIFACTS, ENSEMBLES, LABELS, METADATA_FILE, QUESTIONS, ensembles_asked
from stages.lib.metadata import (
    FORMAT_VERSION,
    LengthsFile,
    MemberFigures,
    Metadata,
    TrainingFile,
)
from stages.lib.outputs import replacing
from stages.lib.prepared import SummaryFile, read_prepared
from stages.lib.sources import unchanged

INPUTS = [ARTIFACTS / name for name in ("prepared", "sequences/lengths.json", *ENSEMBLES)]
MARKOV_ORDER = 8


def meta(prepared_dir: Path, sequences_dir: Path, ensembles_dir: Path, out_dir: Path) -> None:
    """Describe the trained ensembles in `ensembles_dir`.

    Parameters
    ----------
    prepared_dir, sequences_dir : Path
        Outputs of `prepare` and `sequences`.
    ensembles_dir : Path
        Holds a folder per ensemble.
    out_dir : Path
        Gets `metrics.json` (validation figures of the ensembles and of counting on the same rows, by question) and,
        last, `models_meta.json`.

    Raises
    ------
    ArtifactError
        If a file is missing, damaged or not what its stage writes.
    """
    returned, val_rows = _read_targets(prepared_dir)
    scaling = read_json(prepared_dir / "scaler.json", Scaler)
    summary = read_json(prepared_dir / "summary.json", SummaryFile)
    lengths = read_json(sequences_dir / "lengths.json", LengthsFile)
    ensembles, logits, validation = {}, {}, _measure_counting(returned, val_rows)
    for name, layout in ENSEMBLES.items():
        ensembles[name] = _describe_ensemble(ensembles_dir / name, name, lengths.seq_lengths)
        logits[name] = _read_logits(ensembles_dir / name / "validation.parquet", lengths.seq_lengths, len(val_rows))
        fitted, validation[layout.question][name] = _fit(logits[name], returned[val_rows])
        ensembles[name] |= {"temperature": fitted.temperature, "weighting": fitted.reason}
        for member, weight in zip(ensembles[name]["members"], fitted.weights, strict=True):
            member["weight"] = weight
    asked = {name: logits[name] for name in ensembles_asked("next")}
    combination, validation["next"]["combination"] = _combine(
        asked, returned[val_rows], _logit(returned[: val_rows[0]].mean())
    )
    precisions = {ensemble["precision"] for ensemble in ensembles.values()}
    content = {
        "format_version": FORMAT_VERSION,
        "mode": lengths.mode,
        "seq_lengths": lengths.seq_lengths,
        "requested_seq_lengths": lengths.requested_seq_lengths,
        "dropped_seq_lengths": lengths.dropped,
        "precision": precisions.pop() if len(precisions) == 1 else "mixed",
        "scaler": "MinMax",
        "scaling": scaling,
        "labels": LABELS,
        "reading": summary.reading,
        "ensembles": ensembles,
        "combination": combination,
        "validation": validation,
    }
    # What a predictor would refuse is not written.
    metadata = check(content, METADATA_FILE, Metadata)
    write_json(out_dir / "metrics.json", {"validation": validation})
    write_json(out_dir / METADATA_FILE, metadata.model_dump())


def _read_targets(prepared_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    """`returned` of every purchase, and the positions of the validation purchases."""
    table = read_prepared(prepared_dir / "purchases.parquet")
    return table["returned"].to_numpy(), np.flatnonzero(table["part"] == "val")


def _read_logits(path: Path, seq_lengths: list[int], n_rows: int) -> np.ndarray:
    """Each member's logits for the validation purchases, of shape (n_members, n_rows), float64."""
    logits = read_table(path, [f"seq{length}" for length in seq_lengths])
    if set(logits.dtypes) != {np.dtype("float32")} or len(logits) != n_rows or not np.isfinite(logits.to_numpy()).all():
        raise ArtifactError(f"{path} must hold a finite float32 logit for each of {n_rows} validation purchases")
    return logits.to_numpy(dtype=np.float64).T


def _describe_ensemble(folder: Path, name: str, seq_lengths: list[int]) -> dict[str, Any]:
    """All that the metadata says of an ensemble but how its members are combined."""
    layout = ENSEMBLES[name]
    training = read_json(folder / "training.json", TrainingFile)
    figures = read_json(folder / "metrics.json", dict[str, MemberFigures])
    if set(figures) != (expected := {f"seq{length}" for length in seq_lengths}):
        found = str(sorted(figures))[:200]
        raise ArtifactError(f"{folder / 'metrics.json'} must hold figures of {sorted(expected)} (found {found})")
    sizes = (len(layout.features), training.hidden_size, training.num_layers)
    members = []
    for length in seq_lengths:
        content = read_artifact(folder / layout.member_file(length))
        load_member(content, f"{name}/{layout.member_file(length)}", *sizes)
        described = {"seq_length": length, "sha256": sha256(content)}
        members.append({**figures[f"seq{length}"].model_dump(), **described})
    return {
        "prefix": f"{name}/{layout.prefix}",
        "input_size": len(layout.features),
        "features": list(layout.features),
        **training.model_dump(),
        "members": members,
    }


def _fit(logits: np.ndarray, targets: np.ndarray) -> tuple[Combination, dict[str, float | None]]:
    """How members of logits (n_members, n_rows) are combined, and the figures of what comes of it."""
    fitted = fit_combination(logits, targets)
    return fitted, _measure(targets, combine(logits, np.array(fitted.weights), fitted.temperature))


def _combine(
    logits: dict[str, np.ndarray], targets: np.ndarray, centre: float
) -> tuple[dict[str, Any], dict[str, float | None]]:
    """What the metadata says of the combination of all members of these ensembles, and its figures."""
    fitted = fit_across(list(logits.values()), targets, centre)
    every = np.concatenate(list(logits.values()))
    figures = _measure(targets, combine(every, np.array(fitted.weights), fitted.temperature, centre))
    shares = np.split(np.array(fitted.weights), len(logits))
    weights = {name: share.tolist() for name, share in zip(logits, shares, strict=True)}
    described = {"temperature": fitted.temperature, "centre": centre, "weighting": fitted.reason}
    return {"weights": weights, **described}, figures


def _logit(share: float) -> float:
    """``log(share / (1 - share))``, without the last bits, which depend on the C library."""
    return round(math.log(share / (1 - share)), 6)


def _measure(targets: np.ndarray, probabilities: np.ndarray) -> dict[str, float | None]:
    """Log loss in nats, and ROC-AUC, which is undefined (null) where all targets are alike."""
    auc = float(roc_auc_score(targets, probabilities)) if len(np.unique(targets)) == 2 else None
    return {"log_loss": float(log_loss(targets, probabilities, labels=[0, 1])), "roc_auc": auc}


def _measure_counting(returned: np.ndarray, val_rows: np.ndarray) -> dict[str, dict[str, dict]]:
    """By question, the baselines, counted on the training rows and measured on the rows of `val`."""
    first, end = int(val_rows[0]), int(val_rows[-1]) + 1
    targets = returned[val_rows]
    base_rate = _measure(targets, baselines.base_rate(returned, first, end))
    measured = {question: {"base_rate": base_rate} for question in QUESTIONS}
    if first > MARKOV_ORDER:
        probabilities = baselines.markov_chain(returned, first, end, MARKOV_ORDER)
        measured["next"][f"markov_order_{MARKOV_ORDER}"] = _measure(targets, probabilities)
    return measured


def main() -> None:
    """Run the stage."""
    with replacing(ARTIFACTS) as new, unchanged(Path(__file__), INPUTS):
        meta(ARTIFACTS / "prepared", ARTIFACTS / "sequences", ARTIFACTS, new)


if __name__ == "__main__":
    with exit_on_error():
        main()
