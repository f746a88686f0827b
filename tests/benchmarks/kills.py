"""Kills a training again and again with SIGKILL and looks whether the next run makes up for it.

Each round starts a training into an empty folder with an empty member store, kills its whole process group at a random
moment, runs the same command again and asks: are the artifacts those of an undisturbed run, byte for byte, and was no
finished epoch trained twice? `python -m tests.benchmarks.kills --help` tells more; a short form is among the tests.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EPOCH = re.compile(r"^(time|simple|context) +L=(\d+) +epoch (\d+) ", re.MULTILINE)


def start(arguments: list[str], folder: Path) -> subprocess.Popen:
    """`train.py` into `folder`, its stderr into `folder`/log."""
    command = [sys.executable, str(ROOT / "train.py"), *arguments]
    command += ["--artifacts_dir", str(folder / "artifacts"), "--store", str(folder / "store")]
    environment = {name: value for name, value in os.environ.items() if name != "BOOMERANG_NO_STORE"}
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True, env=environment, cwd=folder
        )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` by its name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def finish(arguments: list[str], folder: Path) -> dict[str, bytes]:
    """Run to the end; the artifacts."""
    with start(arguments, folder) as process:
        if process.wait() != 0:
            raise RuntimeError((folder / "log").read_text())
    return contents(folder / "artifacts")


def check_kill(arguments: list[str], folder: Path, seconds: float, expected: dict[str, bytes]) -> str:
    """Kill a run after `seconds` and run it again; what happened, in a line.

    Raises
    ------
    AssertionError
        If the artifacts differ from `expected`, or an epoch was trained twice.
    """
    folder.mkdir()
    with start(arguments, folder) as process:
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
    before = EPOCH.findall((folder / "log").read_text())
    assert finish(arguments, folder) == expected, f"other artifacts after a kill at {seconds:.2f} s"
    epochs = EPOCH.findall((folder / "log").read_text())
    assert len(epochs) == len(set(epochs)), f"trained twice after a kill at {seconds:.2f} s: {sorted(epochs)}"
    return f"killed after {seconds:5.2f} s, {len(before):3} epochs done; afterwards {len(epochs) - len(before)} more"


def main() -> None:
    """Kill as often as asked for, and report each time."""
    parser = argparse.ArgumentParser(description="Kill trainings and check that the next run makes up for it.")
    parser.add_argument("--kills", type=int, default=20, help="how often (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument("flags", nargs="*", help="flags of train.py, after --")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        reference = Path(name) / "reference"
        reference.mkdir()
        started = time.monotonic()
        expected = finish(options.flags, reference)
        seconds = time.monotonic() - started
        print(f"undisturbed: {seconds:.2f} s, {len(expected)} files")
        for number in range(options.kills):
            moment = draw.uniform(0, seconds)
            print(
                f"{number + 1:2}  {check_kill(options.flags, Path(name) / str(number), moment, expected)}", flush=True
            )
    print("all artifacts byte-identical, no epoch trained twice")


if __name__ == "__main__":
    main()
