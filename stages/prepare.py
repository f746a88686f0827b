"""Stage `prepare`: the CSV becomes scaled features in three parts."""

if __name__ == "__main__":
    from boomerang.base.processes import begin, die_with_parent
    from boomerang.base.sources import at_start

    begin()
    die_with_parent()
    at_start()

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from boomerang.base import settings
from boomerang.base.ensembles import PARTS
from boomerang.base.errors import about, exit_on_error
from boomerang.base.files import write_atomic, write_json
from boomerang.base.outputs import replacing
from boomerang.base.paths import ARTIFACTS
from boomerang.base.sources import unchanged
from boomerang.base.wording import tell
from boomerang.features.prepared import PartFigures, printable_name
from boomerang.features.preparing import prepare_table
from boomerang.reading.purchases import Purchases, read_purchases

# No artifact: the file that the settings name is watched beside these.
INPUTS: list[Path] = []


def prepare(data_path: Path, out_dir: Path, config: settings.PrepareSettings) -> None:
    """Read purchases, split them, scale them with what the training rows show.

    Parameters
    ----------
    data_path : Path
        CSV with `datetime`, `returned`, `number`.
    out_dir : Path
        Gets `purchases.parquet`, `scaler.json` and `summary.json`.
    config : PrepareSettings
        Split and number transform.

    Raises
    ------
    DataError
        If the file is refused, is too short, or its training rows all have the same label.
    """
    purchases = read_purchases(data_path, config.datetime_format, config.timezone, config.on_bad_rows)
    for line in purchases.notes:
        tell(f"{data_path}: {line}")
    with about(data_path):
        write_prepared(purchases, printable_name(data_path), out_dir, config)


def write_prepared(purchases: Purchases, file: str, out_dir: Path, config: settings.PrepareSettings) -> None:
    """Write what `prepare` writes of purchases that were read from a file of the name `file`.

    Raises
    ------
    DataError
        As `prepare_table`.
    """
    reading = {"datetime_format": config.datetime_format, "timezone": config.timezone}
    # Kept where there is one: files without offsets leave the summary that they always left.
    reading |= {"offset": purchases.offset} if purchases.offset else {}
    table, scaler = prepare_table(purchases.table, config.val_split, config.test_split, config.number_transform)
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    write_atomic(out_dir / "purchases.parquet", buffer.getvalue())
    write_json(out_dir / "scaler.json", scaler.as_dict())
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
            "parts": _describe_parts(table),
        },
    )


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
