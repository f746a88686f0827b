import errno
import os
import signal

import pytest

from boomerang.base import errors


@pytest.fixture(autouse=True)
def keep_handlers():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (errors.SettingsError("lr is bad"), 2, "error: lr is bad"),
        (errors.DataError("row 2 is bad"), 3, "error: row 2 is bad"),
        (errors.ArtifactError("a.pth is bad"), 4, "error: a.pth is bad"),
        (errors.TrainingError("loss is bad"), 5, "error: loss is bad"),
        (errors.BusyError("out is busy"), 6, "error: out is busy"),
        (OSError(errno.ENOSPC, "No space left on device", "a"), 1, "error: [Errno 28] No space left on device: 'a'"),
        (RuntimeError("new"), 1, "error: RuntimeError: new (--debug or BOOMERANG_DEBUG=1 shows where)"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_every_error_is_a_line_and_an_exit_code(capsys, error, code, line):
    with pytest.raises(SystemExit) as caught, errors.exit_on_error():
        raise error
    assert caught.value.code == code
    assert capsys.readouterr().err == f"{line}\n"


def test_debug_lets_the_error_through(monkeypatch):
    with pytest.raises(errors.DataError), errors.exit_on_error(debug=True):
        raise errors.DataError("x")
    monkeypatch.setenv("BOOMERANG_DEBUG", "1")
    with pytest.raises(errors.DataError), errors.exit_on_error():
        raise errors.DataError("x")


def test_sigterm_ends_the_body_in_good_order():
    with pytest.raises(SystemExit) as caught, errors.exit_on_error():
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.code == 128 + signal.SIGTERM
