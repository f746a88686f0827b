"""Shared by all tests: the numeric environment, and one small training that many tests look at."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from boomerang.base.numerics import fix_environment
from tests.support import ROOT, SMALL_PARAMS, commit, run, write_purchases, write_purchases_with_columns

fix_environment()
# What a test trains is trained by that test.
os.environ["BOOMERANG_NO_STORE"] = "true"
# DVC and its stages are those of the environment that runs the tests, also where it is not activated.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

import torch  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture
def params() -> dict:
    """The content of a params.yaml that trains in a moment; a fresh copy for each test."""
    return yaml.safe_load(yaml.safe_dump(SMALL_PARAMS))


def train_small(folder: Path, **prepare) -> Path:
    """Artifacts of a small training, whose section `prepare` has these values."""
    from boomerang.base import settings
    from boomerang.base.execution import Execution
    from boomerang.commands import train

    params = yaml.safe_load(yaml.safe_dump(SMALL_PARAMS))
    params["prepare"] |= prepare
    config = settings.validate_settings(params, "test")
    train.run(config, Execution(jobs=1, quiet=True, no_store=True), folder / "artifacts")
    return folder / "artifacts"


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """Artifacts of a small training; read only."""
    folder = tmp_path_factory.mktemp("trained")
    return train_small(folder, data_path=str(write_purchases(folder / "purchases.csv")))


@pytest.fixture(scope="session")
def trained_on_columns(tmp_path_factory) -> Path:
    """Artifacts of a small training that reads a price, a product and a column called `month`; read only."""
    folder = tmp_path_factory.mktemp("columns")
    path = write_purchases_with_columns(folder / "purchases.csv")
    columns = {"numeric_columns": ["price"], "categorical_columns": ["product", "month"]}
    return train_small(folder, data_path=str(path), **columns)


@pytest.fixture(scope="session")
def predictor(trained):
    """All ensembles of `trained`, ready to predict."""
    from boomerang.serving.predictor import Predictor

    return Predictor.load(trained)


@pytest.fixture(scope="session")
def prepared(trained):
    """The purchases of `trained` with their scaled features; read only."""
    import pandas as pd

    return pd.read_parquet(trained / "prepared" / "purchases.parquet")


PROJECT_FILES = (
    *("boomerang", "stages", "tools", "pyproject.toml", "dvc.yaml"),
    *("requirements.txt", "requirements-pipeline.txt", "requirements-dev.txt"),
    *(".dvc/config", ".dvc/plots", ".dvc/.gitignore", ".gitignore", ".dvcignore"),
)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A repository of its own with this pipeline, small settings and everything up to date and committed."""
    folder = tmp_path_factory.mktemp("repository")
    for name in PROJECT_FILES:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (folder / "params.yaml").write_text(yaml.safe_dump(SMALL_PARAMS))
    write_purchases(folder / "data" / "purchases.csv", 200)
    write_purchases(folder / "data" / "other.csv", 190)
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "repro", "-q")
    run(folder, "python", "-m", "tools.reproduce", "--record")
    commit(folder)
    return folder
