"""Signs that a worker is alive."""

from http.client import HTTPConnection
from pathlib import Path

import pytest

from pipeline.cli.worker.health import STALE_SECONDS, WorkerHealth, served
from pipeline.errors import SettingsError
from tests.moved_clock import MovedClock

LOOPBACK = ("127.0.0.1", 0)
OK, UNAVAILABLE, ABSENT = (200, b"ok\n"), (503, b"Service Unavailable\n"), (404, b"Not Found\n")


def answer(port: int | None, path: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.getheader("Server") == "backfill"
        return response.status, response.read()
    finally:
        connection.close()


def test_a_worker_is_healthy_while_its_loop_ticks() -> None:
    """It is alive from the start and ready from its first tick, until it did not tick for two minutes."""
    clock = MovedClock()
    health = WorkerHealth(None, clock)
    with served(health, LOOPBACK) as port:

        def answers() -> list[tuple[int, bytes]]:
            return [answer(port, path) for path in ("/healthz", "/livez", "/readyz", "/metrics")]

        begun = answers()
        health.tick()
        ticking = answers()
        clock.move(STALE_SECONDS)
        late = answers()
        clock.move(1)
        stale = answers()
        health.tick()
        again = answers()

    assert begun == [OK, OK, UNAVAILABLE, ABSENT]
    assert ticking == late == again == [OK, OK, OK, ABSENT]
    assert stale == [UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, ABSENT]


def test_the_file_is_touched_every_two_seconds(tmp_path: Path) -> None:
    """The file is touched at the start, and by ticks that are two seconds apart."""
    clock, path = MovedClock(), tmp_path / "alive"
    health = WorkerHealth(path, clock)
    seen = []
    for seconds in (0.0, 1.9, 0.1, 1.0):
        path.unlink(missing_ok=True)
        clock.move(seconds)
        health.tick()
        seen.append(path.exists())

    assert seen == [False, False, True, False]


def test_a_port_in_use_is_named() -> None:
    """A second worker of the host needs another port; without a port nothing is served."""
    health = WorkerHealth(None, MovedClock())
    with served(health, LOOPBACK) as port, served(health, None) as none:
        assert port is not None
        with pytest.raises(SettingsError) as refused, served(health, ("127.0.0.1", port)):
            pass

    assert (none, str(refused.value)) == (None, f"--health-port 127.0.0.1:{port} can't be used: Address already in use")
