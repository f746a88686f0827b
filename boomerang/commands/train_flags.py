"""The flags of `train.py`: settings of `params.yaml`, and how to carry them out."""

import argparse
import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from boomerang import __version__
from boomerang.base import settings
from boomerang.base.costs import parse_cost
from boomerang.base.ensembles import ENSEMBLES
from boomerang.base.errors import SettingsError
from boomerang.base.execution import Execution
from boomerang.base.paths import ARTIFACTS, ROOT, store_dir


def parse_names(text: str) -> list[str]:
    """`price,"weight, kg"` as names: commas part them, quotes keep one together; nothing is no name."""
    try:
        names = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise argparse.ArgumentTypeError(f"must be names like price,size (found {text!r:.100}: {error})") from None
    return [name.strip() for name in names if name.strip() or "," in text]


# Flag, section of params.yaml, type, function or choices, help. Ranges are checked with those of params.yaml. Trees and
# ensembles have some keys in common, so the flags of the trees are called otherwise.
SETTING_FLAGS = (
    ("data_path", "prepare", str, "CSV or gzipped CSV with the columns datetime, returned, number"),
    ("epochs", "train", int, "passes over the training windows"),
    ("batch_size", "train", int, "windows per step"),
    ("lr", "train", float, "learning rate of Adam"),
    ("hidden_size", "train", int, "width of the LSTM's state"),
    ("num_layers", "train", int, "LSTM layers on top of each other"),
    ("val_split", "prepare", float, "share of the purchases to validate on: those before the test purchases"),
    ("test_split", "prepare", float, "share of the purchases kept for testing: the last ones"),
    ("max_seq_cap", "sequences", int, "no sequence length above it is used"),
    ("grad_accum_steps", "train", int, "batches whose gradients are summed before a step"),
    ("trees_rounds", "train_trees", int, "boosted trees grown one after the other, at most"),
    ("trees_lr", "train_trees", float, "share of each tree's answer that is taken"),
    ("trees_leaves", "train_trees", int, "leaves of each tree, at most"),
    ("trees_early_stopping_patience", "train_trees", int, "rounds without a better loss that end it; 0: never"),
    ("n_folds", "evaluate", int, "folds of a backtest on shorter histories; 0: none"),
    ("equivalence_margin", "evaluate", float, "difference of log loss below which a verdict calls models equivalent"),
    ("cost_missed", "evaluate", parse_cost, "what a missed return costs, an amount or number: that of the purchase"),
    ("cost_needless", "evaluate", parse_cost, "what acting on a purchase that stays costs, likewise"),
    ("shown_columns", "evaluate", parse_names, "categorical columns whose values the report shows: name,name"),
    ("seed", "train", int, "seed of weights and order"),
    (
        "early_stopping_patience",
        "train",
        int,
        "epochs without a better validation loss after which a member stops; 0: never",
    ),
    ("lr_schedule", "train", ("constant", "cosine"), "cosine: the learning rate falls from epoch to epoch"),
    ("precision", "train", ("fp32", "fp16", "bf16"), "number format of the matrix products; fp16 needs a GPU"),
    ("group_column", "prepare", str, "a further column, such as customer: a history for each of its values"),
    ("numeric_columns", "prepare", parse_names, "further columns of numbers, such as price: name,name"),
    ("categorical_columns", "prepare", parse_names, "further columns of text, such as product,country"),
    ("max_values", "prepare", int, "different values of a categorical column, at most"),
    ("label_delay_days", "prepare", float, "days after a purchase until it is certain whether it comes back"),
    ("rate_strength", "prepare", float, "rates of groups and values are drawn to the shop's as by so many purchases"),
    ("number_transform", "prepare", ("asinh", "none"), "applied to number before scaling"),
    ("datetime_format", "prepare", str, "strptime pattern of dates that are not ISO 8601, like '%d/%m/%Y %H:%M'"),
    ("timezone", "prepare", str, "IANA zone to whose local time datetimes with an offset are converted"),
    ("on_bad_rows", "prepare", ("error", "drop"), "refuse a file with bad rows, or leave them out"),
)
EXECUTION_FLAGS = (
    ("num_workers", "processes per member that load batches; 0 loads in the member's own"),
    ("prefetch_factor", "batches each loading process fetches ahead"),
    ("jobs", "members trained side by side"),
)

# What a person calls a setting here.
OTHER_FLAGS = ("seq_lengths", "use_gpu", "open_returned", *Execution.model_fields)


def _key(flag: str) -> str:
    """The key of params.yaml that a flag sets."""
    return flag.removeprefix("trees_")


FLAG_NAMES = {
    f"train_trees.{_key(name)}": f"--{name}" for name, section, *_ in SETTING_FLAGS if section == "train_trees"
}
FLAG_NAMES |= {name: f"--{name}" for name in (*(name for name, *_ in SETTING_FLAGS), *OTHER_FLAGS)}


