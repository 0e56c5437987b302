"""Failure streaks: equal failures that halt a run."""

import threading
from collections.abc import Hashable

import pytest

from pipeline.write.answers.verdict import Halt, Open, Refused, Succeeded, TryAgain, Verdict
from pipeline.write.brakes.failure_streaks import FailureStreaks

NO_ACCESS = Refused("REQUEST_ACCESS_ILLEGAL", "no access", settles_doubt=False, halts_after=3)
WRONG_FIELD = Refused("INVALID_PARAMETER", "wrong field")
FORGED = TryAgain("signature_invalid", "forged", may_have_acted=True, halts_after=3)
STALE = TryAgain("answer_stale", "stale", may_have_acted=True, tries=2, halts_after=2)
CIPHER = TryAgain("isv.invalid-encrypt", "cipher", may_have_acted=False, tries=2, halts_after=2)
TIMEOUT = TryAgain("timeout", "no answer", may_have_acted=True, platform_down=True)
THROTTLED = TryAgain("http_429", "too many", may_have_acted=False, slow=True)
SYSTEM_ERROR = TryAgain("SYSTEM_ERROR", "fault", may_have_acted=True)
DONE = Succeeded("SUCCESS")

Attempt = tuple[Hashable, Verdict]


def first_halt(*attempts: Attempt) -> tuple[int, Halt] | None:
    """Return the number of the first verdict that halts the run, counted from 1, and its Halt."""
    streaks = FailureStreaks()
    for number, (row, verdict) in enumerate(attempts, 1):
        if halt := streaks.attempted(row, verdict):
            return number, halt
    return None


@pytest.mark.parametrize(
    ("attempts", "halt"),
    [
        pytest.param(
            [(1, NO_ACCESS), (2, NO_ACCESS), (3, NO_ACCESS)],
            (3, Halt("REQUEST_ACCESS_ILLEGAL", "3 rows in a row failed the same way: no access")),
            id="access-refused-three-rows",
        ),
        pytest.param(
            [(1, FORGED), (2, FORGED), (3, FORGED)],
            (3, Halt("signature_invalid", "3 rows in a row failed the same way: forged", may_have_acted=True)),
            id="success-unproven-three-rows",
        ),
        pytest.param([(1, FORGED)] * 6, None, id="success-unproven-six-attempts-of-one-row"),
        pytest.param(
            [(1, FORGED), (2, TIMEOUT), (2, FORGED), (3, THROTTLED), (3, FORGED)],
            (5, Halt("signature_invalid", "3 rows in a row failed the same way: forged", may_have_acted=True)),
            id="lost-and-throttled-do-not-interrupt",
        ),
        pytest.param([(1, FORGED), (2, FORGED), (4, DONE), (3, FORGED)], None, id="a-success-interrupts"),
        pytest.param(
            [(1, FORGED), (2, FORGED), (4, DONE), (1, FORGED), (2, FORGED), (3, FORGED), (1, FORGED)],
            None,
            id="repeats-of-rows-at-fault-do-not-count",
        ),
        pytest.param(
            [(1, FORGED), (2, DONE), (1, FORGED), (3, FORGED), (4, FORGED), (5, FORGED)],
            (6, Halt("signature_invalid", "3 rows in a row failed the same way: forged", may_have_acted=True)),
            id="other-rows-count-beside-a-row-at-fault",
        ),
        pytest.param(
            [(1, NO_ACCESS), (2, NO_ACCESS), (4, WRONG_FIELD), (3, NO_ACCESS)], None, id="another-refusal-interrupts"
        ),
        pytest.param(
            [(1, NO_ACCESS), (2, NO_ACCESS), (4, Open("echo_differs", "")), (3, NO_ACCESS)],
            None,
            id="an-open-row-interrupts",
        ),
        pytest.param(
            [(1, STALE), (1, STALE)],
            (2, Halt("answer_stale", "2 attempts of one row failed the same way: stale", may_have_acted=True)),
            id="answer-stale-retry-of-one-row",
        ),
        pytest.param([(1, STALE), (2, STALE), (3, STALE)], None, id="answer-stale-three-rows"),
        pytest.param(
            [(1, CIPHER), (2, CIPHER), (1, CIPHER)],
            (3, Halt("isv.invalid-encrypt", "2 attempts of one row failed the same way: cipher")),
            id="encryption-refused-retry-of-one-row",
        ),
        pytest.param([(n, WRONG_FIELD) for n in range(50)], None, id="refusals-of-rows-are-not-counted"),
        pytest.param([(n, SYSTEM_ERROR) for n in range(50)], None, id="faults-of-the-platform-are-not-counted"),
    ],
)
def test_a_streak_halts_the_run(attempts: list[Attempt], halt: tuple[int, Halt] | None) -> None:
    """A streak of `halts_after` rows halts the run; with bounded tries, a streak of attempts of one row does."""
    assert first_halt(*attempts) == halt


