"""stdout and stderr that may be lost."""

import errno
import io
import os
import sys

import pytest

from pipeline.cli.streams import OutputStream, output_streams


class Failing(io.StringIO):
    """A stream that takes nothing, and says why."""

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
def test_what_can_not_be_written_is_dropped(number: int, loss: str | None) -> None:
    """Writing and flushing never fail; a loss that somebody may mind keeps its reason."""
    output = OutputStream(Failing(number))

    assert (output.write("lost"), output.loss) == (4, loss)
    output.flush()
    assert output.loss == loss


def test_an_outlet_writes_through_where_it_can() -> None:
    """What can be written is written, and whether people look is told."""
    stream = io.StringIO()
    output = OutputStream(stream)
    output.write("kept")
    output.flush()
    output.close()

    assert (stream.getvalue(), output.loss, output.isatty()) == ("kept", None, False)


def test_an_outlet_without_a_stream_drops_all() -> None:
    """Where the descriptor was closed from the start there is no stream, and nothing is missed."""
    output = OutputStream(None)
    output.write("nothing")
    output.flush()
    output.close()

    assert (output.loss, output.isatty()) == (None, False)


def test_what_is_held_back_at_the_end_fails_nobody() -> None:
    """A pipe that nobody reads is led to the null device, so that the last flush of the process succeeds."""
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "w") as stream:
        output = OutputStream(stream)
        output.write("held back")
        output.close()

    assert (stream.closed, output.loss) == (True, None)


def test_stdout_and_stderr_are_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    """The streams of the process are outlets for the time of a command alone."""
    before = sys.stdout, sys.stderr
    with output_streams() as out:
        assert sys.stdout is out
        sys.stdout.write("told")

    assert ((sys.stdout, sys.stderr), capsys.readouterr().out) == (before, "told")
