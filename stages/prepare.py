"""Stage `prepare`: the CSV becomes scaled features in three parts."""

if __name__ == "__main__":
    from boomerang.base.processes import begin, die_with_parent
    from boomerang.base.sources import at_start

    begin()
    die_with_parent()
    at_start()

import io
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd

from boomerang.base import settings
from boomerang.base.columns import raw_of
from boomerang.base.ensembles import PARTS
from boomerang.base.errors import about, exit_on_error
from boomerang.base.files import write_atomic, write_json
from boomerang.base.outputs import replacing
from boomerang.base.paths import ARTIFACTS, VALUES_FILE
from boomerang.base.sources import unchanged
from boomerang.base.wording import tell
from boomerang.features.columns import check_columns, tally
from boomerang.features.known_past import NOBODY
from boomerang.features.prepared import PartFigures, printable_name
from boomerang.features.preparing import Prepared, prepare_table, set_aside
from boomerang.reading.purchases import Purchases, read_purchases

# No artifact: the file that the settings name is watched beside these.
INPUTS: list[Path] = []


def prepare(data_path: Path, out_dir: Path, config: settings.PrepareSettings) -> None:
    """Read purchases, split them, scale them with what the training rows show.

    Parameters
    ----------
    data_path : Path
        CSV with `datetime`, `returned`, `number` and the other columns that `config` names.
    out_dir : Path
        Gets `purchases.parquet`, `scaler.json`, `summary.json` and, with categorical columns, `values.parquet`: how
        often purchases of each value came back.
    config : PrepareSettings
        How it is read, split and scaled, and what the past of a purchase is.

    Raises
    ------
    DataError
        If the file is refused, is too short, its training rows all have the same label, none is certain, or nothing can
        be learned from a further column.
    """
    purchases = read_purchases(
        data_path,
        config.datetime_format,
        config.timezone,
        config.on_bad_rows,
        group_column=config.group_column,
        open_returned=config.open_returned,
        columns=config.columns,
    )
    # Before what is left is refused: how much of it was left out may be why.
    for line in purchases.notes:
        tell(f"{data_path}: {line}")
    if config.columns is not None:
        with about(data_path):
            noted = check_columns(purchases.table, config.columns, purchases.categories, config.max_values)
        for line in noted:
            tell(f"{data_path}: {line}")
        purchases = replace(purchases, normalised=[*purchases.normalised, *noted])
    with about(data_path):
        table, left_out = set_aside(purchases.table, config.past)
        write_prepared(replace(purchases, table=table), printable_name(data_path), out_dir, config, left_out)


def write_prepared(
    purchases: Purchases,
    file: str,
    out_dir: Path,
    config: settings.PrepareSettings,
    left_out: dict[str, int] | None = None,
) -> None:
    """Write what `prepare` writes of purchases, of certain labels, that were read from a file of the name `file`.

    `left_out` counts those that `set_aside` has taken out.

    Raises
    ------
    DataError
        As `prepare_table`.
    """
    reading = {"datetime_format": config.datetime_format, "timezone": config.timezone}
    # Kept where there is one: files without offsets leave the summary that they always left.
    reading |= {"offset": purchases.offset} if purchases.offset else {}
    prepared = prepare_table(
        purchases.table, config.val_split, config.test_split, config.number_transform, config.past, config.columns
    )
    _tell_constants(prepared, file)
    _write_table(out_dir / "purchases.parquet", prepared.table)
    write_json(out_dir / "scaler.json", prepared.scaler.as_dict())
    # What only a history with open labels, groups, a delay or further columns has.
    counts: dict[str, Any] = {}
    if config.open_returned or config.past:
        counts["set_aside"] = left_out or {}
    if prepared.rules:
        counts |= {"past": prepared.rules.model_dump(), "embargo": _count_embargo(prepared.table)}
    if config.group_column:
        groups = prepared.table["group"]
        counts["groups"] = {"n_groups": int(groups[groups >= 0].nunique()), "nobody": int((groups == NOBODY).sum())}
    if prepared.columns:
        counts["columns"] = prepared.columns.model_dump()
    if prepared.columns and prepared.columns.categorical:
        values = tally(prepared.table, prepared.columns, purchases.categories)
        _write_table(out_dir / VALUES_FILE, values)
        n_values = values["column"].value_counts()
        until = prepared.table["datetime"].iloc[-1].strftime("%Y-%m-%dT%H:%M:%S")
        counts["values"] = {"n_values": {name: int(n) for name, n in n_values.items()}, "until": until}
    write_json(
        out_dir / "summary.json",
        {
            "file": file,
            "normalised": purchases.normalised,
            "dropped": purchases.dropped,
            "repeats": asdict(purchases.repeats),
            "warnings": purchases.repeats.warnings,
            "reading": reading,
            "split": {"val_split": config.val_split, "test_split": config.test_split},
            "parts": _describe_parts(prepared.table),
            **counts,
        },
    )


def _tell_constants(prepared: Prepared, file: str) -> None:
    """Say of which numeric columns nothing can be learned."""
    of_train = prepared.table[prepared.table["part"] == "train"]
    for name in prepared.columns.numeric if prepared.columns else ():
        if of_train[raw_of(name)].nunique() < 2:
            tell(f"{file}: {name}: no two values in the training purchases, so nothing is learned of it")


def _write_table(path: Path, table: pd.DataFrame) -> None:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_atomic(path, buffer.getvalue())


def _count_embargo(table: pd.DataFrame) -> dict[str, int]:
    """Purchases before the first of `val` and of `test` whose label was not certain by then."""
    is_held, is_val = (table["part"] == "embargo").to_numpy(), (table["part"] == "val").to_numpy()
    n_first = int(is_held[: is_val.argmax()].sum())
    return {"train": n_first, "val": int(is_held.sum()) - n_first}


def _describe_parts(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Rows, share of returns, first and last datetime of each part that has rows."""
    parts = {}
    for part in PARTS:
        rows = table[table["part"] == part]
        if len(rows):
            parts[part] = PartFigures.of(rows).model_dump()
    return parts


def main() -> None:
    """Run the stage on `params.yaml`."""
    config = settings.load().prepare
    watched = unchanged([*INPUTS, Path(config.data_path)], config, lambda: settings.load().prepare)
    with replacing(ARTIFACTS) as new, watched:
        prepare(Path(config.data_path), new / "prepared", config)


if __name__ == "__main__":
    with exit_on_error():
        main()
