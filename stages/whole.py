"""The stages in their order, as one process: what `dvc repro` does in several."""

from pathlib import Path

from stages.backtest import backtest
from stages.evaluate import evaluate
from stages.lib.execution import Execution
from stages.lib.layout import ENSEMBLES
from stages.lib.settings import Settings
from stages.meta import meta
from stages.prepare import prepare
from stages.sequences import sequences
from stages.train import train


def train_stages(config: Settings, execution: Execution, out_dir: Path) -> None:
    """Run the stages up to the trained members."""
    prepare(Path(config.prepare.data_path), out_dir / "prepared", config.prepare)
    sequences(out_dir / "prepared", out_dir / "sequences", config.sequences)
    configs = {ensemble: config.training(ensemble) for ensemble in ENSEMBLES}
    train(configs, out_dir / "sequences", out_dir, execution)


def run_stages(config: Settings, execution: Execution, out_dir: Path) -> None:
    """Run every stage into `out_dir`; raises what the stages raise."""
    train_stages(config, execution, out_dir)
    meta(out_dir / "prepared", out_dir / "sequences", out_dir, out_dir)
    backtest(out_dir / "prepared", out_dir, config, execution, run_stages)
    evaluate(out_dir / "prepared", out_dir, out_dir)
