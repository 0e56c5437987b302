"""When refusals of rows stop being about the rows."""

from collections.abc import Hashable

import pytest

from pipeline.write.answers.verdict import Halt, Open, Refused, Succeeded, TryAgain, Verdict
from pipeline.write.brakes.failure_streaks import EqualEndings, RefusalStreak

NO_ACCESS = Refused("REQUEST_ACCESS_ILLEGAL", "no access", settles_doubt=False, halts_after=3)
WRONG_FIELD = Refused("INVALID_PARAMETER", "wrong field")
FORGED = TryAgain("signature_invalid", "forged", may_have_acted=True, halts_after=3)
STALE = TryAgain("answer_stale", "stale", may_have_acted=True, tries=2, halts_after=2)
CIPHER = TryAgain("isv.invalid-encrypt", "cipher", may_have_acted=False, tries=2, halts_after=2)
TIMEOUT = TryAgain("timeout", "no answer", may_have_acted=True, platform_down=True)
THROTTLED = TryAgain("http_429", "too many", may_have_acted=False, slow=True)
SYSTEM_ERROR = TryAgain("SYSTEM_ERROR", "fault", may_have_acted=True)
DONE = Succeeded("SUCCESS")

AnswerContent = tuple[Hashable, Verdict]


def first_halt(*content: AnswerContent) -> tuple[int, Halt] | None:
    """Return at which verdict, counted from 1, the suspicion halts the run, and how."""
    refusals = RefusalStreak()
    for number, (row, verdict) in enumerate(content, 1):
        if halt := refusals.note(row, verdict):
            return number, halt
    return None


@pytest.mark.parametrize(
    ("content", "halt"),
    [
        pytest.param(
            [(1, NO_ACCESS), (2, NO_ACCESS), (3, NO_ACCESS)],
            (3, Halt("REQUEST_ACCESS_ILLEGAL", "3 rows in a row ended alike: no access")),
            id="44-three-rows",
        ),
        pytest.param(
            [(1, FORGED), (2, FORGED), (3, FORGED)],
            (3, Halt("signature_invalid", "3 rows in a row ended alike: forged", may_have_acted=True)),
            id="20-three-rows",
        ),
        pytest.param([(1, FORGED)] * 6, None, id="20-six-attempts-of-one-row"),
        pytest.param(
            [(1, FORGED), (2, TIMEOUT), (2, FORGED), (3, THROTTLED), (3, FORGED)],
            (5, Halt("signature_invalid", "3 rows in a row ended alike: forged", may_have_acted=True)),
            id="what-proves-nothing-does-not-interrupt",
        ),
        pytest.param([(1, FORGED), (2, FORGED), (4, DONE), (3, FORGED)], None, id="a-success-interrupts"),
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
            (2, Halt("answer_stale", "2 attempts of one row ended alike: stale", may_have_acted=True)),
            id="23-the-repeat-of-one-row",
        ),
        pytest.param([(1, STALE), (2, STALE), (3, STALE)], None, id="22-rows-in-flight-when-the-key-changes"),
        pytest.param(
            [(1, CIPHER), (2, CIPHER), (1, CIPHER)],
            (3, Halt("isv.invalid-encrypt", "2 attempts of one row ended alike: cipher")),
            id="46-the-repeat-of-one-row",
        ),
        pytest.param([(n, WRONG_FIELD) for n in range(50)], None, id="refusals-of-rows-are-not-counted"),
        pytest.param([(n, SYSTEM_ERROR) for n in range(50)], None, id="nor-faults-of-the-platform"),
    ],
)
def test_what_happens_too_often_in_a_row_halts(content: list[AnswerContent], halt: tuple[int, Halt] | None) -> None:
    """So many rows in a row as `halts_after` says stop the run; of a row with bounded tries, so many attempts."""
    assert first_halt(*content) == halt


def settled(*verdicts: Verdict, limit: int = 3) -> list[Halt | None]:
    equal_endings = EqualEndings(limit)
    return [equal_endings.note(verdict) for verdict in verdicts]


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(WRONG_FIELD, id="36-refused"),
        pytest.param(SYSTEM_ERROR, id="32-system-error"),
        pytest.param(Open("echo_differs", "differs"), id="open"),
    ],
)
def test_rows_that_all_end_alike_from_the_start_halt(failure: Refused | TryAgain | Open) -> None:
    """When the first rows of a run all end under one code, the run stops: the mapping or the setup is wrong."""
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
def test_one_row_that_ends_otherwise_is_enough_to_go_on(other: Verdict, place: int) -> None:
    """A single row that ends otherwise among the first ends the watch for good."""
    verdicts: list[Verdict] = [WRONG_FIELD] * 9
    verdicts.insert(place, other)

    assert settled(*verdicts) == [None] * 10


def test_twenty_rows_are_watched_unless_told_otherwise() -> None:
    """The watch covers twenty rows."""
    halts = settled(*[WRONG_FIELD] * 20, limit=20)
    equal_endings = EqualEndings()

    assert [equal_endings.note(WRONG_FIELD) for _ in range(20)] == halts
    assert [halt is None for halt in halts] == [True] * 19 + [False]
