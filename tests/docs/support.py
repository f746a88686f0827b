"""The pages, the steps that they show, and which of those are run.

`FORM_ONLY` lists what is not run, and why; `tests.docs.desk` carries out the rest.
"""

import hashlib
import re
import shlex
import textwrap
from dataclasses import dataclass

import yaml

from tests.support import ROOT

DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in sorted(ROOT.glob("*.md")) + sorted(DOCS.glob("*.md"))
}
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())

# What is not run, and what is checked in its place.
FORM_ONLY = {
    "make": "runs everything, for minutes: the target stands in the Makefile",
    "dvc": "changes repository and cache: DVC's own parser takes the arguments",
    "git": "changes the repository: the subcommand exists",
    "pip": "needs the network: the requirements that it names are here",
    "source": "is for the shell of a person",
    "cd": "is for the shell of a person",
    "python -m tools.status": "asks git and DVC about the repository, tested in tests/tools: the module is here",
    "python -m tools.reproduce": "runs everything anew, tested in tests/tools: its parser takes the flags",
    "python -m tests.benchmarks": "measures, for minutes: the module is here",
    "python train.py on data outside": "needs data that the repository does not hold: its parser takes the flags",
}
# Real purchases, which are not copied into the repository.
OUTSIDE = r"(.*/)?online_retail_\w+\.csv(\.gz)?$"


@dataclass(frozen=True)
class Step:
    """A command, or a block of Python, on a page, and the output that the page shows."""

    page: str
    line: int
    kind: str
    text: str
    shown: str = ""


def read_steps(page):
    """All that `page` shows to be run, in its order."""
    steps = []
    for block in re.finditer(r"^( *)```(console|python|pycon)\n(.*?)^ *```", PAGES[page], re.MULTILINE | re.DOTALL):
        line = PAGES[page][: block.start()].count("\n") + 2
        body = textwrap.dedent(block[3])
        if block[2] != "console":
            steps.append(Step(page, line, block[2], body))
            continue
        for found in re.finditer(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", body, re.MULTILINE):
            command = re.sub(r"\\\n\s*", "", re.sub(r"\s{2,}# .*", "", found[1]))
            steps.append(Step(page, line + body[: found.start()].count("\n"), "console", command, found[2]))
    return steps


STEPS = {page: read_steps(page) for page in PAGES}


def program_of(command):
    """The key of `FORM_ONLY` that a command falls under; else what it runs."""
    words = [word for word in shlex.split(command) if not re.match(r"[A-Z_]+=", word)]
    if words[:2] == ["python", "-m"]:
        return "python -m tests.benchmarks" if words[2].startswith("tests.benchmarks") else " ".join(words[:3])
    if words[0] == "boomerang":
        words[:2] = ["python", f"{words[1]}.py"]
    if words[:2] == ["python", "train.py"] and any(re.match(OUTSIDE, word) for word in words):
        return "python train.py on data outside"
    return " ".join(words[:2]) if words[0] == "python" else words[0]


def split_line(line):
    """The commands of a line of shell, without what joins them."""
    return [part.strip() for part in re.split(r"&&|\||;(?=(?:[^']*'[^']*')*[^']*$)", mask_quoted(line))]


def mask_quoted(line):
    """`line` with the signs that join commands replaced where they are quoted."""
    return re.sub(r"'[^']*'|\"[^\"]*\"", lambda quoted: re.sub(r"[|;&]", "_", quoted[0]), line)


def is_form_only(step):
    return step.kind == "console" and all(program_of(part) in FORM_ONLY for part in split_line(step.text))


def file_digest(path):
    return hashlib.md5(path.read_bytes()).hexdigest() if path.exists() else ""


def committed_artifacts():
    """`artifacts/` where its members, metadata and figures are those that `dvc.lock` records, else None."""
    stages = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    made = {out["path"]: out["md5"] for name in ("meta", "evaluate") for out in stages[name]["outs"]}
    files = ("artifacts/models_meta.json", "artifacts/MODEL_CARD.md")
    return ROOT / "artifacts" if all(file_digest(ROOT / file) == made[file] for file in files) else None
