import os
import stat

import pandas as pd
import pytest

from stages.lib import files
from stages.lib.errors import ArtifactError


def test_write_atomic_replaces_the_whole_file(tmp_path):
    path = tmp_path / "folder" / "file"
    files.write_atomic(path, b"long old content")
    files.write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [found.name for found in path.parent.iterdir()] == ["file"]


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_atomic(path, b"old")

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match=r"No space left on device: .*/file"):
        files.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_written_files_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_atomic(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_json_is_sorted_and_refuses_nan(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": 1, "a": [2]})
    assert (tmp_path / "a.json").read_text() == '{\n  "a": [\n    2\n  ],\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"a": float("nan")})


@pytest.mark.parametrize("content", [None, b"{", b"\xff", b"[" * 100_000])
def test_damaged_json_of_an_earlier_stage_is_an_artifact_error(tmp_path, content):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"a\.json"):
        files.read_json(tmp_path / "a.json")


@pytest.mark.parametrize("content", [None, b"", b"PAR1" + b"x" * 100 + b"PAR1"])
def test_a_damaged_table_of_an_earlier_stage_is_an_artifact_error(tmp_path, content):
    if content is not None:
        (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"a\.parquet"):
        files.read_table(tmp_path / "a.parquet")


def test_a_table_without_a_column_is_an_artifact_error(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ArtifactError, match=r"a\.parquet is not a table as its stage writes it"):
        files.read_table(tmp_path / "a.parquet", ["b"])
