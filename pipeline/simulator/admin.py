"""The simulator's own paths, for scripts that read its journal or set its faults."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Final

import orjson

from pipeline.errors import SettingsError
from pipeline.simulator.faults.fault_script import parse_faults
from pipeline.simulator.http.messages import Call, Reply
from pipeline.simulator.platform import Platform

PREFIX: Final = "/_simulator/"


class Admin:
    """Answers below `/_simulator/`: health, journal, summary, faults, reset."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._paths: dict[tuple[str, str], Callable[[Call], Reply]] = {
            ("GET", "health"): lambda _: _json({"status": "ok"}),
            ("GET", "journal"): lambda _: _json([asdict(entry) for entry in platform.journal.entries]),
            ("GET", "summary"): lambda _: _json(platform.journal.summary()),
            ("POST", "faults"): self._change_faults,
            ("POST", "reset"): self._reset,
        }

    def receive(self, call: Call) -> Reply:
        """Answer one request; 404 for an unknown path or method."""
        answer = self._paths.get((call.method, call.path.removeprefix(PREFIX)))
        return answer(call) if answer else Reply(404)

    def _change_faults(self, call: Call) -> Reply:
        try:
            faults = parse_faults(call.body.decode("utf-8", "replace"), "request body")
        except SettingsError as error:
            return _json({"errors": error.faults}, status=400)
        self._platform.set_faults(faults)
        return _json({"faults": len(faults)})

    def _reset(self, _call: Call) -> Reply:
        self._platform.reset()
        return _json({"status": "reset"})


def _json(value: object, *, status: int = 200) -> Reply:
    return Reply(status, (("Content-Type", "application/json"),), orjson.dumps(value))
