"""Stage `sequences`: prepared purchases become windows, one file per ensemble and sequence length."""

if __name__ == "__main__":
    from boomerang.base.processes import begin, die_with_parent
    from boomerang.base.sources import at_start

    begin()
    die_with_parent()
    at_start()

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from boomerang.base import settings
from boomerang.base.ensembles import PARTS, EnsembleSpec, most_past
from boomerang.base.errors import DataError, about, exit_on_error
from boomerang.base.files import write_atomic, write_json
from boomerang.base.outputs import replacing
from boomerang.base.paths import ARTIFACTS, windows_file
from boomerang.base.settings import ColumnSettings, PastSettings
from boomerang.base.sources import unchanged
from boomerang.base.stage_files import read_json
from boomerang.base.wording import tell
from boomerang.features.inputs import stack_features, stack_inputs
from boomerang.features.known_past import PastRules, find_known_past
from boomerang.features.prepared import Split, SummaryFile, read_history, read_prepared
from boomerang.features.preparing import check_folds, prepare_table
from boomerang.features.scaler import Scaler
from boomerang.features.split import fewest_rows
from boomerang.model.known_past_windows import KnownPastWindows
from boomerang.model.lengths import known_past_ladder, known_past_lengths, length_ladder, usable_lengths
from boomerang.model.windows import cut_windows

INPUTS = [ARTIFACTS / "prepared"]


def sequences(prepared_dir: Path, out_dir: Path, config: settings.SequencesSettings, n_folds: int = 0) -> None:
    """Cut the windows of every ensemble and of every length that the data can carry.

    Parameters
    ----------
    prepared_dir : Path
        Output of `prepare`.
    out_dir : Path
        Gets `<ensemble>/seq<L>.pt` and `lengths.json`: the lengths asked for, used and dropped.
    config : SequencesSettings
        The lengths.
    n_folds : int
        Setting `evaluate.n_folds`, checked here; none by default.

    Raises
    ------
    DataError
        If no length is left.
    SettingsError
        If the history does not carry so many folds of a backtest.
    ArtifactError
        If the prepared purchases are missing, damaged or not what `prepare` writes.
    """
    summary = read_json(prepared_dir / "summary.json", SummaryFile)
    table = read_prepared(prepared_dir / "purchases.parquet", summary.columns)
    with about(summary.file):
        requested, lengths, dropped = choose_lengths(table, config, summary.split)
    for length, reason in dropped.items():
        tell(f"sequence length {length} dropped: {reason}")
    check_backtest(prepared_dir, config, n_folds)
    if summary.past is None:
        _cut_stream(table, summary.specs, lengths, out_dir)
    else:
        scaler = read_json(prepared_dir / "scaler.json", Scaler)
        _cut_known_past(table, summary.specs, lengths, scaler, summary.past, out_dir)
    mode = "auto" if config.seq_lengths == "auto" else "fixed"
    write_json(
        out_dir / "lengths.json",
        {"mode": mode, "requested_seq_lengths": requested, "seq_lengths": lengths, "dropped": dropped},
    )


def _cut_stream(table: pd.DataFrame, specs: dict[str, EnsembleSpec], lengths: list[int], out_dir: Path) -> None:
    """Write windows of exactly L purchases of the whole shop."""
    n_rows = {part: int((table["part"] == part).sum()) for part in PARTS}
    returned = torch.from_numpy(table["returned"].to_numpy(dtype="float32"))
    for name, spec in specs.items():
        stream = torch.from_numpy(stack_features(table, spec.features))
        for length in lengths:
            windows = cut_windows(stream, returned, n_rows, length, spec.n_steps(length), spec.n_past(length))
            write_atomic(out_dir / name / windows_file(length), windows.to_bytes())


