"""How messages count things and call settings.

Most messages call a setting as `params.yaml` does. A command line says once what its user calls it, and its messages do
so too: where an error becomes a line, and where something is told on stderr.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

SECTIONS = ("prepare", "sequences", "train", "evaluate")
# Names of settings that a sentence may hold as words of its own: they are settings with their section, or in front.
ORDINARY_WORDS = {
    *("ensemble", "epochs", "group", "jobs", "now", "precision"),
    *("quiet", "seed", "store", "threshold", "weights"),
}
_NAMES: ContextVar[Mapping[str, str]] = ContextVar("names", default={})  # noqa: B039 (nobody changes it)


def counted(number: int, noun: str) -> str:
    """`1 purchase`, `2 purchases`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@contextmanager
def calling_settings(names: Mapping[str, str]) -> Iterator[None]:
    """Let messages in the body call each setting in `names` what stands there, such as `--lr` for `lr`."""
    token = _NAMES.set(names)
    try:
        yield
    finally:
        _NAMES.reset(token)


def reword(text: str) -> str:
    """`text` with each setting called as `calling_settings` says.

    What is quoted, such as a value found in a file, stays as it is. So do lines about `params.yaml`, whose reader looks
    for the key.
    """
    return "\n".join(map(_reword_line, text.split("\n"))) if _NAMES.get() else text


def tell(line: str) -> None:
    """Print a line on stderr, with settings called as `calling_settings` says."""
    print(reword(line), file=sys.stderr)


def _reword_line(line: str) -> str:
    if line.startswith("params.yaml"):
        return line
    # Where the settings of a command line are from need not be said.
    line = re.sub(rf"^(?:settings|execution): (?:(?:{'|'.join(SECTIONS)}): )?", "", line)
    # An apostrophe after a letter opens no quotation.
    pieces = re.split(r"""((?<!\w)'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", line)
    pieces[::2] = [_reword_piece(piece, number == 0) for number, piece in enumerate(pieces[::2])]
    return "".join(pieces)


def _reword_piece(piece: str, is_first: bool) -> str:
    names = _NAMES.get()

    def call(found: re.Match[str]) -> str:
        is_word = found["name"] in ORDINARY_WORDS and not found["section"] and not (is_first and found.start() == 0)
        return found[0] if is_word else names[found["name"]]

    # Neither part of another name, nor of a path.
    pattern = rf"(?<![\w./-])(?P<section>(?:{'|'.join(SECTIONS)})\.)?(?P<name>{'|'.join(names)})(?![\w/-]|\.\w)"
    return re.sub(pattern, call, piece)
