"""Histories in which the real command is killed at random moments, until a process is left to end by itself."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.settings import TransportName
from pipeline.simulator import Decision, Entry, Simulator
from tests.kills import laws
from tests.kills.children import Ended
from tests.kills.exports import Export
from tests.kills.scene import NO_RUN, Scene, end_of, wait_until

# So often the next process is killed too.
_KILLED_AGAIN = 0.7
# And so often it is while requests go out, which is the smaller part of a process's time.
_WHILE_SENDING = 0.7
# Of the time that an undisturbed run takes: before that a process has not even opened its ledger.
_EARLIEST = 0.2


@dataclass(slots=True)
class Figures:
    """What was seen over many histories; `repeats` has one number for each kill."""

    bound: int
    kills: int = 0
    while_sending: int = 0
    histories: int = 0
    requests: int = 0
    repeats: list[int] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        """Return the figures as one line."""
        mean = sum(self.repeats) / max(1, len(self.repeats))
        return (
            f"{self.kills} kills ({self.while_sending} while sending) in {self.histories} histories, "
            f"{self.requests} requests; repeats after a kill: at most {max(self.repeats, default=0)}, "
            f"mean {mean:.2f}, bound {self.bound}; {self.seconds:.0f} s"
        )


class Killer:
    """Plays histories of one export, with kills drawn from a seed, and holds each against the laws."""

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

    def play(self, kills: int, tell: Callable[[str], None] = lambda _: None) -> Figures:
        """Play histories until that many processes were killed; raise AssertionError where a law is broken."""
        began = time.monotonic()
        undisturbed = self._seconds_undisturbed()
        while self.figures.kills < kills:
            try:
                self._play_one(undisturbed, kills)
            except AssertionError as exc:
                exc.add_note(
                    f"seed {self._seed}, history {self.figures.histories}, after {len(self._ends)} kills in it"
                )
                raise
            self.figures.seconds = time.monotonic() - began
            tell(str(self.figures))
        return self.figures

    def _scene(self) -> Scene:
        folder = self._folder / str(self.figures.histories)
        self.figures.histories += 1
        self._ends = []
        return Scene(folder, self._simulator, self._export, concurrency=self._concurrency, transport=self._transport)

    def _seconds_undisturbed(self) -> float:
        began = time.monotonic()
        scene = self._scene()
        self._hold(scene, scene.command("run", self._export.job))
        return time.monotonic() - began

    def _play_one(self, undisturbed: float, kills: int) -> None:
        scene = self._scene()
        ended = self._kill_or_end(scene, undisturbed, "run", self._export.job)
        while ended is None or NO_RUN in ended.stderr:
            words = ("resume", "last") if ended is None else ("run", self._export.job)
            is_spared = self.figures.kills >= kills or self._chance.random() > _KILLED_AGAIN
            ended = scene.command(*words) if is_spared else self._kill_or_end(scene, undisturbed, *words)
        self._hold(scene, ended)

    def _kill_or_end(self, scene: Scene, undisturbed: float, *words: str) -> Ended | None:
        """Kill the command at a random moment; return how it ended where it was sooner."""
        process = scene.start(*words)
        is_due = self._while_it_sends() if self._chance.random() < _WHILE_SENDING else self._any_time(undisturbed)
        wait_until(lambda: process.poll() is not None or is_due())
        if process.poll() is not None:
            return end_of(process)
        process.kill()
        process.communicate()
        self._note_kill()
        return None

    def _any_time(self, undisturbed: float) -> Callable[[], bool]:
        due = time.monotonic() + undisturbed * self._chance.uniform(_EARLIEST, 1.0)
        return lambda: time.monotonic() >= due

    def _while_it_sends(self) -> Callable[[], bool]:
        """Return what tells that so many of the requests that are left have come."""
        journal = self._simulator.journal
        seen = len(journal.entries)
        wanted = seen + self._chance.randint(1, max(1, len(self._export.keys) - len(journal.applied_keys())))
        return lambda: len(journal.entries) >= wanted

    def _note_kill(self) -> None:
        self._ends.append(time.monotonic())
        self.figures.kills += 1
        applied = len(self._simulator.journal.decided(Decision.APPLIED))
        self.figures.while_sending += 0 < applied < len(self._export.keys)

    def _hold(self, scene: Scene, ended: Ended) -> None:
        entries = self._simulator.journal.entries
        assert ended.exit_code == self._export.exit_code, ended.stderr
        laws.all_is_done(self._export, scene.outcomes(), entries)
        if self._export.job == "points":
            laws.the_quota_was_kept(entries)
        self._count(entries)

    def _count(self, entries: tuple[Entry, ...]) -> None:
        repeats = laws.duplicates_by_end(entries, self._ends)
        assert max(repeats, default=0) <= self.figures.bound, f"after one kill {max(repeats)} requests were repeated"
        self.figures.repeats += repeats
        self.figures.requests += len(entries)