def _cut_known_past(
    table: pd.DataFrame,
    specs: dict[str, EnsembleSpec],
    lengths: list[int],
    scaler: Scaler,
    rules: PastRules,
    out_dir: Path,
) -> None:
    """Write windows of up to L purchases that were known when their target was made."""
    past, parts = find_known_past(table, rules), table["part"].to_numpy()
    is_target = parts != "embargo"
    spans, targets = (past.starts[is_target], past.ends[is_target]), past.returned[is_target]
    ends = np.cumsum([int((parts == part).sum()) for part in PARTS]).tolist()
    bounds = dict(zip(PARTS, zip([0, *ends[:-1]], ends, strict=True), strict=True))
    for name, spec in specs.items():
        inputs = stack_inputs(table, spec.features, past, scaler, rules)
        own = inputs.own[is_target] if spec.question == "made" else inputs.own[:0]
        for length in lengths:
            windows = KnownPastWindows.cut(inputs.stream, own, spans, targets, bounds, length)
            write_atomic(out_dir / name / windows_file(length), windows.to_bytes())


def choose_lengths(
    table: pd.DataFrame, config: settings.SequencesSettings, split: Split
) -> tuple[list[int], list[int], dict[int, str]]:
    """The lengths asked for, those that the training purchases suffice for, and why each other one is dropped.

    Parameters
    ----------
    table : DataFrame
        Prepared purchases: `part`, and `n_known` where each has a past of its own.
    config : SequencesSettings
        What is asked for.
    split : Split
        Shares of the parts, to say how many purchases would do.

    Raises
    ------
    DataError
        If no length is left.
    """
    is_train, asked = (table["part"] == "train").to_numpy(), config.seq_lengths
    n_train = int(is_train.sum())
    if "n_known" in table:
        n_known = table["n_known"].to_numpy()[is_train]
        requested = known_past_ladder(n_known, config.max_seq_cap) if isinstance(asked, str) else asked
        lengths, dropped = known_past_lengths(requested, n_known, config.max_seq_cap)
    else:
        requested = length_ladder(n_train, config.max_seq_cap) if isinstance(asked, str) else asked
        lengths, dropped = usable_lengths(requested, n_train, config.max_seq_cap)
    if not lengths:
        reasons = "; ".join(f"{length} {reason}" for length, reason in dropped.items())
        if "n_known" in table:
            raise DataError(f"no sequence length is left, for no training purchase has a known past: {reasons}")
        needed = fewest_rows(most_past(min(requested)) + 1, split.val_split, split.test_split) or "far more"
        raise DataError(f"no sequence length is left: {reasons}; the shortest needs {needed} purchases in all")
    return requested, lengths, dropped


def check_backtest(prepared_dir: Path, config: settings.SequencesSettings, n_folds: int) -> None:
    """Refuse folds of a backtest that cannot be prepared or have no sequence length.

    This stage is the first that can know, and no member has trained by then.

    Parameters
    ----------
    prepared_dir : Path
        Output of `prepare`.
    config : SequencesSettings
        The lengths.
    n_folds : int
        Setting `evaluate.n_folds`.

    Raises
    ------
    SettingsError
        As `check_folds`; the message names the file of the purchases.
    """
    if n_folds < 2:
        return
    summary = read_json(prepared_dir / "summary.json", SummaryFile)
    history, counts = read_history(prepared_dir, summary.columns)
    transform = read_json(prepared_dir / "scaler.json", Scaler).number_transform
    learned = {"base_rate"}
    past = None if summary.past is None else PastSettings(**summary.past.model_dump(exclude=learned))
    columns = None if summary.columns is None else ColumnSettings(**summary.columns.model_dump(exclude=learned))

    def check(n_rows: int) -> None:
        split = Split(val_split=counts["val"] / n_rows, test_split=counts["test"] / n_rows)
        prepared = prepare_table(history[:n_rows], split.val_split, split.test_split, transform, past, columns)
        choose_lengths(prepared.table, config, split)

    check_folds(n_folds, counts, summary.file, check)


def main() -> None:
    """Run the stage on `params.yaml`."""
    config, n_folds = _choose_settings(settings.load())
    watched = unchanged(INPUTS, (config, n_folds), lambda: _choose_settings(settings.load()))
    with replacing(ARTIFACTS) as new, watched:
        sequences(ARTIFACTS / "prepared", new / "sequences", config, n_folds)


def _choose_settings(found: settings.Settings) -> tuple[settings.SequencesSettings, int]:
    return found.sequences, found.evaluate.n_folds


if __name__ == "__main__":
    with exit_on_error():
        main()
