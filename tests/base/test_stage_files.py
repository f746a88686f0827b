import itertools

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from boomerang.base import stage_files
from boomerang.base.checks import Section
from boomerang.base.errors import ArtifactError


class Pair(Section):
    a: int


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, " cannot be read: No such file or directory"),
        (b"{", " is not JSON"),
        (b"\xff", " is not JSON"),
        ('{"a": 1}'.encode("utf-16"), " is not JSON"),
        (b"[" * 100_000, " is not JSON"),
        (b"1" * 5000, " is not JSON"),
        (b'{"a": NaN}', " is not JSON: NaN is not a number"),
        (b'{"a": -Infinity}', " is not JSON: -Infinity is not a number"),
        (b'{"a": 1, "b": 2, "a": 1}', " is not JSON: 'a' stands twice"),
        (b'{"a": {"b": 2, "b\\n": 1, "b\\n": 2}}', r" is not JSON: 'b\n' stands twice"),
        (b"[]", ": must be a mapping"),
        (b'{"a": "1"}', ": a: input should be a valid integer"),
        (b'{"a": true}', ": a: input should be a valid integer"),
        (b'{"a": 1.0}', ": a: input should be a valid integer"),
        (b'{"a": 1, "\\u001b[31m\\n": 1}', r": \x1b[31m\n is not a setting"),
        (b'{"a": 1, "\\ud800": 1}', ": input should be a valid string"),
    ],
    # Some are too long for a name.
    ids=itertools.count(),
)
def test_damaged_json_of_an_earlier_stage_is_refused_in_one_line(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ArtifactError) as refused:
        stage_files.read_json(tmp_path / "a.json", Pair)
    assert f"a.json{message}" in str(refused.value)
    assert str(refused.value).isprintable()


def test_json_of_an_earlier_stage_is_read_as_its_type(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert stage_files.read_json(tmp_path / "a.json", Pair) == Pair(a=1)


@pytest.mark.parametrize("target", ["../elsewhere", "/etc/passwd", "a.json", "nowhere/../../elsewhere"])
def test_links_out_of_the_folder_are_not_followed(tmp_path, target):
    (tmp_path / "elsewhere").write_text("{}")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.json").symlink_to(target)
    with pytest.raises(ArtifactError, match=r"a link that leads out of|a\.json cannot be read"):
        stage_files.read_artifact(folder / "a.json")


def test_links_within_the_folder_and_to_the_folder_are_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b").write_bytes(b"content")
    (tmp_path / "folder" / "a").symlink_to("b")
    (tmp_path / "link").symlink_to("folder")
    assert stage_files.read_artifact(tmp_path / "link" / "a") == b"content"


@pytest.mark.parametrize("content", [None, b"", b"PAR1" + b"x" * 100 + b"PAR1"])
def test_a_damaged_table_of_an_earlier_stage_is_an_artifact_error(tmp_path, content):
    if content is not None:
        (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"a\.parquet") as refused:
        stage_files.read_table(tmp_path / "a.parquet", ["a"])
    assert "\n" not in str(refused.value)


def test_text_in_a_table_must_be_utf_8(tmp_path):
    text = pa.array([b"good", b"\xff bad"]).view(pa.string())
    parquet.write_table(pa.table({"a": text}), tmp_path / "a.parquet")
    with pytest.raises(ArtifactError, match=r"a\.parquet is not a table as its stage writes it: .*UTF8"):
        stage_files.read_table(tmp_path / "a.parquet", ["a"])


def test_columns_of_a_table_are_those_asked_for_even_if_pandas_noted_an_index(tmp_path):
    pd.DataFrame({"a": [1, 7, 2], "b": [3, 4, 5], "c": [5, 6, 7]}).set_index("a").to_parquet(tmp_path / "a.parquet")
    found = stage_files.read_table(tmp_path / "a.parquet", ["b", "a"])
    pd.testing.assert_frame_equal(found, pd.DataFrame({"b": [3, 4, 5], "a": [1, 7, 2]}))


def test_a_table_without_a_column_is_an_artifact_error(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ArtifactError, match=r"a\.parquet is not a table as its stage writes it"):
        stage_files.read_table(tmp_path / "a.parquet", ["b"])
