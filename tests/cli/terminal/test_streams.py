"""Streams that never fail."""

import errno
import io
import os
import sys

import pytest

from pipeline.cli.terminal.streams import OutputStream, output_streams


class Failing(io.StringIO):
    """A stream whose writes fail with an error."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def write(self, text: str) -> int:
        raise OSError(self._number, os.strerror(self._number))

    def flush(self) -> None:
        raise OSError(self._number, os.strerror(self._number))


@pytest.mark.parametrize(
    ("number", "loss"),
    [
        pytest.param(errno.EPIPE, None, id="nobody reads any more"),
        pytest.param(errno.EBADF, None, id="closed"),
        pytest.param(errno.EIO, os.strerror(errno.EIO), id="the terminal has gone"),
        pytest.param(errno.ENOSPC, os.strerror(errno.ENOSPC), id="the disk is full"),
    ],
)
def test_text_that_can_not_be_written_is_dropped(number: int, loss: str | None) -> None:
    """Write and flush never fail; a relevant loss keeps its cause."""
    output = OutputStream(Failing(number))

    assert (output.write("lost"), output.loss) == (4, loss)
    output.flush()
    assert output.loss == loss


def test_text_is_written_if_possible() -> None:
    """Text is written, and `isatty` is that of the stream."""
    stream = io.StringIO()
    output = OutputStream(stream)
    output.write("kept")
    output.flush()
    output.close()

    assert (stream.getvalue(), output.loss, output.isatty()) == ("kept", None, False)


def test_without_a_stream_all_text_is_dropped() -> None:
    """Without a stream, because the descriptor was closed, text is dropped without a loss."""
    output = OutputStream(None)
    output.write("nothing")
    output.flush()
    output.close()

    assert (output.loss, output.isatty()) == (None, False)


def test_buffered_text_at_the_end_causes_no_error() -> None:
    """A pipe without a reader is redirected to the null device, so that the process's last flush succeeds."""
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as stream:
        output = OutputStream(stream)
        output.write("buffered")
        output.close()

    assert (stream.closed, output.loss) == (True, None)


def test_stdout_and_stderr_are_restored(capsys: pytest.CaptureFixture[str]) -> None:
    """The streams of the process are replaced during a command only."""
    before = sys.stdout, sys.stderr
    with output_streams() as out:
        assert sys.stdout is out
        sys.stdout.write("text")

    assert ((sys.stdout, sys.stderr), capsys.readouterr().out) == (before, "text")
