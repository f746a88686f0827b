"""The commands and the Python of the pages run, and print what the pages show.

They run page by page, in a folder of the page's own.
"""

import contextlib
import re
import shlex
import subprocess

import pytest

from boomerang.commands import predict, train_flags
from tests.docs.desk import Desk, call, masked, pattern_of
from tests.docs.support import PAGES, PARAMS, STEPS, committed_artifacts, is_form_only, program_of, split_line
from tests.support import ROOT
from tools import reproduce


@pytest.fixture(scope="session")
def results(tmp_path_factory, request):
    """By page, what came of each step; a page is carried out when the first of its steps is asked for."""
    found = {}

    def of(page):
        if page not in found:
            desk = Desk(tmp_path_factory.mktemp("desk"), lambda: request.getfixturevalue("trained"))
            found[page] = {step: desk.carry_out(step) for step in STEPS[page] if not is_form_only(step)}
        return found[page]

    return of


def cases(wanted):
    return [
        pytest.param(step, id=f"{step.page}:{step.line}", marks=pytest.mark.xdist_group(step.page))
        for steps in STEPS.values()
        for step in steps
        if wanted(step)
    ]


@pytest.mark.parametrize("step", cases(lambda step: not is_form_only(step)))
def test_what_a_page_shows_runs_and_prints_what_it_shows(step, results):
    found, code, agree = results(step.page)[step]
    if agree == "not run":
        pytest.skip("it reads artifacts/, which is not here as dvc.lock records it")
    assert bool(code) == step.shown.startswith("error: "), found
    if step.shown and agree == "exact":
        assert re.fullmatch(pattern_of(step.shown), found), found
    elif step.shown and agree == "shape":
        assert re.fullmatch(pattern_of(masked(step.shown)), masked(found)), found
    elif step.shown and step.kind == "console":
        pytest.skip("it ran; what it prints is of artifacts/, which is not here as dvc.lock records it")


@pytest.mark.parametrize("step", cases(is_form_only))
def test_what_a_page_shows_and_no_test_runs_has_the_right_form(step, capsys):
    for part in split_line(step.text):
        words, program = [word for word in shlex.split(part) if not re.match(r"[A-Z_]+=", word)], program_of(part)
        if program == "make":
            targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
            assert set(words[1:]) <= targets
            given = re.findall(r"FLAGS=('[^']*'|\S+)", part)
            reproduce.build_parser().parse_args(shlex.split(given[0].strip("'")) if given else [])
        elif program == "dvc":
            from dvc.cli.parser import get_main_parser

            get_main_parser().parse_args(shlex.split(step.text if "|" in step.text else part)[1:])
        elif program == "git":
            assert subprocess.run(["git", "help", words[1]], capture_output=True).returncode == 0 or words[1] == "clone"
        elif program == "pip":
            named = [word for word in words if word.startswith("requirements")]
            assert words[1] == "install"
            assert all((ROOT / name).exists() for name in named)
        elif program == "python -m tools.reproduce":
            reproduce.build_parser().parse_args(words[3:])
        elif program == "python train.py on data outside":
            train_flags.build_parser(PARAMS).parse_args(train_flags.normalise_flags(words[2:]))
        elif words[:2] == ["python", "-m"]:
            assert (ROOT / f"{words[2].replace('.', '/')}.py").exists()


@pytest.mark.skipif(committed_artifacts() is None, reason="artifacts/ is not here as dvc.lock records it")
@pytest.mark.parametrize("step", cases(lambda step: step.text == "make" and step.shown))
def test_what_make_is_said_to_print_is_what_describes_the_committed_members(step):
    with contextlib.chdir(ROOT):
        found, _ = call(predict.main, ["--describe"])
    assert re.fullmatch(pattern_of(step.shown), found), found


@pytest.mark.parametrize("page", sorted(PAGES.keys() - {"CHANGELOG.md"}))
def test_every_target_and_module_that_a_page_names_is_there(page):
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make (\w+)", PAGES[page])) <= targets
    for module in re.findall(r"python -m ((?:tools|stages|tests)[\w.]+)", PAGES[page]):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
