"""The CPU time of a server with many processes, and that of other programs."""

import subprocess
import sys
import time

from benchmarks.measure import Cost
from benchmarks.postgresql import cpu_seconds_of, shared_cost

_WORKED_SECONDS = 0.2
# Works, says so, and waits until its input ends. With an argument it first starts that program, and waits for it.
_SERVER = f"""
import subprocess, sys, time
if len(sys.argv) > 1:
    subprocess.run([sys.executable, "-c", sys.argv[1]], stdin=subprocess.DEVNULL, check=True)
while time.process_time() < {_WORKED_SECONDS}:
    pass
print("done", flush=True)
sys.stdin.read()
"""


def test_the_cpu_time_of_a_server_includes_that_of_ended_processes() -> None:
    """Twice the time of one process, as its child worked too, and has ended."""
    command = [sys.executable, "-c", _SERVER, _SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as server:
        assert server.stdout is not None
        said = [server.stdout.readline() for _ in range(2)]
        seconds = cpu_seconds_of(server.pid)
        server.communicate("")

    assert said == ["done\n", "done\n"]
    # A tick of the system's clock is 10 ms.
    assert seconds >= 2 * _WORKED_SECONDS - 0.05


def test_the_load_of_others_is_what_the_command_did_not_use() -> None:
    """Work of this process counts as that of others, in cores."""

    def act() -> Cost:
        began, worked = time.perf_counter(), time.process_time()
        while time.process_time() < worked + _WORKED_SECONDS:
            pass
        return Cost(time.perf_counter() - began, 0.0, 1.0)

    found = shared_cost(None, act)

    assert found.server_seconds == 0.0
    assert found.others >= (_WORKED_SECONDS - 0.05) / found.cost.wall_seconds