def test_a_row_that_ended_counts_again() -> None:
    """A settled row that comes again in a later lane starts without failures."""
    streaks = FailureStreaks()
    streaks.attempted(1, FORGED)
    streaks.attempted(2, DONE)
    streaks.forget(1)

    assert [streaks.attempted(row, FORGED) is None for row in (1, 3, 4)] == [True, True, False]


def settled(*verdicts: Verdict, limit: int = 3) -> list[Halt | None]:
    streaks = FailureStreaks(equal_endings=limit)
    return [streaks.settled(verdict) for verdict in verdicts]


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(WRONG_FIELD, id="refused"),
        pytest.param(SYSTEM_ERROR, id="system-error"),
        pytest.param(Open("echo_differs", "differs"), id="open"),
    ],
)
def test_equal_endings_from_the_start_halt_the_run(failure: Refused | TryAgain | Open) -> None:
    """If all rows from the start end under one code, the run halts."""
    halt = Halt(
        failure.code,
        f"the first 3 rows all ended with {failure.code}; check the mapping, the account and the ids that all rows "
        f"share before going on. The last one: {failure.text}",
    )

    assert settled(failure, failure, failure) == [None, None, halt]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(DONE, id="a-success"),
        pytest.param(NO_ACCESS, id="another-code"),
        pytest.param(THROTTLED, id="a-row-left-unsent"),
        pytest.param(Halt("invalid-signature", ""), id="a-halt"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_other_ending_disables_the_limit(other: Verdict, place: int) -> None:
    """One row among the first that ends otherwise disables the limit for good."""
    verdicts: list[Verdict] = [WRONG_FIELD] * 9
    verdicts.insert(place, other)

    assert settled(*verdicts) == [None] * 10


def test_the_default_limit_is_20_rows() -> None:
    """By default the first 20 rows count."""
    halts = settled(*[WRONG_FIELD] * 20, limit=20)
    streaks = FailureStreaks()

    assert [streaks.settled(WRONG_FIELD) for _ in range(20)] == halts
    assert [halt is None for halt in halts] == [True] * 19 + [False]


def test_attempts_and_settlements_are_counted_separately() -> None:
    """Streaks of attempts and equal endings each have their own Halt."""
    streaks = FailureStreaks(equal_endings=2)
    attempted = [streaks.attempted(row, NO_ACCESS) for row in (1, 2, 3)]
    ended = [streaks.settled(Refused("X", "no")) for _ in range(2)]

    assert attempted == [
        None, None, Halt("REQUEST_ACCESS_ILLEGAL", "3 rows in a row failed the same way: no access"),
    ]  # fmt: skip
    assert ended[0] is None
    assert ended[1] is not None
    assert ended[1].code == "X"


def test_concurrent_workers_get_one_halt() -> None:
    """If several workers count at the same moment, the Halt comes at exactly the limit."""
    streaks = FailureStreaks()
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
