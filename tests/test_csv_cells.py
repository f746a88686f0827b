import pytest

from stages.lib.csv_cells import read_cells


def read(tmp_path, text):
    (tmp_path / "a.csv").write_text(text)
    notes = []
    return read_cells(tmp_path / "a.csv", ("a", "b"), notes), notes


def test_cells_stay_text(tmp_path):
    cells, notes = read(tmp_path, "a,b\n001,\n nan ,1e5\n")
    assert cells.table.to_dict("list") == {"a": ["001", " nan "], "b": ["", "1e5"]}
    assert (cells.misshapen, notes) == ([], [])


@pytest.mark.parametrize(
    ("text", "rows", "misshapen"),
    [
        ("a,b\n1,2\n3,4\n", [2, 3], []),
        ("\n\na,b\n\n1,2\n", [5], []),
        ('a,b\n"x\ny",2\n3,4\n', [2, 4], []),
        ('a,b\n1\n"x\ny\nz",2\n3,4\n5,6,7\n8,9\n', [3, 6, 8], [(2, "1"), (7, "5,6,7")]),
        ("a,b\r\n1,2\r3,4", [2, 3], []),
    ],
)
def test_rows_are_numbered_as_an_editor_numbers_them(tmp_path, text, rows, misshapen):
    cells, _ = read(tmp_path, text)
    assert list(cells.table.index) == rows
    assert cells.misshapen == misshapen
