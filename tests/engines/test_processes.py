"""Processes that end with the one that started them."""

import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from pipeline.engines.processes import ProcessGroup

UNTIL_INPUT_ENDS = [sys.executable, "-c", "import sys; sys.stdin.read()"]


def test_processes_end_with_the_context() -> None:
    """Each gets the end of its input; none is left, and none counts as ended before."""
    with ProcessGroup(UNTIL_INPUT_ENDS, 2, patience=30.0) as group:
        before = group.ended()
        processes = list(group._processes)

    assert before == []
    assert [process.returncode for process in processes] == [0, 0]


def test_a_process_that_died_is_named_once() -> None:
    """Its PID and exit code; the others go on."""
    with ProcessGroup(UNTIL_INPUT_ENDS, 2, patience=30.0) as group:
        victim = group._processes[0]
        victim.kill()
        victim.wait()
        found = group.ended(), group.ended()

    assert found == ([(victim.pid, -signal.SIGKILL)], [])


def test_a_process_that_does_not_end_is_killed() -> None:
    """After the patience."""
    with ProcessGroup([sys.executable, "-c", "import time; time.sleep(600)"], 1, patience=0.0) as group:
        (process,) = group._processes

    assert process.returncode == -signal.SIGKILL


def test_processes_have_the_open_files(tmp_path: Path) -> None:
    """Each writes into the file that this process has open, and will read."""
    with (tmp_path / "shared").open("w+b") as file:
        writes = [sys.executable, "-c", f"import os; os.write({file.fileno()}, b'row')"]
        with ProcessGroup(writes, 2, patience=30.0, files=[file.fileno()]):
            pass
        file.seek(0)

        assert file.read() == b"rowrow"


def test_processes_end_if_the_one_that_started_them_is_killed(tmp_path: Path) -> None:
    """Their input ends with it."""
    parent = textwrap.dedent(f"""
        import os, signal, sys
        from pipeline.engines.processes import ProcessGroup
        child = [sys.executable, "-c", "import sys; sys.stdin.read(); open({str(tmp_path / "ended")!r}, 'w')"]
        with ProcessGroup(child, 1, patience=30.0) as group:
            print(group._processes[0].pid, flush=True)
            sys.stdin.read()
    """)
    started = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert started.stdin is not None
    assert started.stdout is not None
    child = os.pidfd_open(int(started.stdout.readline()))
    started.kill()
    started.communicate()
    # Readable once the process has ended.
    assert select.select([child], [], [], 30.0)[0] == [child]
    os.close(child)
    assert (tmp_path / "ended").exists()
