"""Stores that do not answer, and libraries that fail to open them."""

import datetime
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.read import find
from pipeline.read.files.interruptible import interruptible

_FIND = """
import datetime, pathlib, signal, sys
from pipeline.read import find
# A test run in the background inherits an ignored SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
find([sys.argv[1]], base=pathlib.Path("/"), date=datetime.date(2026, 3, 31))
"""

_SIGNALLED_AT_ONCE = """
import os, signal, threading
from pipeline.read.files.interruptible import interruptible

def call():
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait()

signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    interruptible(call, abandon=lambda: print("abandoned"))
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_signal_while_the_call_begins_abandons_it() -> None:
    """The thread of the call may run before the caller waits for it."""
    ended = subprocess.run(
        [sys.executable, "-c", _SIGNALLED_AT_ONCE], capture_output=True, text=True, timeout=30, check=True
    )
    assert ended.stdout.split() == ["abandoned", "interrupted"]


def test_a_signal_ends_a_call_to_a_silent_store() -> None:
    """Ctrl-C ends the command while a store does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        uri = f"s3://key:secret@bucket/x.csv?scheme=http&region=x&endpoint_override=127.0.0.1:{port}"
        process = subprocess.Popen([sys.executable, "-c", _FIND, uri], stderr=subprocess.PIPE, text=True)
        connection, _ = server.accept()
        with connection:
            connection.recv(1)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
    assert (process.returncode, said.splitlines()[-1]) == (-signal.SIGINT, "KeyboardInterrupt")


def test_results_and_exceptions_of_a_call_are_passed_on() -> None:
    """A call in another thread returns and raises as in this thread."""
    assert interruptible(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 / 0)


@pytest.mark.parametrize(
    "uri",
    ["fsspec+memory://x", "fsspec+memory://x/*.csv", "fsspec+none://x", "hf://x/y", "hdfs://", "abfs://x", "s3:///"],
)
def test_any_exception_of_a_library_is_a_source_error(uri: str) -> None:
    """A missing or failing library gives one sentence that names the URI."""
    with pytest.raises(SourceError, match=r"can't be (opened|read)|no export matches"):
        find([uri], base=Path("/"), date=datetime.date(2026, 3, 31))
