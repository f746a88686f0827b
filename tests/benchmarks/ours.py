"""What `train.py` does up to the trained members, with its flags: the plain loop neither evaluates nor describes."""

if __name__ == "__main__":
    from stages.lib.processes import begin
    from stages.lib.sources import at_start

    begin()
    at_start()

from stages.lib.execution import Execution
from stages.lib.yaml_file import read_yaml
from stages.whole import train_stages
from train import ROOT, apply_flags, build_parser


def main() -> None:
    """Train all members into `--artifacts_dir`."""
    params, _ = read_yaml(ROOT / "params.yaml")
    flags = build_parser(params).parse_args()
    config = apply_flags(params, flags)
    execution = Execution.from_environment(ROOT, **{name: getattr(flags, name) for name in Execution.model_fields})
    train_stages(config, execution, flags.artifacts_dir)


if __name__ == "__main__":
    main()
