"""Histories in which the server of the ledger crashes at random moments, under the real command."""

import time
from pathlib import Path
from threading import Event

from pipeline.simulator import Simulator
from tests.kills.children import CommandResult
from tests.kills.exports import Export
from tests.kills.histories import Killer
from tests.kills.workspace import Workspace, end_of, wait_until
from tests.postgresql.proxy import Proxy
from tests.postgresql.server import PostgresServer

# Share of the crashes right after a commit, whose answer is lost.
_AT_COMMIT = 0.5
# Exit code of a command whose ledger can't be used.
_NO_LEDGER = 2


def use_ledger(workspace: Workspace, url: str) -> None:
    """Put the ledger of a workspace on a server."""
    config = workspace.folder / "backfill.toml"
    config.write_text(f'[ledger]\nurl = "{url}"\n' + config.read_text(encoding="utf-8"), encoding="utf-8")


class Crasher(Killer):
    """
    Plays histories with crashes of the server, drawn from a seed, and checks the promises.

    The server is started again at once, and the command goes on. One that ended meanwhile is resumed.
    """

    def __init__(
        self, folder: Path, simulator: Simulator, export: Export, *, seed: int, server: PostgresServer, proxy: Proxy
    ) -> None:
        super().__init__(folder, simulator, export, seed=seed)
        self._server, self._proxy = server, proxy
        self.at_commit = 0

    def _make_workspace(self, folder: Path) -> Workspace:
        workspace = super()._make_workspace(folder)
        database = self._server.database().rpartition("/")[2]
        use_ledger(workspace, f"postgresql://postgres@127.0.0.1:{self._proxy.port}/{database}")
        return workspace

    def _kill_or_end(self, workspace: Workspace, usual_seconds: float, *words: str) -> CommandResult | None:
        """Crash the server at a random moment of the command; return its result, unless the ledger failed it."""
        process = workspace.start(*words)
        is_due = self._while_it_sends() if self._chance.random() < 0.7 else self._any_time(usual_seconds)
        wait_until(lambda: process.poll() is not None or is_due())
        if process.poll() is None:
            if self._chance.random() < _AT_COMMIT:
                lost = Event()
                self._proxy.lose_answer(lost.set)
                wait_until(lambda: process.poll() is not None or lost.is_set())
                self.at_commit += lost.is_set()
            self._server.kill()
            self._server.start()
            self._note_crash()
        ended = end_of(process)
        if ended.exit_code != _NO_LEDGER:
            return ended
        self._ends.append(time.monotonic())
        return None

    def _note_crash(self) -> None:
        self._note_kill()
        # The command lives on: what it sends again is no consequence of the crash.
        self._ends.pop()
