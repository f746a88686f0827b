"""Predict from the command line whether the next purchase, or one just made, will come back."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boomerang.base.costs import find_no_column
from boomerang.base.errors import DataError, SettingsError, about, exit_on_error
from boomerang.base.files import writing
from boomerang.base.links import is_cached
from boomerang.base.paths import ARTIFACTS
from boomerang.base.wording import calling_settings, counted, tell
from boomerang.combining.decisions import Costs, Decision, describe_threshold, show_threshold
from boomerang.commands.predict_flags import (
    NAMES,
    build_parser,
    choose_names,
    choose_rule,
    names_that_decide,
    parse_weights,
)

if TYPE_CHECKING:
    from boomerang.combining.metadata import Metadata
    from boomerang.features.calendar import Table
    from boomerang.reading.purchases import Purchases
    from boomerang.serving.predictor import Predictor


def predict(flags: argparse.Namespace) -> None:
    """Print, or write, what the flags ask for."""
    names = choose_names(flags)
    rule = choose_rule(flags, names)
    threshold = rule.threshold if isinstance(rule, Costs) else rule
    if threshold is not None and (meaning := describe_threshold(threshold)) and (flags.json or flags.csv is not None):
        tell(f"note: the threshold {show_threshold(threshold)} {meaning}")
    # Imported here because torch takes a second to import.
    from boomerang.combining.artifacts import read_metadata
    from boomerang.commands.outcome import describe_training
    from boomerang.model.devices import choose_device
    from boomerang.serving.description import format_prediction, to_object
    from boomerang.serving.predictor import Predictor

    artifacts_dir = flags.artifacts_dir or ARTIFACTS
    metadata = read_metadata(artifacts_dir)
    if flags.describe:
        content = metadata.model_dump()
        print(json.dumps(content, indent=2) if flags.json else describe_training(metadata, artifacts_dir))
        return
    numeric = metadata.columns.numeric if metadata.columns else ()
    if isinstance(rule, Costs) and (fault := find_no_column((rule.missed, rule.needless), numeric)):
        raise SettingsError(f"cost_missed and cost_needless {fault}")
    device = choose_device(flags.use_gpu)
    if flags.use_gpu and device.type == "cpu":
        tell("--use_gpu: no CUDA device found, predicting on the CPU")
    if flags.csv is not None:
        score_csv(flags, Predictor(metadata, artifacts_dir, names, device), names, rule)
        return
    table, n_history = read_history(flags, metadata)
    tell_doubts(metadata, artifacts_dir, names)
    predictor = Predictor(metadata, artifacts_dir, names, device)
    weights = None if flags.weights is None else parse_weights(flags.weights)
    with nullcontext() if flags.history_csv is None else about(flags.history_csv):
        found = {name: asdict(predictor.predict(table, name, weights)) for name in names}
    decision = decide(rule, table)
    if flags.json:
        objects = [to_object(name, prediction, flags.next, decision) for name, prediction in found.items()]
        print(json.dumps(objects[0] if len(objects) == 1 else {"predictions": objects}))
    else:
        for name, prediction in found.items():
            print(format_prediction(prediction, name, flags.next, n_history, decision))


def decide(rule: float | Costs | None, table: "Table") -> Decision | None:
    """How the purchase in question is decided; `table` is the one that `read_history` returns."""
    if not isinstance(rule, Costs):
        return None if rule is None else Decision(rule)
    import numpy as np

    from boomerang.base.columns import amount_of
    from boomerang.combining.row_costs import RowCosts

    columns = {amount_of(name): np.asarray(table[amount_of(name)])[-1:] for name in rule.columns}
    for name, (value,) in zip(rule.columns, columns.values(), strict=True):
        if np.isnan(value):
            tell(f"note: {rule.words}, but this one has no {name}: nothing is decided about it")
            return None
        if value < 0:
            tell(f"note: the {name} of the purchase, {value:g}, counts as a cost without its sign")
    costs = RowCosts.of(rule, columns, 1)
    threshold, missed, needless = (float(of_one[0]) for of_one in (costs.thresholds, costs.missed, costs.needless))
    return Decision(threshold, missed, needless, is_own=bool(rule.columns))


def read_history(flags: argparse.Namespace, metadata: "Metadata") -> tuple["Table", int]:
    """What members read of the history, as `Predictor.predict` takes it, and how many past purchases it holds."""
    from boomerang.commands.known_history import ask_of_columns, select_history
    from boomerang.reading.asked import append_purchase, parse_labels, parse_purchase
    from boomerang.reading.purchases import read_purchases

    if flags.history is not None:
        with about("--history"):
            labels = parse_labels(flags.history)
        tell_model(flags, metadata)
        return {"returned": labels}, len(labels)
    reading, columns = metadata.reading, metadata.columns if flags.next_datetime is not None else None
    if columns is None and (flags.next_column or flags.rates):
        raise SettingsError("--next_column and --rates are for a training that reads further columns")
    with telling_model(flags, metadata, flags.history_csv):
        purchases = read_purchases(flags.history_csv, **reading.model_dump(), **_past_of(metadata), columns=columns)
    for note in purchases.notes:
        tell(f"{flags.history_csv}: {note}")
    how, made = (reading.datetime_format, reading.timezone), None
    table = purchases.table
    if columns is not None:
        table, made = ask_of_columns(flags, metadata, columns, purchases)
    elif flags.next_datetime is not None:
        made = parse_purchase(table, flags.next_datetime, flags.next_number, *how)
    tell_model(flags, metadata, flags.history_csv, purchases)
    if metadata.past is not None:
        table, n_history = select_history(flags, metadata.past, table, made, purchases.group_values, how)
    else:
        for name in ("group", "now"):
            if getattr(flags, name) is not None:
                raise SettingsError(f"--{name} is for a training with a group column or a label delay")
        # Of a purchase whose label is not known yet, nothing is known to this model.
        table = table[~table["is_open"]].drop(columns="is_open")
        n_history = len(table)
        if made is not None:
            table = append_purchase(table, made, flags.next_datetime, reading.datetime_format)
    with about(flags.history_csv):
        return table.assign(**metadata.scale(table, columns is not None)), n_history


def _past_of(metadata: "Metadata") -> dict[str, Any]:
    """How a file is read for a prediction besides its datetimes: with groups as in training; labels may be open."""
    return {"group_column": metadata.past and metadata.past.group_column, "open_returned": True}


def tell_model(
    flags: argparse.Namespace, metadata: "Metadata", path: Path | None = None, purchases: "Purchases | None" = None
) -> None:
    """Say on stderr which model answers, where it may be another than the one that is meant.

    Nothing is said where the caller names the model, or the file is plainly that of the training, by its name and by
    what it begins with, and nothing speaks against the model: a script that does either hears of it only when something
    is wrong.

    Parameters
    ----------
    flags : Namespace
        Of the command line.
    metadata : Metadata
        Of the model.
    path, purchases : Path and Purchases, optional
        The history, where it is a file.
    """
    from boomerang.commands.known_history import is_of_one_group
    from boomerang.features.prepared import printable_name
    from boomerang.serving.provenance import begins_with_training, describe_source, find_mismatch

    source, folder = metadata.source, flags.artifacts_dir or ARTIFACTS
    mismatch = None
    # The past of one group is no history of a shop, and has far fewer purchases than one.
    if purchases is not None and not is_of_one_group(metadata.past, purchases):
        # Labels that are open now may have been left out of the training.
        mismatch = find_mismatch(source, purchases.table["datetime"][~purchases.table["is_open"]])
    if mismatch:
        tell(
            f"warning: {path} does not look like the shop that the model in {folder} learned from "
            f"({describe_source(source)}): {mismatch}; --artifacts_dir names another model"
        )
        return
    is_called_so = path is not None and printable_name(path) == source.file
    is_same = is_called_so and purchases is not None and begins_with_training(source, purchases.table)
    if flags.artifacts_dir is None and not is_same:
        tell(
            f"note: the model in {folder} answers, which learned from {describe_source(source)}; --artifacts_dir names "
            f"another"
        )


@contextmanager
def telling_model(flags: argparse.Namespace, metadata: "Metadata", path: Path) -> Iterator[None]:
    """Say which model answers where the file at `path` is refused in the body: it is read as in that one's training."""
    try:
        yield
    except DataError:
        tell_model(flags, metadata, path)
        raise


