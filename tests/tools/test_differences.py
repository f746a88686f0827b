import io
import itertools
import json

import pandas as pd
import pytest
import torch

from tools.differences import compare_files, compare_output, describe


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
        ("m.json", as_json({"a": {"sha256": "x"}}), as_json({"a": {"sha256": "y"}}), "a.sha256 differs: x / y"),
        ("m.json", as_json({"a": 1}), b'{ "a": 1 }', "the values are equal, the bytes are not"),
        ("m.json", as_json(dict.fromkeys("abcde", "x")), as_json(dict.fromkeys("abcde", "y")), "y; and 2 more"),
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
    assert said in describe(compare_files(tmp_path / "one" / name, tmp_path / "other" / name))


@pytest.fixture
def repositories(tmp_path):
    """Two repositories whose output `out` differs in three of four files; only one has `single`."""
    for folder, value in (("one", 1), ("other", 2)):
        (tmp_path / folder / "out" / "below").mkdir(parents=True)
        (tmp_path / folder / "out" / "same.txt").write_text("same")
        (tmp_path / folder / "out" / "page.html").write_text(f"<p>{value}")
        (tmp_path / folder / "out" / "below" / "m.json").write_text(json.dumps({"a": value, "made": {"hash": value}}))
    (tmp_path / "one" / "out" / "single.txt").touch()
    return tmp_path / "one", tmp_path / "other"


def test_the_files_of_an_output_are_compared_but_for_what_is_derived(repositories):
    derived = ["*.html", "out/below/*:made.*"]
    assert compare_output("out", *repositories, derived) == {
        "out/below/m.json": {"a": 1.0},
        "out/page.html": {},
        "out/single.txt": {"": "is only in one"},
    }
    assert compare_output("out/below/m.json", *repositories) == {"out/below/m.json": {"a": 1.0, "made.hash": 1.0}}


def test_an_output_whose_content_is_not_here_is_named(repositories):
    assert compare_output("none", *repositories) == {"none": {"": "the content of one version is not here"}}
