"""Fixtures of the tests of command lines."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def copied(trained, tmp_path):
    """Artifacts that a test may spoil."""
    return Path(shutil.copytree(trained, tmp_path / "artifacts"))
