"""Stage `meta`: one file that tells a predictor all about the ensembles, and how they compare with counting."""

if __name__ == "__main__":
    from boomerang.base.processes import begin, die_with_parent
    from boomerang.base.sources import at_start

    begin()
    die_with_parent()
    at_start()

from pathlib import Path

import numpy as np

from boomerang.base.ensembles import ENSEMBLES, QUESTIONS, TREES, EnsembleSpec
from boomerang.base.errors import ArtifactError, exit_on_error
from boomerang.base.files import sha256, write_json
from boomerang.base.outputs import replacing
from boomerang.base.paths import ARTIFACTS, METADATA_FILE, trees_file
from boomerang.base.sources import unchanged
from boomerang.base.stage_files import parse_json, read_artifact, read_json, read_table
from boomerang.combining.artifacts import load_member
from boomerang.combining.assembly import Combinations, TrainedEnsemble, TrainedTrees, assemble_metadata
from boomerang.combining.metadata import MemberFigures, TrainingFile, TreesFigures
from boomerang.features.prepared import SummaryFile, read_prepared
from boomerang.features.scaler import Scaler
from boomerang.measures.baselines import predict_by_counting
from boomerang.measures.known_past_baselines import rate_of_validation
from boomerang.measures.validation import measure_validation
from boomerang.model.lengths import LengthsFile
from boomerang.trees.forest import Forest

INPUTS = [ARTIFACTS / name for name in ("prepared", "sequences/lengths.json", *ENSEMBLES, TREES)]


def meta(prepared_dir: Path, sequences_dir: Path, ensembles_dir: Path, out_dir: Path) -> None:
    """Describe the trained ensembles and trees in `ensembles_dir`.

    Parameters
    ----------
    prepared_dir, sequences_dir : Path
        Outputs of `prepare` and `sequences`.
    ensembles_dir : Path
        Holds a folder per ensemble, and that of the trees.
    out_dir : Path
        Gets `metrics.json` (validation figures of ensembles, trees, blend and counting, by question) and, last,
        `models_meta.json`.

    Raises
    ------
    ArtifactError
        If a file is missing, damaged or not what its stage writes.
    """
    summary = read_json(prepared_dir / "summary.json", SummaryFile)
    table = read_prepared(prepared_dir / "purchases.parquet")
    scaling = read_json(prepared_dir / "scaler.json", Scaler)
    lengths = read_json(sequences_dir / "lengths.json", LengthsFile)
    returned, parts = table["returned"].to_numpy(), table["part"].to_numpy()
    targets = returned[parts == "val"]
    trained = {
        name: _read_ensemble(ensembles_dir / name, name, spec, lengths.seq_lengths, len(targets))
        for name, spec in summary.specs.items()
    }
    trees = _read_trees(ensembles_dir / TREES, len(targets))
    combinations = Combinations.fit(trained, trees, targets, returned[parts == "train"].mean())
    if summary.past is None:
        first = int((parts == "train").sum())
        counted = predict_by_counting(returned, first, first + len(targets))
    else:
        counted = rate_of_validation(table)
    validation = measure_validation(targets, combinations.predict_validation(trained, trees), counted)
    metadata = assemble_metadata(trained, trees, combinations, lengths, scaling, summary, validation).model_dump()
    write_json(out_dir / "metrics.json", {"validation": metadata["validation"]})
    write_json(out_dir / METADATA_FILE, metadata)


def _read_ensemble(folder: Path, name: str, spec: EnsembleSpec, seq_lengths: list[int], n_val: int) -> TrainedEnsemble:
    """What the stage `train` left of an ensemble; members are loaded to see that they are what the files say."""
    training = read_json(folder / "training.json", TrainingFile)
    figures = read_json(folder / "metrics.json", dict[str, MemberFigures])
    names = [f"seq{length}" for length in seq_lengths]
    if set(figures) != set(names):
        found = str(sorted(figures))[:200]
        raise ArtifactError(f"{folder / 'metrics.json'} must hold figures of {sorted(names)} (found {found})")
    hashes = []
    for file in map(spec.member_file, seq_lengths):
        content = read_artifact(folder / file)
        load_member(content, f"{name}/{file}", len(spec.features), training.hidden_size, training.num_layers)
        hashes.append(sha256(content))
    logits = _read_logits(folder / "validation.parquet", names, n_val, np.dtype("float32"))
    return TrainedEnsemble(training, [figures[name] for name in names], hashes, logits)


def _read_trees(folder: Path, n_val: int) -> dict[str, TrainedTrees]:
    """What the stage `train_trees` left; trees are read to see that they are what the files say."""
    figures = read_json(folder / "metrics.json", dict[str, TreesFigures])
    if set(figures) != set(QUESTIONS):
        found = str(sorted(figures))[:200]
        raise ArtifactError(f"{folder / 'metrics.json'} must hold figures of {sorted(QUESTIONS)} (found {found})")
    logits = _read_logits(folder / "validation.parquet", list(QUESTIONS), n_val, np.dtype("float64"))
    trees = {}
    for question, of_question in zip(QUESTIONS, logits, strict=True):
        content = read_artifact(folder / trees_file(question))
        forest = parse_json(content, str(folder / trees_file(question)), Forest)
        trees[question] = TrainedTrees(figures[question], sha256(content), forest.features, of_question)
    return trees


def _read_logits(path: Path, columns: list[str], n_rows: int, kind: np.dtype) -> np.ndarray:
    """Logits for the validation purchases, a row for each of `columns`: (n_columns, n_rows), float64."""
    logits = read_table(path, columns)
    if set(logits.dtypes) != {kind} or len(logits) != n_rows or not np.isfinite(logits.to_numpy()).all():
        raise ArtifactError(f"{path} must hold a finite {kind} logit for each of {n_rows} validation purchases")
    return logits.to_numpy(dtype=np.float64).T


def main() -> None:
    """Run the stage."""
    with replacing(ARTIFACTS) as new, unchanged(INPUTS):
        meta(ARTIFACTS / "prepared", ARTIFACTS / "sequences", ARTIFACTS, new)


if __name__ == "__main__":
    with exit_on_error():
        main()
