import io
import itertools
import json

import pandas as pd
import pytest
import torch

from stages.lib.differences import compare_files, list_files


def as_json(content):
    return json.dumps(content).encode()


def as_torch(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def as_parquet(content):
    return pd.DataFrame(content).to_parquet(index=False)


@pytest.mark.parametrize(
    ("name", "one", "other", "said"),
    [
        ("m.json", as_json({"a": [1, {"b": 0.5}]}), as_json({"a": [1, {"b": 0.75}]}), "up to 0.25 (a.1.b)"),
        (
            "m.json",
            as_json({"ensembles": {"time": {"members": [{"sha256": "x"}]}}}),
            as_json({"ensembles": {"time": {"members": [{"sha256": "y"}]}}}),
            "values are equal",
        ),
        ("m.json", as_json({"a": {"sha256": "x"}}), as_json({"a": {"sha256": "y"}}), "a.sha256 differs: x / y"),
        ("report.html", b"<p>0.1", b"<p>0.2", "values are equal"),
        ("m.json", as_json({"when": "1"}), as_json({"when": "2"}), "when differs: 1 / 2"),
        ("m.json", as_json({"a": 1}), as_json({"b": 1}), "a is only in one; b is only in one"),
        ("m.json", as_json({"a": None}), as_json({"a": 1.0}), "a differs: None / 1.0"),
        ("m.json", as_json({"a": True}), as_json({"a": False}), "a differs: True / False"),
        ("m.json", b"{", as_json({}), "cannot be read"),
        ("h.csv", b"x,y\n1,a\n2,a\n", b"x,y\n1,a\n2.5,b\n", "up to 0.5 (x); y differs: 1 of 2"),
        ("h.csv", b"x\n1\n", b"x\n1\n2\n", "x has the shape (1,) / (2,)"),
        ("t.parquet", as_parquet({"x": [1.0, None]}), as_parquet({"x": [1.5, None]}), "up to 0.5 (x)"),
        ("t.parquet", as_parquet({"x": [1.0, None]}), as_parquet({"x": [1.0, 2.0]}), "up to inf (x)"),
        ("w.pth", as_torch({"w": torch.tensor([1.0, 2.0])}), as_torch({"w": torch.tensor([1.0, 2.125])}), "0.125 (w)"),
        ("w.pth", as_torch({"w": torch.zeros(2)}), as_torch({"w": torch.zeros(3)}), "w has the shape (2,) / (3,)"),
        ("m.json", as_json({"a": True}), as_json({"a": 1}), "a differs: True / 1"),
        ("m.json", as_json({"a": {}}), as_json({"a": []}), "a has the shape () / (0,)"),
        ("w.pth", as_torch({"w": torch.ones(1, dtype=torch.bfloat16)}), as_torch({"w": torch.zeros(1)}), "up to 1 (w)"),
        (
            "w.pth",
            as_torch({"w": torch.ones(1)}),
            as_torch({"w": torch.ones(1, dtype=torch.float64)}),
            "w dtype differs: torch.float32 / torch.float64",
        ),
        ("x.bin", b"1", b"2", "content differs: b'1' / b'2'"),
    ],
    # torch's bytes differ from one collection to the next.
    ids=itertools.count(),
)
def test_what_differs_is_said(tmp_path, name, one, other, said):
    for folder, content in (("one", one), ("other", other)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(content)
    assert said in str(compare_files(tmp_path / "one" / name, tmp_path / "other" / name))


def test_an_output_is_a_file_or_a_folder_of_them(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_text("")
    assert list(list_files(tmp_path / "a")) == ["b/c"]
    assert list(list_files(tmp_path / "a" / "b" / "c")) == [""]
    assert list_files(tmp_path / "none") == {}
