"""Write each ensemble as ONNX, and see that it gives torch's numbers: `python -m stages.export`."""

if __name__ == "__main__":
    from stages.lib.processes import begin

    begin()

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from stages.lib.errors import ArtifactError, SettingsError, exit_on_error
from stages.lib.files import write_atomic
from stages.lib.layout import ARTIFACTS, ENSEMBLES

TOLERANCE = 1e-6
N_CHECKED = 100


def export(artifacts_dir: Path, out_dir: Path) -> dict[str, float]:
    """Write `<ensemble>.onnx` for every ensemble.

    Parameters
    ----------
    artifacts_dir : Path
        A finished training.
    out_dir : Path
        Gets the files.

    Returns
    -------
    dict of str to float
        By ensemble, how far its probabilities are at most from torch's on windows of random values.

    Raises
    ------
    ArtifactError
        If the training is damaged, or an ensemble differs by more than `TOLERANCE`.
    """
    from stages.lib.onnx_graph import build_graph
    from stages.lib.scorer import Scorer

    scorer = Scorer.load(artifacts_dir)
    found = {}
    for name, layout in ENSEMBLES.items():
        pool = scorer.pool(name)
        models = {length: scorer.model((name, length)) for _, length in pool.members}
        n_steps = {length: layout.n_steps(length) for length in models}
        content = build_graph(models, n_steps, pool.weights, pool.temperature).SerializeToString(deterministic=True)
        found[name] = _largest_difference(content, scorer, name)
        if found[name] > TOLERANCE:
            raise ArtifactError(f"{name}.onnx differs from torch by {found[name]:.1e}, more than {TOLERANCE:.0e}")
        write_atomic(out_dir / f"{name}.onnx", content)
    return found


def _largest_difference(content: bytes, scorer: Any, name: str) -> float:
    """Between the probabilities of an ONNX file and those of torch, on windows of random values of 0 to 1."""
    import onnxruntime
    import torch

    layout, longest = ENSEMBLES[name], scorer.metadata.seq_lengths[-1]
    shape = (N_CHECKED, layout.n_steps(longest), len(layout.features))
    inputs = np.random.default_rng(0).random(shape, dtype=np.float32)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    probability = session.run(["probability"], {"inputs": inputs})[0]
    members = scorer.pool(name).members
    windows = {member: torch.from_numpy(inputs)[:, -layout.n_steps(member[1]) :] for member in members}
    logits = {member: scorer.logits(member, windows[member]) for member in members}
    return float(np.abs(probability - scorer.combine(logits, name)).max())


def main() -> None:
    """Read the flags, export, say how close it is."""
    parser = argparse.ArgumentParser(prog="python -m stages.export", description=__doc__, allow_abbrev=False)
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
        print(f"{flags.output_dir / name}.onnx: within {difference:.0e} of torch")


if __name__ == "__main__":
    with exit_on_error():
        main()
