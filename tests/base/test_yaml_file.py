import pytest

from boomerang.base.errors import SettingsError
from boomerang.base.yaml_file import read_yaml


def test_keys_that_stand_twice_in_one_mapping_are_named_with_their_row(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("train:\n  lr: 1\n  lr: 2\nother: {lr: 3}\ntrain: {}\n")
    assert read_yaml(path)[1] == ["a.yaml row 3: lr stands twice", "a.yaml row 5: train stands twice"]


@pytest.mark.parametrize("text", ["a: [", "!!python/object/apply:os.getcwd []", "\xff"])
def test_what_is_not_plain_yaml_is_refused(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match="not plain YAML"):
        read_yaml(path)


def test_a_missing_or_unreadable_file_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"params\.yaml does not exist: run from the folder"):
        read_yaml(tmp_path / "params.yaml")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)
