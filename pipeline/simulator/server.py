"""The simulator: a local HTTP server that behaves like the four APIs."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from pipeline.clock import Clock, SystemClock
from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.simulator.admin import PREFIX, Admin
from pipeline.simulator.faults.fault import InjectedFault
from pipeline.simulator.faults.fault_script import load_faults
from pipeline.simulator.http.messages import Answer, Call
from pipeline.simulator.http.server import HttpServer
from pipeline.simulator.identities import Identities, default_identities
from pipeline.simulator.platform import Platform
from pipeline.simulator.ruling import Api
from pipeline.simulator.state.client_files import client_config, write_client_keys
from pipeline.simulator.state.journal import Journal

__all__ = ["Simulator", "client_config", "load_faults", "write_client_keys"]

# Requests per second: per service-provider merchant id (wechatpay-v3-points.md, section 1), and per brand id
# (wechatpay-brand-points.md, section 1).
LIMITS: Mapping[str, int] = MappingProxyType({Api.POINTS.value: 5, Api.BRAND_POINTS.value: 10})


class Simulator(AbstractContextManager["Simulator"]):
    """
    Serves on loopback inside its `with` block; port 0 takes a free port.

    `limits` are requests per second by API name; other APIs have no limit. `clock` gives arrivals and timestamps, and
    waits for `slow`. `seed` fixes random faults. Raises SettingsError for wrong faults or limits, an unusable journal
    or port, and a port in use.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        identities: Identities | None = None,
        faults: Sequence[InjectedFault] = (),
        limits: Mapping[str, int] = LIMITS,
        clock: Clock | None = None,
        seed: int = 0,
        journal_path: Path | None = None,
    ) -> None:
        wrong = _wrong_limits(limits)
        if wrong:
            raise SettingsError(wrong)
        self._port = port
        self._clock = clock or SystemClock()
        self._platform = Platform(
            identities or default_identities(),
            faults=faults,
            limits=limits,
            clock=self._clock,
            seed=seed,
            journal_path=journal_path,
        )
        self._admin = Admin(self._platform)
        self._stopped = threading.Event()
        self._closing = ExitStack()
        self._server: HttpServer | None = None

    def __enter__(self) -> Self:
        try:
            server = HttpServer(self._port, self._receive, self._clock)
        except OSError as error:
            raise SettingsError(
                [t("can't listen on port {port}: {reason}", port=self._port, reason=error.strerror)]
            ) from error
        except OverflowError as error:
            raise SettingsError([t("port {port} is not between 0 (a free port) and 65535", port=self._port)]) from error
        self._closing.callback(server.server_close)
        try:
            self._closing.enter_context(self.journal)
        except SettingsError:
            self._closing.close()
            raise
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="simulator", daemon=True)
        thread.start()
        self._server = server
        for step in (server.close_connections, thread.join, server.shutdown):
            self._closing.callback(step)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server = None
        self._closing.close()

    @property
    def url(self) -> str:
        """Return the address, `http://127.0.0.1:PORT`. Raises RuntimeError outside the `with` block."""
        if self._server is None:
            raise RuntimeError("the simulator has an address only inside its `with` block")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def journal(self) -> Journal:
        """Return the requests received and the decisions."""
        return self._platform.journal

    def set_faults(self, faults: Sequence[InjectedFault]) -> None:
        """Replace the faults in force, and reset their counts."""
        self._platform.set_faults(faults)

    def reset(self) -> None:
        """Forget all requests; restore the faults of the start."""
        self._platform.reset()

    def serve_forever(self) -> None:
        """Serve until `stop` is called."""
        # In steps, because an endless wait would not notice a signal delivered to another thread.
        while not self._stopped.wait(0.2):
            pass

    def stop(self) -> None:
        """End `serve_forever`; safe in a signal handler."""
        self._stopped.set()

    def _receive(self, call: Call) -> Answer:
        return self._admin.receive(call) if call.path.startswith(PREFIX) else self._platform.receive(call)


def _wrong_limits(limits: Mapping[str, int]) -> list[str]:
    unknown = [
        t("limits: {name!r} is not an API; choose one of {apis}", name=name, apis=", ".join(Api))
        for name in limits
        if name not in set(Api)
    ]
    low = [
        t("limits: {name} is {limit}, but must be at least 1", name=name, limit=limit)
        for name, limit in limits.items()
        if limit < 1
    ]
    return unknown + low
