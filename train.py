"""Train the ensembles from the command line, without DVC or git: the code is in `boomerang/commands/train.py`."""

if __name__ == "__main__":
    from boomerang.base.processes import begin
    from boomerang.base.sources import at_start

    begin()
    at_start()

import sys

from boomerang.commands.train import main

if __name__ == "__main__":
    main(sys.argv[1:], prog="train.py")
