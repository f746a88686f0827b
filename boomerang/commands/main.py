"""The command `boomerang` of an installed package: `boomerang train` and `boomerang predict`."""

import sys

from boomerang import __version__
from boomerang.base.errors import SettingsError, exit_on_error
from boomerang.base.processes import begin
from boomerang.base.sources import at_start

USAGE = """usage: boomerang {train,predict} ...

  train    train the ensembles on a purchase history (boomerang train --help)
  predict  predict whether a purchase will come back (boomerang predict --help)"""


def main() -> None:
    """Run the command that the first argument names, with the flags of `train.py` or `predict.py`."""
    begin()
    verb, arguments = "".join(sys.argv[1:2]), sys.argv[2:]
    # What takes long to import reads the environment that `begin` has fixed, and is imported after it.
    if verb == "train":
        at_start()
        from boomerang.commands import train

        train.main(arguments, prog="boomerang train")
    elif verb == "predict":
        from boomerang.commands import predict

        predict.main(arguments, prog="boomerang predict")
    else:
        with exit_on_error():
            _answer(verb)


def _answer(verb: str) -> None:
    """Print what was asked for instead of a command; raises SettingsError if that is nothing that there is."""
    if verb == "--version":
        print(f"boomerang {__version__}")
    elif verb in ("-h", "--help"):
        print(USAGE)
    else:
        raise SettingsError(f"a command is needed: train or predict (found {verb!r}; boomerang --help)")