def _plain(kind: type) -> Callable[[str], Any]:
    """`kind` of text as a person writes numbers: Python also takes `1_0` and digits of other scripts."""

    def parse(text: str) -> Any:
        if "_" in text or not text.isascii():
            raise ValueError(text)
        return kind(text)

    # argparse names it in its message.
    parse.__name__ = kind.__name__
    return parse


def build_parser(defaults: dict[str, Any], prog: str = "train.py") -> argparse.ArgumentParser:
    """The command line; `defaults` is the content of `params.yaml`."""
    parser = argparse.ArgumentParser(
        prog=prog, description="Train the ensembles on a purchase history.", allow_abbrev=False
    )
    for name, section, kind, text in SETTING_FLAGS:
        form: dict[str, Any] = {"type": kind}
        if isinstance(kind, tuple):
            form = {"choices": kind}
        elif kind in (int, float):
            form = {"type": _plain(kind)}
        shown = f"{text} (default: {defaults[section][_key(name)]})"
        # A percent sign in a help text is a placeholder to argparse.
        parser.add_argument(f"--{name}", help=shown.replace("%", "%%"), **form)
    lengths = defaults["sequences"]["seq_lengths"]
    shown = lengths if isinstance(lengths, str) else ",".join(map(str, lengths))
    parser.add_argument(
        "--seq_lengths",
        nargs="+",
        metavar="L",
        help=f'past purchases each member reads: 2,3,5 or "2 3 5" or auto, which grows them with the data '
        f"(default: {shown})",
    )
    parser.add_argument(
        "--open_returned",
        action="store_true",
        default=None,
        help=f"returned may be empty: not known yet (default: {defaults['prepare']['open_returned']})",
    )
    parser.add_argument(
        "--use_gpu",
        action="store_true",
        default=None,
        help=f"train on CUDA; on the CPU where there is none (default: {defaults['train']['use_gpu']})",
    )
    for name, text in EXECUTION_FLAGS:
        default = Execution.model_fields[name].default if name != "jobs" else "one per core"
        # Existing command lines spell it so.
        spellings = [f"--{name}", "--prefatch_factor"] if name == "prefetch_factor" else [f"--{name}"]
        parser.add_argument(*spellings, type=_plain(int), dest=name, help=f"{text} (default: {default})")
    parser.add_argument(
        "--pin_memory",
        action="store_true",
        default=None,
        help="copy batches to the GPU through page-locked memory (default: False)",
    )
    parser.add_argument("--artifacts_dir", type=Path, default=ARTIFACTS, help="output folder (default: artifacts)")
    parser.add_argument(
        "--quiet",
        action="store_true",
        default=None,
        help="no line per epoch and no table of progress; verdicts and figures are printed (default: False)",
    )
    parser.add_argument("--store", type=Path, help=f"folder of what earlier runs trained (default: {_shown_store()})")
    parser.add_argument(
        "--no_store",
        action="store_true",
        default=None,
        help="train every member anew and keep nothing for another run (default: False)",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error (default: False)")
    parser.add_argument("--version", action="version", version=f"boomerang {__version__}")
    return parser


def _shown_store() -> str:
    """Where the member store lies by default, in words."""
    folder = store_dir()
    return f"{folder.relative_to(ROOT)} beside train.py" if folder.is_relative_to(ROOT) else str(folder)


def normalise_flags(arguments: list[str]) -> list[str]:
    """`--batch-size` as `--batch_size`; values are left as they are."""
    return [re.sub(r"^--[a-z-]+", lambda flag: "--" + flag[0][2:].replace("-", "_"), text) for text in arguments]


def parse_lengths(words: list[str]) -> list[int] | str:
    """`["2,3", "5"]` as `[2, 3, 5]`, and `["auto"]` as `auto`.

    Raises
    ------
    SettingsError
        If a word is neither.
    """
    if words == ["auto"]:
        return "auto"
    found = " ".join(words)
    try:
        return [_plain(int)(number) for number in re.split(r"[,\s]+", found.strip(" ,[]"))]
    except ValueError:
        raise SettingsError(f"--seq_lengths must be whole numbers like 2,3,5 or auto (found {found!r})") from None


def apply_flags(params: dict[str, Any], flags: argparse.Namespace) -> settings.Settings:
    """The settings of `params` with every flag that was given in place of its value; a flag means every ensemble."""
    given = {(section, name): getattr(flags, name) for name, section, _, _ in SETTING_FLAGS}
    given["train", "use_gpu"], given["prepare", "open_returned"] = flags.use_gpu, flags.open_returned
    if flags.seq_lengths is not None:
        given["sequences", "seq_lengths"] = parse_lengths(flags.seq_lengths)
    for (section, name), value in given.items():
        if value is None:
            continue
        params[section][_key(name)] = value
        if section == "train":
            for ensemble in ENSEMBLES:
                params[f"train_{ensemble}"][name] = None
    return settings.validate_settings(params, "settings")
