"""Train the ensembles from the command line, without DVC or git.

The flags are settings of `params.yaml`; what is not given keeps the value that stands there. The stages of the
pipeline run in their order and write into `--artifacts_dir` what `dvc repro` writes into `artifacts/`.
"""

import argparse
import importlib
import signal
from pathlib import Path

from boomerang.base import settings
from boomerang.base.ensembles import ENSEMBLES
from boomerang.base.errors import SettingsError, exit_on_error
from boomerang.base.execution import Execution, warn
from boomerang.base.outputs import replacing
from boomerang.base.ownership import describe_strangers, find_strangers
from boomerang.base.paths import (
    IS_INSTALLED,
    PARAMS_FILE,
    ROOT,
)
from boomerang.base.processes import die_with_parent
from boomerang.base.sources import check_sources, loaded_sources
from boomerang.base.wording import calling_settings
from boomerang.base.yaml_file import read_yaml
from boomerang.commands.train_flags import FLAG_NAMES, apply_flags, build_parser, normalise_flags


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
