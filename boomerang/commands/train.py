"""Train the ensembles from the command line, without DVC or git.

The flags are settings of `params.yaml`; what is not given keeps the value that stands there. The stages of the
pipeline run in their order and write into `--artifacts_dir` what `dvc repro` writes into `artifacts/`.
"""

import argparse
import importlib
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from boomerang import __version__
from boomerang.base import settings
from boomerang.base.costs import parse_cost
from boomerang.base.ensembles import ENSEMBLES
from boomerang.base.errors import SettingsError, exit_on_error
from boomerang.base.execution import Execution, warn
from boomerang.base.outputs import replacing
from boomerang.base.ownership import describe_strangers, find_strangers
from boomerang.base.paths import (
    ARTIFACTS,
    IS_INSTALLED,
    PARAMS_FILE,
    ROOT,
    store_dir,
)
from boomerang.base.processes import die_with_parent
from boomerang.base.sources import check_sources, loaded_sources
from boomerang.base.wording import calling_settings
from boomerang.base.yaml_file import read_yaml

# Flag, section of params.yaml, type, function or choices, help. Ranges are checked with those of params.yaml.
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
    ("n_folds", "evaluate", int, "folds of a backtest on shorter histories; 0: none"),
    ("equivalence_margin", "evaluate", float, "difference of log loss below which a verdict calls models equivalent"),
    ("cost_missed", "evaluate", parse_cost, "what a missed return costs, an amount or number: that of the purchase"),
    ("cost_needless", "evaluate", parse_cost, "what acting on a purchase that stays costs, likewise"),
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
    ("label_delay_days", "prepare", float, "days after a purchase until it is certain whether it comes back"),
    ("rate_strength", "prepare", float, "a group's rate of returns is drawn to the shop's as by so many purchases"),
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
FLAG_NAMES = {
    name: f"--{name}"
    for name in (
        *(name for name, *_ in SETTING_FLAGS),
        "seq_lengths",
        "use_gpu",
        "open_returned",
        *Execution.model_fields,
    )
}


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
        # A percent sign in a help text is a placeholder to argparse.
        parser.add_argument(f"--{name}", help=f"{text} (default: {defaults[section][name]})".replace("%", "%%"), **form)
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
        params[section][name] = value
        if section == "train":
            for ensemble in ENSEMBLES:
                params[f"train_{ensemble}"][name] = None
    return settings.validate_settings(params, "settings")


def warn_of_idle(config: settings.Settings, execution: Execution, flags: argparse.Namespace, default_cap: int) -> None:
    """Say which settings and flags do nothing in this training, a line each; `default_cap` is that of params.yaml."""
    execution.warn_of_idle({name: config.training(name) for name in ENSEMBLES})
    lengths, cap = config.sequences.seq_lengths, config.sequences.max_seq_cap
    # In params.yaml every key has a value: only a flag tells that somebody meant it.
    if flags.max_seq_cap is not None and lengths != "auto" and max(lengths) <= min(cap, default_cap):
        warn(f"max_seq_cap {cap} does nothing with seq_lengths up to {max(lengths)}")
    if (flags.cost_missed, flags.cost_needless) != (None, None) and not config.prepare.test_split:
        warn("cost_missed and cost_needless do nothing with test_split 0")
    if flags.equivalence_margin is not None and not config.prepare.test_split:
        warn("equivalence_margin does nothing with test_split 0")
    if flags.rate_strength is not None and config.prepare.past is None:
        warn("rate_strength does nothing without group_column and label_delay_days")


def run(config: settings.Settings, execution: Execution, artifacts_dir: Path) -> None:
    """Run every stage, in the order of `dvc.yaml`, into `artifacts_dir`."""
    # Imported here because torch takes a second to import.
    from boomerang.combining.artifacts import read_metadata
    from boomerang.commands.outcome import describe_training
    from boomerang.model.devices import choose_device
    from boomerang.training.backends import check_precision

    # An installed package brings the stages within.
    stages = importlib.import_module("boomerang.stages.backtest" if IS_INSTALLED else "stages.backtest")
    for ensemble in ENSEMBLES:
        training = config.training(ensemble)
        check_precision(training.precision, choose_device(training.use_gpu))
    _check_is_ours(artifacts_dir)
    with replacing(artifacts_dir) as new:
        stages.run_pipeline(config, execution, new)
        check_sources(loaded_sources())
    print(describe_training(read_metadata(artifacts_dir), artifacts_dir))


def _check_is_ours(folder: Path) -> None:
    """Refuse to replace what happens to have a name of ours, and to lose what was put among ours."""
    theirs = find_strangers(folder)
    if theirs:
        raise SettingsError(
            f"--artifacts_dir must be a new folder or one of an earlier training: "
            f"{describe_strangers(folder, theirs)}; move them away or name another folder"
        )


def main(arguments: list[str], prog: str = "train.py") -> None:
    """Read the flags and train."""
    with calling_settings(FLAG_NAMES), exit_on_error("--debug" in arguments):
        params, faults = read_yaml(PARAMS_FILE)
        settings.validate_settings(params, "params.yaml", faults)
        flags = build_parser(params, prog).parse_args(normalise_flags(arguments))
        if IS_INSTALLED and flags.data_path is None:
            raise SettingsError("--data_path must name your purchases (found none; the sample lies in the repository)")
        # A path in params.yaml is meant from the project's folder, a path on the command line from the caller's.
        params["prepare"]["data_path"] = str(ROOT / params["prepare"]["data_path"])
        execution = Execution.from_environment(**{name: getattr(flags, name) for name in Execution.model_fields})
        # Under nohup it is meant to outlive the shell.
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            die_with_parent()
        default_cap = params["sequences"]["max_seq_cap"]
        config = apply_flags(params, flags)
        warn_of_idle(config, execution, flags, default_cap)
        run(config, execution, flags.artifacts_dir)
