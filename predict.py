"""Predict from the command line whether a purchase will come back: the code is in `boomerang/commands/predict.py`."""

if __name__ == "__main__":
    from boomerang.base.processes import begin

    begin()

import sys

from boomerang.commands.predict import main

if __name__ == "__main__":
    main(sys.argv[1:], prog="predict.py")
