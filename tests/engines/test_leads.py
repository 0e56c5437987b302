"""Threads that lead other processes."""

import signal
import sys
from functools import partial
from typing import IO

import pytest

from pipeline.engines.leads import Leads
from pipeline.engines.processes import ProcessGroup

ECHO = [sys.executable, "-S", "-c", "print(input(), flush=True)"]
FROZEN = [sys.executable, "-S", "-c", "import signal; print(flush=True); signal.pause()"]


def group(command: list[str], count: int) -> ProcessGroup:
    return ProcessGroup(command, count, patience=0, is_read=True)


def test_each_process_has_a_thread_that_speaks_with_it() -> None:
    """`wait` returns once all threads are done, and calls `tick` meanwhile."""
    said, ticks = list[bytes](), list[None]()

    def lead(tasks: IO[bytes], answers: IO[bytes]) -> None:
        with answers:
            tasks.write(b"a word\n")
            tasks.flush()
            said.append(answers.readline())

    with Leads(partial(group, ECHO, 2), lead) as leads:
        leads.wait(lambda: ticks.append(None))

    assert said == [b"a word\n"] * 2
    assert ticks


def test_none_is_led_where_none_can_be_started() -> None:
    """The context has no threads, and `wait` returns at once."""
    with Leads(partial(group, ["/nowhere/python"], 2), lambda *_: pytest.fail("led")) as leads:
        leads.wait(lambda: pytest.fail("waited"))


def test_a_frozen_process_ends_with_the_context_and_so_does_its_thread() -> None:
    """The thread reads the end of the output; the process was killed."""
    groups, read = list[ProcessGroup](), list[bytes]()

    def start() -> ProcessGroup:
        groups.append(group(FROZEN, 1))
        return groups[0]

    def lead(_tasks: IO[bytes], answers: IO[bytes]) -> None:
        with answers:
            read.extend((answers.readline(), answers.readline()))

    def tick() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Leads(start, lead) as leads:
        leads.wait(tick)

    assert read == [b"\n", b""]
    assert [process.returncode for process in groups[0]._processes] == [-signal.SIGKILL]
