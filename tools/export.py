"""Write ensembles and trees as ONNX, and check that they give our numbers: `python -m tools.export`."""

if __name__ == "__main__":
    from boomerang.base.processes import begin

    begin()

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boomerang.base.ensembles import ENSEMBLES, QUESTIONS, TREES, name_for
from boomerang.base.errors import ArtifactError, SettingsError, exit_on_error
from boomerang.base.files import write_atomic
from boomerang.base.paths import ARTIFACTS

if TYPE_CHECKING:
    from boomerang.combining.inference import TrainedEnsembles
    from boomerang.trees.forest import Forest

TREE_NAMES = [name_for(TREES, question) for question in QUESTIONS]
TOLERANCE = 1e-6
N_CHECKED = 100


def export(artifacts_dir: Path, out_dir: Path) -> dict[str, float]:
    """Write `<ensemble>.onnx` for every ensemble, and `trees_<question>.onnx` for the trees of every question.

    Parameters
    ----------
    artifacts_dir : Path
        A finished training.
    out_dir : Path
        Gets the files.

    Returns
    -------
    dict of str to float
        By name, the largest difference of its probabilities from ours on windows, or rows, of random values.

    Raises
    ------
    ArtifactError
        If the training is damaged, or a file gives probabilities that differ by more than `TOLERANCE`.
    SettingsError
        If `out_dir` holds a file of such a name that is somebody else's.
    """
    from boomerang.combining.inference import TrainedEnsembles
    from boomerang.serving.onnx_graph import build_graph, build_trees_graph

    _check_is_ours(out_dir)
    ensembles = TrainedEnsembles.load(artifacts_dir)
    found = {}
    for name, spec in ensembles.metadata.specs.items():
        pool = ensembles.pool(name)
        models = {length: ensembles.model((name, length)) for _, length in pool.members}
        n_steps = {length: spec.n_steps(length) for length in models}
        graph = build_graph(models, n_steps, pool.weights, pool.temperature, spec.any_past)
        content = graph.SerializeToString(deterministic=True)
        found[name] = _largest_difference(content, ensembles, name)
        _write(out_dir, name, content, found[name])
    for name in TREE_NAMES:
        forest = ensembles.forest(ensembles.pool(name).members[0])
        content = build_trees_graph(forest).SerializeToString(deterministic=True)
        found[name] = _largest_difference_of_trees(content, forest)
        _write(out_dir, name, content, found[name])
    return found


def _write(out_dir: Path, name: str, content: bytes, difference: float) -> None:
    if difference > TOLERANCE:
        raise ArtifactError(f"{name}.onnx differs from ours by {difference:.1e}, more than {TOLERANCE:.0e}")
    write_atomic(out_dir / f"{name}.onnx", content)


def _check_is_ours(folder: Path) -> None:
    """Refuse to replace an ONNX file that is not of an earlier export, which writes the graph's name into it."""
    for path in (folder / f"{name}.onnx" for name in (*ENSEMBLES, *TREE_NAMES)):
        if path.exists() and b"boomerang" not in path.read_bytes():
            raise SettingsError(f"--output_dir must not hold {path}, which is of no export: name another folder")


def _largest_difference(content: bytes, ensembles: "TrainedEnsembles", name: str) -> float:
    """The largest difference between probabilities of an ONNX file and of torch, on windows of values from 0 to 1."""
    import onnxruntime
    import torch

    from boomerang.model.window_inputs import WindowInputs

    spec, longest = ensembles.metadata.specs[name], ensembles.metadata.seq_lengths[-1]
    shape = (N_CHECKED, spec.n_steps(longest), len(spec.features))
    draw = np.random.default_rng(0)
    inputs, n_steps = draw.random(shape, dtype=np.float32), np.full(N_CHECKED, shape[1])
    fed: dict[str, np.ndarray] = {"inputs": inputs}
    if spec.any_past:
        n_steps = draw.integers(spec.n_steps(0), shape[1] + 1, N_CHECKED)
        fed["n_steps"] = n_steps
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    probability = session.run(["probability"], fed)[0]
    logits = {}
    for member in ensembles.pool(name).members:
        width = spec.n_steps(member[1])
        n_read = np.minimum(n_steps, width)
        # The last steps that there are of each window, from the first place on.
        places = np.minimum((n_steps - n_read)[:, None] + np.arange(width), shape[1] - 1)
        windows = WindowInputs(
            torch.from_numpy(inputs[np.arange(N_CHECKED)[:, None], places]), torch.from_numpy(n_read)
        )
        logits[member] = ensembles.logits(member, windows)
    return float(np.abs(probability - ensembles.combine(logits, name)).max())


def _largest_difference_of_trees(content: bytes, forest: "Forest") -> float:
    """The largest difference between probabilities of an ONNX file and of trees, on rows about their thresholds."""
    import onnxruntime
    from scipy.special import expit

    draw = np.random.default_rng(0)
    rows = draw.random((N_CHECKED, len(forest.features)), dtype=np.float32)
    thresholds = [pair for tree in forest.trees for pair in zip(tree.feature, tree.threshold, strict=True)]
    # Some numbers are exactly at a threshold, and some are missing.
    for row, (column, threshold) in enumerate(thresholds[:N_CHECKED]):
        rows[row, column] = threshold
    rows[draw.random(rows.shape) < 0.1] = np.nan
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    probability = session.run(["probability"], {"inputs": rows})[0]
    return float(np.abs(probability - expit(forest.logits(rows))).max())


def main() -> None:
    """Read the flags, export, and print how close the files are to torch."""
    parser = argparse.ArgumentParser(prog="python -m tools.export", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--artifacts_dir", type=Path, default=ARTIFACTS, help="a finished training (default: artifacts)"
    )
    parser.add_argument("--output_dir", type=Path, default=Path("onnx"), help="where the files go (default: onnx)")
    flags = parser.parse_args()
    try:
        import onnx  # noqa: F401 (only to see that it is there)
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise SettingsError(f"{error.name} is missing: pip install -r requirements-export.txt") from None
    for name, difference in export(flags.artifacts_dir, flags.output_dir).items():
        print(f"{flags.output_dir / name}.onnx: within {difference:.0e} of ours")


if __name__ == "__main__":
    with exit_on_error():
        main()
