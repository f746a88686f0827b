import gzip

import pytest

from boomerang.base.errors import DataError
from boomerang.reading import csv_text
from boomerang.reading.csv_text import read_text


def gzipped(content):
    return gzip.compress(content, mtime=0)  # test names hold these bytes, and both workers must find the same names


def read(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    notes = []
    return read_text(tmp_path / "a.csv", notes), notes


@pytest.mark.parametrize(
    ("content", "text", "note"),
    [
        (b"a\nb\n", "a\nb\n", []),
        (b"a\nb", "a\nb", ["file: the last line has no line end"]),
        (
            b"a\r\nb\r",
            "a\nb\n",
            ["file: line ends of another system (CR or CRLF), read alike"],
        ),
        (b"\xef\xbb\xbfa\n", "a\n", ["file: byte order mark removed"]),
        (gzipped(b"a\n"), "a\n", ["file: gzip unpacked"]),
        (gzipped(b"a\n") + gzipped(b"b\n"), "a\nb\n", ["file: gzip unpacked"]),
    ],
)
def test_text_is_read_and_what_is_odd_is_noted(tmp_path, content, text, note):
    assert read(tmp_path, content) == (text, note)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzipped(gzipped(b"a")), r"a\.csv: expected UTF-8 text \(found gzip within gzip: unpack it once"),
        ("a,b\nc,d\n".encode("utf-16-le"), "found UTF-16 without a byte order mark"),
        ("a,b\nc,d\n".encode("utf-16-be"), "found UTF-16 without a byte order mark"),
        (b"a\nb\0", r"a\.csv row 2: expected UTF-8 text \(found a NUL byte"),
    ],
)
def test_other_bytes_are_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


def test_gzip_that_unpacks_to_more_than_memory_holds_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_text, "MAX_UNPACKED", 2**21)
    assert len(read(tmp_path, gzipped(b"\n" * 2**21))[0]) == 2**21
    with pytest.raises(DataError, match=r"a\.csv: gzip must unpack to at most 2,097,152 bytes \(found more\)"):
        read(tmp_path, gzipped(b"\n" * (2**21 + 1)))


def test_a_path_with_a_nul_character_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\\x00\.csv': cannot be read"):
        read_text(tmp_path / "a\0.csv", [])
