import pytest

from boomerang.base.errors import DataError
from boomerang.reading import csv_cells
from boomerang.reading.csv_cells import read_cells


def read(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    notes = []
    return read_cells(tmp_path / "a.csv", {"a": ".*", "b": "[0-9]"}, notes), notes


def test_cells_stay_text(tmp_path):
    cells, notes = read(tmp_path, "a,b\n001,\n nan ,1e5\n")
    assert cells.table.to_dict("list") == {"a": ["001", " nan "], "b": ["", "1e5"]}
    assert (cells.misshapen, notes) == ([], [])


@pytest.mark.parametrize(
    ("header", "note"),
    [
        ("a,b", []),
        ("b,a", ["columns: in the order b, a"]),
        ("A , b", ["columns: names read in lower case, without outer blanks"]),
        ('a,b,C,"x\ty"', ["columns ignored: c, 'x\\ty'"]),
        ("a,b,,", ["columns ignored: (no name)"]),
    ],
)
def test_what_is_odd_in_a_header_is_noted(tmp_path, header, note):
    _, notes = read(tmp_path, f"{header}\n{header}\n")
    assert notes == note


def test_cells_that_are_blank_are_no_blank_line(tmp_path):
    cells, notes = read(tmp_path, 'a,b\n\n,\n \n"",""\n1,2')
    assert cells.table.index.tolist() == [3, 5, 6]
    assert notes == ["file: the last line has no line end", "file: blank lines skipped: 2"]


def test_rows_are_numbered_over_several_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_cells, "MAX_BLOCK", 1000)
    cells, _ = read(tmp_path, "a,b\n" + '1,2\n"x\ny",2\n3\n' * 300)
    assert cells.table.index[-1] == 1199
    assert cells.misshapen[-1] == (1201, 1, "3")
    with pytest.raises(DataError, match="a row longer than 1,000 bytes"):
        read(tmp_path, f"a,b\n1,{'2' * 3000}\n")


def test_a_header_cell_without_end_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\.csv row 1: expected a header .*\(found field larger than field limit"):
        read(tmp_path, f"a,b,{'c' * 140_000}\n1,2,3\n")


@pytest.mark.parametrize(
    ("text", "rows", "misshapen"),
    [
        ("a,b\n1,2\n3,4\n", [2, 3], []),
        ("\n\na,b\n\n1,2\n", [5], []),
        ('a,b\n"x\ny",2\n3,4\n', [2, 4], []),
        ('a,b\n1\n"x\ny\nz",2\n3,4\n5,6,7\n8,9\n', [3, 6, 8], [(2, 1, "1"), (7, 3, "5,6,7")]),
        ('a,b\n"x\ny"\n3,4\n', [4], [(2, 1, '"x\ny"')]),
        ('b,"over\nlines\n",a\n1,2,3\n', [4], []),
        ("a,b\r\n1,2\r3,4", [2, 3], []),
    ],
)
def test_rows_are_numbered_as_an_editor_numbers_them(tmp_path, text, rows, misshapen):
    cells, _ = read(tmp_path, text)
    assert list(cells.table.index) == rows
    assert cells.misshapen == misshapen
