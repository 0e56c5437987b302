"""stdout and stderr that never fail: if the reader goes away, the command continues."""

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
    A text stream that never fails: it drops text that can't be written.

    So a run survives a closed terminal, a pipe without a reader, and a full disk under its log. `loss` is the first
    cause of dropped text, except a closed descriptor or pipe, where nobody reads. Without a stream all text is dropped.
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
        """Write buffered text, or drop it."""
        if self._stream is not None:
            with self._dropping():
                self._stream.flush()

    @property
    def encoding(self) -> str:
        """The encoding of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def close(self) -> None:
        """Write buffered text. If that fails, redirect it to the null device, because the process's end tries again."""
        if self._stream is None:
            return
        try:
            self._stream.flush()
        except OSError as error:
            self._note(error)
            _redirect_to_null(self._stream.fileno())
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
    """Replace stdout and stderr during a command; yield the stream of stdout."""
    _fill_closed_descriptors()
    before = sys.stdout, sys.stderr
    out, err = (OutputStream(_with_escapes(stream)) for stream in before)
    sys.stdout, sys.stderr = cast("TextIO", out), cast("TextIO", err)
    try:
        yield out
    finally:
        sys.stdout, sys.stderr = before
        out.close()
        err.close()


def write_at_once(text: str) -> None:
    """
    Write a text to stderr from a signal handler, or drop it.

    Not through sys.stderr, because the signal may interrupt a write there, which is not reentrant.
    """
    with suppress(OSError):
        os.write(_STDERR, text.encode(errors="backslashreplace"))


def _fill_closed_descriptors() -> None:
    """Open closed standard descriptors on the null device, so that no ledger or report gets their numbers."""
    for descriptor in range(_STDERR + 1):
        try:
            os.fstat(descriptor)
        except OSError:
            _redirect_to_null(descriptor)


def _redirect_to_null(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null == descriptor:
        os.set_inheritable(null, True)
        return
    os.dup2(null, descriptor)
    os.close(null)


def _with_escapes(stream: TextIO | None) -> TextIO | None:
    """Make a stream escape characters that its encoding lacks, such as in a folder's name."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream
