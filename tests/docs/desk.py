"""A folder in which the steps of a page are carried out, and how what they print is compared with the page.

A page is carried out on the committed artifacts where they are here and as `dvc.lock` records them, else on those of a
small training, whose figures are others.
"""

import contextlib
import doctest
import importlib
import io
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import traceback

import pandas as pd

from boomerang.commands import predict, train
from tests.docs.support import STEPS, committed_artifacts, program_of, split_line
from tests.support import ROOT

# Programs that only read, or write into the folder of the page: they run as they stand.
SHELL = {"head", "tail", "cat", "cut", "ls", "mkdir", "cp", "wc", "grep"}
GENERATORS = {"python data/sample.py", "python data/customers.py"}
# What makes a training short; flags given twice count as the last says.
SHORT = [
    *("--epochs", "1", "--hidden_size", "2", "--num_layers", "1", "--batch_size", "4096"),
    *("--test_split", "0", "--jobs", "1", "--no_store"),
]
# Flags that leave the members those of the default settings.
NEUTRAL = {"--data_path", "--datetime_format", "--timezone", "--on_bad_rows", "--artifacts_dir", "--quiet", "--jobs"}
# Files that a page speaks of and does not make.
GIVEN = {
    "bad.csv": "datetime,returned,number\n2025-01-01,no,3\n2025-01-02,yes,4\n" + "2025-01-03,perhaps,5\n" * 5,
    "british.csv": "datetime,returned,number\n03/04/2024,no,3\n",
}


class Desk:
    """A folder like a clone of the repository, in which the steps of a page are carried out one after the other."""

    def __init__(self, folder, small):
        self.folder, self.committed, self.globals = folder, committed_artifacts(), {"__name__": "page"}
        for name in ("train.py", "predict.py", "boomerang", "stages", "tools", "params.yaml"):
            (folder / name).symlink_to(ROOT / name)
        shutil.copytree(ROOT / "data", folder / "data", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "artifacts").symlink_to(self.committed or small())
        # Folders whose predictions are those of the committed artifacts.
        self.exact = {"artifacts"} if self.committed else set()
        # And those of the sequence lengths that a page shows, trained too shortly for its figures.
        self.alike = set()
        # The folder whose members scored each file of `--output`.
        self.scored_by = {}
        for name, content in GIVEN.items():
            (folder / name).write_text(content)

    def carry_out(self, step):
        """What the step printed, its exit code, and how far what the page shows must agree: exact, shape, nothing."""
        text = step.text.replace("/tmp/", f"{self.folder}/tmp/")
        for name in re.findall(r"/tmp/(\w+)/", step.text):
            (self.folder / "tmp" / name).mkdir(parents=True, exist_ok=True)
        with contextlib.chdir(self.folder):
            if step.kind == "console":
                found, code, agree = self._run_line(text, step)
            else:
                found, code, agree = self._run_python(text, step)
        return found.replace(f"{self.folder}/tmp/", "/tmp/"), code, agree

    def _run_line(self, text, step):
        program = program_of(text)
        if program == "python train.py":
            return self._train(shlex.split(text)[2:], step)
        if program == "python predict.py":
            arguments = shlex.split(text)[2:]
            found, code = call(predict.main, arguments)
            if "--output" in arguments:
                self.scored_by[arguments[arguments.index("--output") + 1]] = folder_in(arguments)
            return found, code, self._agreement(folder_in(arguments), code)
        if program == "python -m tools.export":
            found, code = call(importlib.import_module("tools.export").main, None, shlex.split(text)[3:])
            return found, code, "shape"
        assert {program_of(part) for part in split_line(text)} <= {*SHELL, *GENERATORS}, (
            f"{step.page}:{step.line}: say in tests/docs/support.py how `{step.text}` is tested"
        )
        done = subprocess.run(
            ["bash", "-c", text.replace("python ", f"{sys.executable} ")], capture_output=True, text=True
        )
        folders = set(re.findall(r"(\w*artifacts)/", text))
        folders |= {folder for file, folder in self.scored_by.items() if file in text}
        folders = folders or {"artifacts"}
        return done.stdout + done.stderr, done.returncode, "exact" if folders <= self.exact else "nothing"

    def _agreement(self, folder, code):
        return "exact" if folder in self.exact or code else "shape" if folder in self.alike else "nothing"

    def _train(self, arguments, step):
        flags = {word for word in arguments if word.startswith("--")}
        if step.shown.startswith("error: "):
            return *call(train.main, arguments), "exact"
        short = SHORT if "--seq_lengths" in flags else [*SHORT, "--seq_lengths", "2"]
        found, code = call(train.main, [*arguments, *short])
        folder = folder_in(arguments)
        self.alike |= {folder} if "--seq_lengths" in flags else set()
        if code or not self.committed or not flags <= NEUTRAL or not self._learns_from_the_sample(folder):
            return found, code, self._agreement(folder, 0)
        # Untouched settings and the purchases of the sample: the whole training would have given these members.
        metadata = json.loads((self.folder / folder / "models_meta.json").read_text())
        shutil.rmtree(self.folder / folder)
        shutil.copytree(self.committed, self.folder / folder, ignore=shutil.ignore_patterns("sequences"))
        path = self.folder / folder / "models_meta.json"
        content = json.loads(path.read_text()) | {"reading": metadata["reading"]}
        content["source"]["file"] = metadata["source"]["file"]
        path.write_text(json.dumps(content))
        self.exact.add(folder)
        return *call(predict.main, ["--describe", "--artifacts_dir", folder]), "exact"

    def _learns_from_the_sample(self, folder):
        read, sample = (
            pd.read_parquet(parent / "prepared" / "purchases.parquet")[["datetime", "returned", "number"]]
            for parent in (self.folder / folder, self.committed)
        )
        return read.equals(sample)

    def _run_python(self, text, step):
        if not self.committed and any(
            '"artifacts' in other.text for other in STEPS[step.page] if other.kind == step.kind
        ):
            return "", 0, "not run"
        if step.kind == "pycon":
            test = doctest.DocTestParser().get_doctest(text, self.globals, "page", None, 0)
            printed = io.StringIO()
            result = doctest.DocTestRunner(verbose=False).run(test, out=printed.write, clear_globs=False)
            self.globals = test.globs
            return printed.getvalue(), min(result.failed, 1), "nothing"
        return *call(lambda code: exec(code, self.globals), compile(text, "page", "exec")), "nothing"


def folder_in(arguments):
    return arguments[arguments.index("--artifacts_dir") + 1] if "--artifacts_dir" in arguments else "artifacts"


def call(function, arguments, argv=None):
    """What `function` of this process prints, on stdout and stderr together, and the exit code that it ends with."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    before, code = sys.argv, 0
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            if argv is None:
                function(arguments)
            else:
                sys.argv = ["page", *argv]
                function()
    except SystemExit as end:
        code = end.code
    except Exception:
        printed.write(traceback.format_exc())
        code = 1
    finally:
        sys.argv = before
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return printed.buffer.getvalue().decode(), code


def pattern_of(shown):
    """What the printed lines must match: `…` stands for lines left out, or at the end of one for its rest."""
    parts = []
    for line in shown.splitlines():
        if line == "…":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(re.escape(line.removesuffix("…")) + (r".*\n" if line.endswith("…") else r"\n"))
    return "".join(parts)


def masked(text):
    """`text` without the figures, of which a short training gives others."""
    return re.sub(r"\d+(\.\d+)?(e-\d+)?", "0", re.sub(r"\|#* *\|", "|bar|", text))
