"""stdout and stderr as a command has them: whoever reads them may go away, and the command goes on."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, cast

_STDERR = 2


class OutputStream:
    """
    A text stream that never fails: what can't be written is dropped.

    So a run outlives a closed terminal, a pipe without a reader, and a full disk under its log. `loss` is the first
    reason why something was dropped that somebody may still want: whoever closed the descriptor, or reads no more,
    wants nothing. Without a stream all is dropped.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.loss: str | None = None

    def write(self, text: str) -> int:
        """Write a text, or drop it."""
        if self._stream is not None:
            with self._dropping():
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is held back, or drop it."""
        if self._stream is not None:
            with self._dropping():
                self._stream.flush()

    def isatty(self) -> bool:
        """Return whether people look at it."""
        return self._stream is not None and self._stream.isatty()

    def close(self) -> None:
        """Write what is held back; where that fails lead it to nothing, as the end of the process will try again."""
        if self._stream is None:
            return
        try:
            self._stream.flush()
        except OSError as error:
            self._note(error)
            _lead_to_nothing(self._stream.fileno())
            self._stream.flush()

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._note(error)

    def _note(self, error: OSError) -> None:
        if error.errno not in (errno.EPIPE, errno.EBADF):
            self.loss = self.loss or error.strerror or type(error).__name__


@contextmanager
def output_streams() -> Iterator[OutputStream]:
    """Put outlets in the places of stdout and stderr for a command, and hand out that of stdout."""
    _fill_closed_descriptors()
    before = sys.stdout, sys.stderr
    out, err = (OutputStream(_never_at_a_loss_for_letters(stream)) for stream in before)
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", err)
    try:
        yield out
    finally:
        sys.stdout, sys.stderr = before
        out.close()
        err.close()


def write_at_once(text: str) -> None:
    """
    Write a text to stderr from within a signal's handler, or drop it.

    Not through sys.stderr: what the signal interrupts may be writing there, and that must not be entered twice.
    """
    with suppress(OSError):
        os.write(_STDERR, text.encode(errors="backslashreplace"))


def _fill_closed_descriptors() -> None:
    """Lead closed standard descriptors to the null device: a ledger or a report must not be opened in their place."""
    for descriptor in range(_STDERR + 1):
        try:
            os.fstat(descriptor)
        except OSError:
            _lead_to_nothing(descriptor)


def _lead_to_nothing(descriptor: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    if nothing == descriptor:
        os.set_inheritable(nothing, True)
        return
    os.dup2(nothing, descriptor)
    os.close(nothing)


def _never_at_a_loss_for_letters(stream: TextIO | None) -> TextIO | None:
    """Have a stream escape what its encoding lacks: a folder's name is no reason to end with an error."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream
