"""Stage `sequences`: prepared purchases become windows, one file per ensemble and sequence length."""

if __name__ == "__main__":
    from boomerang.base.processes import begin, die_with_parent
    from boomerang.base.sources import at_start

    begin()
    die_with_parent()
    at_start()

from pathlib import Path

import torch

from boomerang.base import settings
from boomerang.base.ensembles import ENSEMBLES, PARTS, most_past
from boomerang.base.errors import DataError, exit_on_error
from boomerang.base.files import write_atomic, write_json
from boomerang.base.outputs import replacing
from boomerang.base.paths import ARTIFACTS, windows_file
from boomerang.base.sources import unchanged
from boomerang.base.stage_files import read_json
from boomerang.base.wording import tell
from boomerang.features.inputs import stack_features
from boomerang.features.prepared import SummaryFile, read_prepared
from boomerang.features.split import fewest_rows
from boomerang.model.windows import cut_windows, length_ladder, usable_lengths

INPUTS = [ARTIFACTS / "prepared"]


def sequences(prepared_dir: Path, out_dir: Path, config: settings.SequencesSettings) -> None:
    """Cut the windows of every ensemble and of every length that the data can carry.

    Parameters
    ----------
    prepared_dir : Path
        Output of `prepare`.
    out_dir : Path
        Gets `<ensemble>/seq<L>.pt` and `lengths.json`: the lengths asked for, used and dropped.
    config : SequencesSettings
        The lengths.

    Raises
    ------
    DataError
        If no length is left.
    ArtifactError
        If the prepared purchases are missing, damaged or not what `prepare` writes.
    """
    table = read_prepared(prepared_dir / "purchases.parquet")
    n_rows = {part: int((table["part"] == part).sum()) for part in PARTS}
    if isinstance(config.seq_lengths, str):
        mode, requested = "auto", length_ladder(n_rows["train"], config.max_seq_cap)
    else:
        mode, requested = "fixed", config.seq_lengths
    lengths, dropped = usable_lengths(requested, n_rows["train"], config.max_seq_cap)
    for length, reason in dropped.items():
        tell(f"sequence length {length} dropped: {reason}")
    if not lengths:
        reasons = "; ".join(f"{length} {reason}" for length, reason in dropped.items())
        split = read_json(prepared_dir / "summary.json", SummaryFile).split
        needed = fewest_rows(most_past(min(requested)) + 1, split.val_split, split.test_split) or "far more"
        raise DataError(f"no sequence length is left: {reasons}; the shortest needs {needed} purchases in all")
    returned = torch.from_numpy(table["returned"].to_numpy(dtype="float32"))
    for name, spec in ENSEMBLES.items():
        stream = torch.from_numpy(stack_features(table, spec.features))
        for length in lengths:
            windows = cut_windows(stream, returned, n_rows, length, spec.n_steps(length), spec.n_past(length))
            write_atomic(out_dir / name / windows_file(length), windows.to_bytes())
    write_json(
        out_dir / "lengths.json",
        {"mode": mode, "requested_seq_lengths": requested, "seq_lengths": lengths, "dropped": dropped},
    )


def main() -> None:
    """Run the stage on `params.yaml`."""
    config = settings.load().sequences
    watched = unchanged(INPUTS, config, lambda: settings.load().sequences)
    with replacing(ARTIFACTS) as new, watched:
        sequences(ARTIFACTS / "prepared", new / "sequences", config)


if __name__ == "__main__":
    with exit_on_error():
        main()
