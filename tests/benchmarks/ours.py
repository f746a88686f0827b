"""What `train.py` does up to the trained members, with its flags: the plain loop neither evaluates nor describes."""

if __name__ == "__main__":
    from boomerang.base.processes import begin
    from boomerang.base.sources import at_start

    begin()
    at_start()

from pathlib import Path

from boomerang.base.ensembles import ENSEMBLES
from boomerang.base.execution import Execution
from boomerang.base.paths import PARAMS_FILE
from boomerang.base.yaml_file import read_yaml
from boomerang.commands.train_flags import apply_flags, build_parser
from stages.prepare import prepare
from stages.sequences import sequences
from stages.train import train


def main() -> None:
    """Train all members into `--artifacts_dir`."""
    params, _ = read_yaml(PARAMS_FILE)
    flags = build_parser(params).parse_args()
    config, out_dir = apply_flags(params, flags), flags.artifacts_dir
    execution = Execution.from_environment(**{name: getattr(flags, name) for name in Execution.model_fields})
    prepare(Path(config.prepare.data_path), out_dir / "prepared", config.prepare)
    sequences(out_dir / "prepared", out_dir / "sequences", config.sequences)
    train({name: config.training(name) for name in ENSEMBLES}, out_dir / "sequences", out_dir, execution)


if __name__ == "__main__":
    main()
