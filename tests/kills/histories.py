"""Histories in which the real command is killed at random moments, until one process may complete."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.settings import TransportName
from pipeline.simulator import Decision, Entry, Simulator
from tests.kills import promises
from tests.kills.children import CommandResult
from tests.kills.exports import Export
from tests.kills.workspace import NO_RUN, Workspace, end_of, wait_until

# Share of the processes that are killed after the first one.
_KILLED_AGAIN = 0.7
# Share of the kills while requests are sent, which takes the smaller part of the time.
_WHILE_SENDING = 0.7
# Share of an usual_seconds run's time before which no ledger is open.
_EARLIEST = 0.2


@dataclass(slots=True)
class Figures:
    """Figures of many histories; `resent` has one number for each kill."""

    bound: int
    kills: int = 0
    while_sending: int = 0
    histories: int = 0
    requests: int = 0
    resent: list[int] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        """Return the figures as one line."""
        mean = sum(self.resent) / max(1, len(self.resent))
        return (
            f"{self.kills} kills ({self.while_sending} while sending) in {self.histories} histories, "
            f"{self.requests} requests; sent again after a kill: at most {max(self.resent, default=0)}, "
            f"mean {mean:.2f}, bound {self.bound}; {self.seconds:.0f} s"
        )


class Killer:
    """Plays histories of one export, with kills drawn from a seed, and checks the promises."""

    def __init__(
        self,
        folder: Path,
        simulator: Simulator,
        export: Export,
        *,
        seed: int,
        concurrency: int = 8,
        transport: TransportName = TransportName.REQUESTS,
    ) -> None:
        self._folder = folder
        self._simulator = simulator
        self._export = export
        self._concurrency = concurrency
        self._transport = transport
        self._seed = seed
        self._chance = random.Random(seed)
        self._ends: list[float] = []
        self.figures = Figures(bound=2 * concurrency)

    def play(self, kills: int, log: Callable[[str], None] = lambda _: None) -> Figures:
        """Play histories until `kills` processes were killed; raise AssertionError if a promise is broken."""
        began = time.monotonic()
        usual_seconds = self._seconds_undisturbed()
        while self.figures.kills < kills:
            try:
                self._play_one(usual_seconds, kills)
            except AssertionError as exc:
                exc.add_note(
                    f"seed {self._seed}, history {self.figures.histories}, after {len(self._ends)} kills in it"
                )
                raise
            self.figures.seconds = time.monotonic() - began
            log(str(self.figures))
        return self.figures

    def _new_workspace(self) -> Workspace:
        folder = self._folder / str(self.figures.histories)
        self.figures.histories += 1
        self._ends = []
        return self._make_workspace(folder)

    def _make_workspace(self, folder: Path) -> Workspace:
        return Workspace(
            folder, self._simulator, self._export, concurrency=self._concurrency, transport=self._transport
        )

    def _seconds_undisturbed(self) -> float:
        began = time.monotonic()
        workspace = self._new_workspace()
        self._check(workspace, workspace.command("run", self._export.job))
        return time.monotonic() - began

    def _play_one(self, usual_seconds: float, kills: int) -> None:
        workspace = self._new_workspace()
        ended = self._kill_or_end(workspace, usual_seconds, "run", self._export.job)
        while ended is None or NO_RUN in ended.stderr:
            words = ("resume", "last") if ended is None else ("run", self._export.job)
            may_complete = self.figures.kills >= kills or self._chance.random() > _KILLED_AGAIN
            ended = workspace.command(*words) if may_complete else self._kill_or_end(workspace, usual_seconds, *words)
        self._check(workspace, ended)

    def _kill_or_end(self, workspace: Workspace, usual_seconds: float, *words: str) -> CommandResult | None:
        """Kill the command at a random moment; return its result if it ended before."""
        process = workspace.start(*words)
        is_due = self._while_it_sends() if self._chance.random() < _WHILE_SENDING else self._any_time(usual_seconds)
        wait_until(lambda: process.poll() is not None or is_due())
        if process.poll() is not None:
            return end_of(process)
        process.kill()
        process.communicate()
        self._note_kill()
        return None

    def _any_time(self, usual_seconds: float) -> Callable[[], bool]:
        due = time.monotonic() + usual_seconds * self._chance.uniform(_EARLIEST, 1.0)
        return lambda: time.monotonic() >= due

    def _while_it_sends(self) -> Callable[[], bool]:
        """Return a condition that is true after a random number of the remaining requests."""
        journal = self._simulator.journal
        seen = len(journal.entries)
        wanted = seen + self._chance.randint(1, max(1, len(self._export.keys) - len(journal.applied_keys())))
        return lambda: len(journal.entries) >= wanted

    def _note_kill(self) -> None:
        self._ends.append(time.monotonic())
        self.figures.kills += 1
        applied = len(self._simulator.journal.decided(Decision.APPLIED))
        self.figures.while_sending += 0 < applied < len(self._export.keys)

    def _check(self, workspace: Workspace, ended: CommandResult) -> None:
        entries = self._simulator.journal.entries
        assert ended.exit_code == self._export.exit_code, ended.stderr
        promises.all_rows_are_done(self._export, workspace.outcomes(), entries)
        if self._export.job == "points":
            promises.the_quota_was_kept(entries)
        self._count(entries)

    def _count(self, entries: tuple[Entry, ...]) -> None:
        resent = promises.resent_by_end(entries, self._ends)
        assert max(resent, default=0) <= self.figures.bound, f"after one kill {max(resent)} requests were sent again"
        self.figures.resent += resent
        self.figures.requests += len(entries)
