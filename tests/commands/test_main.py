"""The command `boomerang`, as an installed package offers it."""

import subprocess
import sys

import pytest

import boomerang

START = [sys.executable, "-c", "from boomerang.commands.main import main; main()"]


def run(*arguments, cwd=None):
    return subprocess.run([*START, *map(str, arguments)], cwd=cwd, capture_output=True, text=True)


def test_its_version_is_that_of_the_package():
    assert run("--version").stdout == f"boomerang {boomerang.__version__}\n"


@pytest.mark.parametrize("verb", ["train", "predict"])
def test_each_verb_takes_the_flags_of_its_program_under_its_own_name(verb):
    done = run(verb, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: boomerang {verb} ")
    assert "--artifacts_dir" in done.stdout


def test_it_predicts_as_predict_py_does(trained):
    arguments = ["--history", "yes,no,no,yes", "--artifacts_dir", trained]
    done = run("predict", *arguments)
    # `python predict.py`, whose code is the same.
    program = "import sys; from boomerang.commands.predict import main; main(sys.argv[1:])"
    plain = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True)
    assert done.stdout == plain.stdout
    assert done.stdout.startswith("returned=yes: 0.")


@pytest.mark.parametrize("arguments", [[], ["tarin"], ["--data_path", "x"]])
def test_anything_else_is_refused_with_the_verbs_there_are(arguments):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "a command is needed: train or predict" in done.stderr


def test_the_package_offers_the_predictor_and_takes_torch_only_with_it():
    program = (
        "import sys, boomerang; assert 'torch' not in sys.modules; "
        "from boomerang import Predictor; print(Predictor.__module__, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "boomerang.serving.predictor True\n"
    with pytest.raises(AttributeError, match="has no attribute 'Predicter'"):
        _ = boomerang.Predicter
