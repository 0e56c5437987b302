"""The watch over all workers' verdicts."""

import threading

from pipeline.write.answers.verdict import Halt, Refused, Succeeded, Verdict
from pipeline.write.brakes.failure_streaks import EqualEndings, RefusalStreak
from pipeline.write.brakes.verdict_watch import FailureStreaks

ILLEGAL = Refused("REQUEST_ACCESS_ILLEGAL", "no access", halts_after=3)


def test_attempts_and_ends_are_watched_apart() -> None:
    """Attempts feed the suspicion, ends the monotony, and each has its own Halt."""
    streaks = FailureStreaks(RefusalStreak(), EqualEndings(limit=2))
    attempted = [streaks.attempted(row, ILLEGAL) for row in (1, 2, 3)]
    settled = [streaks.settled(Refused("X", "no")) for _ in range(2)]

    assert attempted == [
        None, None, Halt("REQUEST_ACCESS_ILLEGAL", "3 rows in a row ended alike: no access"),
    ]  # fmt: skip
    assert settled[0] is None
    assert settled[1] is not None
    assert settled[1].code == "X"


def test_workers_are_counted_one_at_a_time() -> None:
    """However many workers ask at once, the suspicion halts exactly when its number is full."""
    streaks = FailureStreaks(RefusalStreak(), EqualEndings())
    halts: list[Halt | None] = []
    together = threading.Barrier(4)

    def work(first: int) -> None:
        together.wait()
        halts.extend(streaks.attempted((first, n), Refused("X", "", halts_after=400)) for n in range(100))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(halt is not None for halt in halts) == 1


def test_a_success_ends_the_suspicion() -> None:
    """A row that is accepted shows that the caller is."""
    streaks = FailureStreaks(RefusalStreak(), EqualEndings())
    verdicts: list[Verdict] = [ILLEGAL, ILLEGAL, Succeeded("SUCCESS"), ILLEGAL, ILLEGAL]

    assert [streaks.attempted(row, verdict) for row, verdict in enumerate(verdicts)] == [None] * 5
