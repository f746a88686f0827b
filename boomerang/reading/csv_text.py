"""The text of a file that should hold a CSV: gzip is unpacked, line ends become LF, what is no UTF-8 is refused."""

import gzip
import io
import zlib
from functools import partial
from pathlib import Path

from boomerang.base.errors import DataError

# How files start that are often taken for a CSV, and what to do about it.
GZIP_MAGIC = b"\x1f\x8b"
FOREIGN_STARTS = {
    b"PK\x03\x04": "an Excel workbook or zip archive: save it as CSV",
    b"\xff\xfe": "UTF-16: save it as UTF-8",
    b"\xfe\xff": "UTF-16: save it as UTF-8",
    b"%PDF": "a PDF: export a CSV",
    b"PAR1": "a parquet file: export a CSV",
    GZIP_MAGIC: "gzip within gzip: unpack it once",
}
# Bytes that a gzipped CSV may unpack to, some 30 million purchases: ten megabytes can hold enough to fill any memory.
MAX_UNPACKED = 2**30


def read_text(path: Path, notes: list[str]) -> str:
    """The text of the file, or gzipped file, at `path`, its lines ended by LF.

    Parameters
    ----------
    path : Path
        The file.
    notes : list of str
        Gets what was not in the plain form and how it was read.

    Raises
    ------
    DataError
        If the file cannot be read or is no UTF-8 text.
    """
    content = _read(path)
    if content.startswith(GZIP_MAGIC):
        content = _unpack(path, content)
        notes.append("file: gzip unpacked")
    for start, what in FOREIGN_STARTS.items():
        if content.startswith(start):
            raise DataError(f"{path}: expected UTF-8 text (found {what})")
    text = _decode(path, content)
    if text.startswith("\ufeff"):
        notes.append("file: byte order mark removed")
        text = text.removeprefix("\ufeff")
    if "\r" in text:
        notes.append("file: line ends of another system (CR or CRLF), read alike")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.endswith("\n"):
        notes.append("file: the last line has no line end")
    return text


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise DataError(f"{path}: expected a CSV file (found a folder)") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # a NUL character in the path
        raise DataError(f"{str(path)!r}: cannot be read: {error}") from None


def _unpack(path: Path, content: bytes) -> bytes:
    unpacked, n_bytes = [], 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            for chunk in iter(partial(file.read, 2**20), b""):
                unpacked.append(chunk)
                n_bytes += len(chunk)
                if n_bytes > MAX_UNPACKED:
                    raise DataError(
                        f"{path}: gzip must unpack to at most {MAX_UNPACKED:,} bytes (found more): "
                        "where that is meant, unpack it first"
                    )
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: damaged gzip file: {error}") from None
    return b"".join(unpacked)


def _decode(path: Path, content: bytes) -> str:
    if (position := content.find(b"\x00")) >= 0:
        # Every second byte of plain letters in UTF-16 is NUL.
        start = content[: len(content) // 2 * 2][:1000]
        if not any(start[::2]) or not any(start[1::2]):
            raise DataError(f"{path}: expected UTF-8 text (found UTF-16 without a byte order mark: save it as UTF-8)")
        raise DataError(f"{path} row {_row(content, position)}: expected UTF-8 text (found a NUL byte)")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"byte 0x{content[error.start]:02x}, as Latin-1 or Windows-1252 have it: save the file as UTF-8"
        raise DataError(f"{path} row {_row(content, error.start)}: expected UTF-8 text (found {found})") from None


def _row(content: bytes, position: int) -> int:
    """The row of a byte, whatever ends the lines before it."""
    before = content[:position].replace(b"\r\n", b"\n")
    return before.count(b"\n") + before.count(b"\r") + 1