def tell_doubts(metadata: "Metadata", artifacts_dir: Path, names: list[str]) -> None:
    """Say on stderr where the evaluation of the training speaks against a prediction by `names`."""
    from boomerang.commands.outcome import list_doubts

    for doubt in list_doubts(metadata, artifacts_dir, names):
        tell(f"note: {doubt}")


def score_csv(flags: argparse.Namespace, predictor: "Predictor", names: list[str], rule: float | Costs | None) -> None:
    """Score each purchase of the file of `--csv`, write as it goes, show how far it is on a terminal."""
    from rich.console import Console
    from rich.progress import track

    from boomerang.commands.known_history import take_counts
    from boomerang.reading.purchases import read_purchases
    from boomerang.serving.file_scoring import CHUNK, score_rows, to_csv, to_json

    # A link stays one: what it leads to is written, unless DVC keeps that as another's content.
    output = flags.output and flags.output.resolve()
    if output is not None and is_cached(output):
        output = flags.output.absolute()
    if output is not None and output.exists() and not output.is_file():
        raise SettingsError(f"--output must be a new file or one to replace (found {flags.output}, which is no file)")
    if output is not None and output == flags.csv.resolve():
        raise SettingsError(f"--output must not be the file that is read (found {flags.output})")
    metadata = predictor.metadata
    with telling_model(flags, metadata, flags.csv):
        columns = metadata.columns if predictor.knows_purchase else None
        how = {**metadata.reading.model_dump(), **_past_of(metadata)}
        purchases = read_purchases(flags.csv, **how, keep_others=True, columns=columns)
    for note in purchases.notes:
        tell(f"{flags.csv}: {note}")
    if columns is not None:
        purchases = take_counts(flags, metadata, columns, purchases)
    elif flags.rates is not None:
        raise SettingsError("--rates is for a training that reads further columns, and what knows the purchase")
    tell_model(flags, metadata, flags.csv, purchases)
    tell_doubts(metadata, flags.artifacts_dir or ARTIFACTS, names)
    deciding = names_that_decide(rule, names)
    if isinstance(rule, Costs) and rule.columns:
        tell_own_costs(flags.csv, rule, purchases, deciding, names)
    encode = to_json if flags.json else to_csv
    tables = score_rows(predictor, purchases, names, rule, deciding=deciding, by_risk=flags.sort == "risk")
    console = Console(stderr=True)
    n_chunks = -(-len(purchases.table) // CHUNK)
    bar = track(tables, "scoring", n_chunks, console=console, disable=not console.is_terminal, transient=True)
    with about(flags.csv), nullcontext(sys.stdout.buffer.write) if output is None else writing(output) as write:
        for number, scored in enumerate(bar):
            write(encode(scored, number == 0))


def tell_own_costs(path: Path, rule: Costs, purchases: "Purchases", deciding: list[str], names: list[str]) -> None:
    """Say on stderr what it means that a mistake about each purchase has a cost of its own."""
    from boomerang.base.columns import amount_of

    rest = [name for name in names if name not in deciding]
    tells = "tells" if len(rest) == 1 else "tell"
    alone = (
        f"; {', '.join(deciding)} alone decides: {', '.join(rest)} {tells} of a purchase before it is made"
        if rest
        else ""
    )
    tell(f"note: {rule.words}, so each purchase has its own threshold{alone}")
    for name in rule.columns:
        amounts = purchases.table[amount_of(name)]
        if n_blank := int(amounts.isna().sum()):
            tell(f"note: {path}: {counted(n_blank, 'purchase')} without {name}: nothing is decided about them")
        if n_negative := int((amounts < 0).sum()):
            tell(f"note: {path}: {counted(n_negative, name)} below 0 count as costs without their sign")


def main(arguments: list[str], prog: str = "predict.py") -> None:
    """Read the flags and predict."""
    with calling_settings(NAMES), exit_on_error("--debug" in arguments):
        predict(build_parser(prog).parse_args(arguments))
