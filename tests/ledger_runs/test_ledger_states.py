"""States of objects: which are sent, in which order, which wait, and which are skipped."""

from collections.abc import Mapping, Sequence

import pytest

from pipeline.ledger.records import DeliveryState, RunState
from pipeline.ledger.rules.admission import Blocked, Go, Skip
from pipeline.ledger.staging import decide
from pipeline.ledger.staging.staged_chunk import RowDecision
from pipeline.model import Export, Status
from pipeline.write.answers.verdict import Verdict
from tests.ledger_runs.job_runs import (
    ALIVE,
    CONTRADICTION,
    DELIVERED,
    DONE,
    DUPLICATE,
    LOST,
    NOT_CONNECTED,
    REFUSED,
    SENT,
    SUPERSEDED,
    THROTTLED,
    UNCHANGED,
    NewJobRuns,
    Opens,
    ReportedRow,
    conclude,
    ended,
    first_due,
)
from tests.ledger_runs.staged_rows import StagedRow, state

HELD_BACK = (Status.BLOCKED, "earlier_state_open")
UNKNOWN = (Status.UNKNOWN, "timeout")
FROZEN, ACTIVE, ENDED = (state("A", code) for code in ("FROZEN", "ACTIVE", "ENDED"))


def at(code: str, hour: int, content: str = "1") -> StagedRow:
    """Return a state of A that changed at this hour."""
    return state("A", code, content, version=f"2025-11-20T{hour:02}:00:00.000000Z")


def codes(rows: Sequence[ReportedRow]) -> list[tuple[Status, str]]:
    return [(status, code) for _, status, code in rows]


@pytest.mark.parametrize(
    ("rows", "expected", "sent"),
    [
        pytest.param(
            [FROZEN, ACTIVE, FROZEN], [SENT, SENT, SENT], ["A/FROZEN", "A/ACTIVE", "A/FROZEN"], id="a-state-comes-back"
        ),
        pytest.param(
            [FROZEN, state("A", "FROZEN", "2")], [SENT, SENT], ["A/FROZEN", "A/FROZEN"], id="other-data-in-one-state"
        ),
        pytest.param([FROZEN, FROZEN, ACTIVE], [SENT, DUPLICATE, SENT], ["A/FROZEN", "A/ACTIVE"], id="the-same-twice"),
        pytest.param(
            [at("ENDED", 3), at("FROZEN", 1), at("ACTIVE", 2)],
            [SENT, SENT, SENT],
            ["A/FROZEN", "A/ACTIVE", "A/ENDED"],
            id="by-the-exports-own-time",
        ),
        pytest.param(
            [at("FROZEN", 3), at("ACTIVE", 2), at("FROZEN", 1)],
            [SENT, SENT, SENT],
            ["A/FROZEN", "A/ACTIVE", "A/FROZEN"],
            id="back-in-disorder",
        ),
        pytest.param(
            [at("FROZEN", 3), at("FROZEN", 1), at("ACTIVE", 2, "x"), at("ACTIVE", 2)],
            [SENT, SENT, SENT, SENT],
            ["A/FROZEN", "A/ACTIVE", "A/ACTIVE", "A/FROZEN"],
            id="of-one-moment-as-the-rows-stand",
        ),
        pytest.param(
            [at("FROZEN", 3), at("ACTIVE", 5), at("FROZEN", 1)],
            [DUPLICATE, SENT, SENT],
            ["A/FROZEN", "A/ACTIVE"],
            id="the-same-next-to-each-other-in-time",
        ),
        pytest.param(
            [at("ACTIVE", 3), at("FROZEN", 1), at("FROZEN", 3)],
            [SENT, SENT, SENT],
            ["A/FROZEN", "A/ACTIVE", "A/FROZEN"],
            id="back-at-the-same-moment",
        ),
        pytest.param(
            [at("FROZEN", 3), at("ACTIVE", 3), at("FROZEN", 1)],
            [DUPLICATE, SENT, SENT],
            ["A/FROZEN", "A/ACTIVE"],
            id="the-same-until-just-before-another",
        ),
        pytest.param(
            [FROZEN, state("A", "FROZEN", principal="book"), ACTIVE],
            [SENT, SENT, SENT],
            ["A/FROZEN", "A/FROZEN", "A/ACTIVE"],
            id="two-objects-of-one-number",
        ),
        pytest.param(
            [FROZEN, state("A", "ACTIVE", user="v"), state("A", "FROZEN", user="w")],
            [SENT, SENT, SENT],
            ["A/FROZEN", "A/ACTIVE", "A/FROZEN"],
            id="of-several-users",
        ),
        pytest.param(
            [at("FROZEN", 1), ACTIVE, state("B", "FROZEN")],
            [CONTRADICTION, CONTRADICTION, SENT],
            ["B/FROZEN"],
            id="some-have-a-time",
        ),
    ],
)
def test_all_states_of_a_run_are_sent_in_their_order(
    new_job: NewJobRuns, rows: Sequence[StagedRow], expected: Sequence[tuple[Status, str]], sent: Sequence[str]
) -> None:
    """Each change of an object is sent, in order of `updated_at` if the export has it, else in source order."""
    states = new_job(Export.STATES)

    assert codes(states.reported_rows(states.run(*rows))) == expected
    assert states.keys_sent() == sent


@pytest.mark.parametrize(
    ("files", "expected", "sent"),
    [
        pytest.param([[FROZEN], [FROZEN]], [UNCHANGED], [], id="the-same"),
        pytest.param([[FROZEN], [ACTIVE]], [SENT], ["A/ACTIVE"], id="another"),
        pytest.param([[FROZEN], [state("A", "FROZEN", "2")]], [SENT], ["A/FROZEN"], id="other-data"),
        pytest.param([[FROZEN], [state("A", "FROZEN", user="v")]], [SENT], ["A/FROZEN"], id="another-user"),
        pytest.param([[FROZEN], [ACTIVE], [FROZEN]], [SENT], ["A/FROZEN"], id="back-again"),
        pytest.param([[FROZEN], [ACTIVE, FROZEN]], [SENT, SENT], ["A/ACTIVE", "A/FROZEN"], id="away-and-back"),
        pytest.param([[FROZEN, ACTIVE, FROZEN]] * 2, [DELIVERED, DELIVERED, UNCHANGED], [], id="a-file-again"),
        pytest.param(
            [[FROZEN, ACTIVE], [FROZEN, ACTIVE, FROZEN]],
            [DELIVERED, UNCHANGED, SENT],
            ["A/FROZEN"],
            id="a-file-that-grew",
        ),
        pytest.param(
            [[FROZEN], [ACTIVE], [FROZEN], [FROZEN, ACTIVE, FROZEN]],
            [DELIVERED, DELIVERED, UNCHANGED],
            [],
            id="several-runs-in-one-file",
        ),
        pytest.param([[FROZEN, ACTIVE], [FROZEN]], [SENT], ["A/FROZEN"], id="an-old-file-counts-as-new"),
        pytest.param([[at("FROZEN", 5)], [at("ACTIVE", 3)]], [SUPERSEDED], [], id="older-by-the-exports-time"),
        pytest.param([[at("FROZEN", 5)], [at("ACTIVE", 7)]], [SENT], ["A/ACTIVE"], id="newer-by-the-exports-time"),
        pytest.param([[at("FROZEN", 5)], [at("ACTIVE", 5)]], [SENT], ["A/ACTIVE"], id="at-the-same-time"),
        pytest.param([[at("FROZEN", 5)], [at("FROZEN", 7)]], [UNCHANGED], [], id="the-same-at-a-later-time"),
        pytest.param(
            [[at("FROZEN", 5)], [at("FROZEN", 7)], [at("ACTIVE", 6)]],
            [SUPERSEDED],
            [],
            id="older-than-the-same-at-a-later-time",
        ),
        pytest.param(
            [[at("FROZEN", 5), at("FROZEN", 7)], [at("ACTIVE", 6)]], [SUPERSEDED], [], id="older-than-a-duplicate"
        ),
        pytest.param(
            [[at("FROZEN", 1), at("ACTIVE", 2), at("FROZEN", 3)]] * 2,
            [SUPERSEDED, SUPERSEDED, UNCHANGED],
            [],
            id="a-file-with-times-again",
        ),
        pytest.param(
            [[at("FROZEN", 5), at("ACTIVE", 5)]] * 2, [DELIVERED, UNCHANGED], [], id="two-of-one-moment-again"
        ),
        pytest.param(
            [[at("FROZEN", 5)], *[[at("FROZEN", 7), at("ACTIVE", 7)]] * 2],
            [DELIVERED, UNCHANGED],
            [],
            id="two-of-one-moment-again-and-one-was-held",
        ),
        pytest.param(
            [[at("FROZEN", 1), at("ACTIVE", 2)], [at("FROZEN", 3), at("ACTIVE", 4)]],
            [SENT, SENT],
            ["A/FROZEN", "A/ACTIVE"],
            id="the-same-changes-later",
        ),
        pytest.param([[at("FROZEN", 5)], [ACTIVE]], [SENT], ["A/ACTIVE"], id="one-without-a-time-counts-as-newer"),
        pytest.param([[at("FROZEN", 5)], [FROZEN]], [UNCHANGED], [], id="the-same-without-a-time"),
        pytest.param([[FROZEN], [at("ACTIVE", 1)]], [SENT], ["A/ACTIVE"], id="the-first-with-a-time"),
    ],
)
def test_the_last_confirmed_state_decides(
    new_job: NewJobRuns,
    files: Sequence[Sequence[StagedRow]],
    expected: Sequence[tuple[Status, str]],
    sent: Sequence[str],
) -> None:
    """A state that the platform holds is not sent again. A different one is sent."""
    states = new_job(Export.STATES)
    *before, last = files
    for rows in before:
        states.run(*rows)
    states.keys_sent()

    assert codes(states.reported_rows(states.run(*last))) == expected
    assert states.keys_sent() == sent


@pytest.mark.parametrize(
    ("answers", "again", "expected", "sent"),
    [
        pytest.param(
            {"A/ACTIVE": REFUSED}, [FROZEN, ACTIVE, ENDED], [DELIVERED, SUPERSEDED, UNCHANGED], [], id="again"
        ),
        pytest.param({"A/ACTIVE": REFUSED}, [FROZEN, ENDED], [DELIVERED, UNCHANGED], [], id="without-what-was-refused"),
        pytest.param(
            {"A/ENDED": REFUSED}, [FROZEN, ACTIVE, ENDED], [DELIVERED, UNCHANGED, SENT], ["A/ENDED"], id="the-last"
        ),
        pytest.param(
            {"A/ENDED": REFUSED},
            [FROZEN, ACTIVE, state("A", "ENDED", "2")],
            [DELIVERED, UNCHANGED, SENT],
            ["A/ENDED"],
            id="the-last-one-fixed",
        ),
        pytest.param(
            {"A/ACTIVE": LOST},
            [FROZEN, ACTIVE, ENDED],
            [DELIVERED, SENT, SENT],
            ["A/ACTIVE", "A/ENDED"],
            id="in-doubt",
        ),
        pytest.param(
            {"A/FROZEN": THROTTLED},
            [FROZEN, ACTIVE, ENDED],
            [SENT, SENT, SENT],
            ["A/FROZEN", "A/ACTIVE", "A/ENDED"],
            id="nothing-was-applied",
        ),
    ],
)
def test_a_repeated_file_continues_where_it_ended(
    new_job: NewJobRuns,
    answers: Mapping[str, Verdict],
    again: Sequence[StagedRow],
    expected: Sequence[tuple[Status, str]],
    sent: Sequence[str],
) -> None:
    """No confirmed state is sent twice, and open states go first."""
    states = new_job(Export.STATES)
    states.run(FROZEN, ACTIVE, ENDED, answers=answers)
    states.keys_sent()

    assert codes(states.reported_rows(states.run(*again))) == expected
    assert states.keys_sent() == sent


@pytest.mark.parametrize("first_is_resumed", [True, False])
def test_a_file_that_was_staged_twice_is_sent_once(new_job: NewJobRuns, *, first_is_resumed: bool) -> None:
    """Of 2 runs of one file that sent nothing, one sends the states and the other skips them."""
    states = new_job(Export.STATES)
    runs = [states.run(FROZEN, ACTIVE, FROZEN, most=0) for _ in range(2)]
    one, other = runs if first_is_resumed else reversed(runs)
    states.resume(one)

    assert codes(states.reported_rows(states.resume(other))) == [DELIVERED] * 3
    assert states.keys_sent() == ["A/FROZEN", "A/ACTIVE", "A/FROZEN"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(DONE, SENT, id="succeeded"),
        pytest.param(REFUSED, SENT, id="refused-for-good"),
        pytest.param(LOST, HELD_BACK, id="in-doubt"),
        pytest.param(THROTTLED, HELD_BACK, id="throttled"),
        pytest.param(NOT_CONNECTED, HELD_BACK, id="never-left"),
    ],
)
@pytest.mark.parametrize("user", ["u", "v"])
def test_a_state_waits_for_the_earlier_one_of_its_object(
    new_job: NewJobRuns, answer: Verdict, expected: tuple[Status, str], user: str
) -> None:
    """No state is sent while an earlier one of its object is open, or it would be undone."""
    states = new_job(Export.STATES)

    record = states.run(FROZEN, state("A", "ENDED", user=user), state("AB", "FROZEN"), answers={"A/FROZEN": answer})

    assert codes(states.reported_rows(record))[1:] == [expected, SENT]


def test_a_state_that_comes_back_after_a_refused_one_is_unchanged(new_job: NewJobRuns) -> None:
    """FROZEN, ACTIVE, FROZEN: if ACTIVE is refused for good, the platform still holds FROZEN."""
    states = new_job(Export.STATES)

    record = states.run(FROZEN, ACTIVE, FROZEN, answers={"A/ACTIVE": REFUSED})

    assert codes(states.reported_rows(record)) == [SENT, (Status.REJECTED, "INVALID_PARAMETER"), UNCHANGED]
    assert states.keys_sent() == ["A/FROZEN", "A/ACTIVE"]


@pytest.mark.parametrize(
    ("crashes", "admission"),
    [
        pytest.param(False, Blocked, id="unknown"),
        pytest.param(True, Blocked, id="in-flight-at-a-crash"),
    ],
)
def test_a_state_waits_for_one_that_an_earlier_run_left_in_doubt(
    new_job: NewJobRuns, admission: type, *, crashes: bool
) -> None:
    """A state is blocked while an earlier run's state of the same object is in doubt."""
    states = new_job(Export.STATES)
    earlier = states.begin()
    states.stage(earlier, [FROZEN])
    ((due,),) = earlier.lanes()
    if crashes:
        earlier.intend([due])
    else:
        states.carry(earlier, due, LOST)
        conclude(earlier, RunState.COMPLETED)

    run = states.begin()
    states.stage(run, [ENDED])
    ((later,),) = run.lanes()

    assert [type(admitted) for admitted in run.intend([later])] == [admission]


@pytest.mark.parametrize("again", [FROZEN, ACTIVE], ids=["what-was-confirmed", "what-is-in-doubt"])
def test_nothing_is_unchanged_while_a_state_is_in_doubt(new_job: NewJobRuns, again: StagedRow) -> None:
    """While a state is in doubt, nobody knows which state the platform holds."""
    states = new_job(Export.STATES)
    states.run(FROZEN, ACTIVE, answers={"A/ACTIVE": LOST})
    states.keys_sent()

    reported = codes(states.reported_rows(states.run(again)))

    assert reported == [SENT if again is ACTIVE else HELD_BACK]


def test_a_rerun_sends_a_state_in_doubt_again(new_job: NewJobRuns) -> None:
    """The rerun sends the same bytes, and then the state that waited."""
    states = new_job(Export.STATES)
    record = states.run(FROZEN, ACTIVE, FROZEN, answers={"A/ACTIVE": LOST})
    (_, lost) = states.sent
    states.sent.clear()

    assert codes(states.reported_rows(states.rerun(record))) == [SENT, SENT]
    assert states.sent[0] == lost
    assert states.keys_sent() == ["A/ACTIVE", "A/FROZEN"]


def test_a_crash_between_intent_and_outcome_leaves_a_state_in_doubt(new_job: NewJobRuns, opens: Opens) -> None:
    """`resume` sends the same bytes again, and then the states behind it."""
    states = new_job(Export.STATES)
    crashed = states.begin()
    states.stage(crashed, [FROZEN, ACTIVE, FROZEN])
    ((first, second, _),) = crashed.lanes()
    states.carry(crashed, first, DONE)
    assert states.intend(crashed, second) == Go(doubt=False)

    record = states.resume(opens().find("last"))

    assert codes(states.reported_rows(record)) == [SENT, SENT, SENT]
    assert states.keys_sent() == ["A/FROZEN", "A/ACTIVE", "A/ACTIVE", "A/FROZEN"]


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        pytest.param(DONE, SUPERSEDED, id="confirmed"),
        pytest.param(LOST, SUPERSEDED, id="in-doubt"),
        pytest.param(REFUSED, SENT, id="refused"),
        pytest.param(THROTTLED, SENT, id="throttled"),
        pytest.param(NOT_CONNECTED, SENT, id="never-left"),
    ],
)
def test_an_unsent_state_is_not_sent_after_a_later_one(
    new_job: NewJobRuns, later: Verdict, expected: tuple[Status, str]
) -> None:
    """An unsent state is superseded once another run's later state may be applied."""
    states = new_job(Export.STATES)
    old = states.run(FROZEN, state("AB", "FROZEN"), most=0)
    states.run(ENDED, answers={"A/ENDED": later})

    assert codes(states.reported_rows(states.rerun(old))) == [expected, SENT]


def test_an_older_state_is_superseded_by_an_unchanged_one(new_job: NewJobRuns) -> None:
    """A state that a later export repeats is later than the unsent states of before."""
    states = new_job(Export.STATES)
    states.run(FROZEN)
    between = states.run(ACTIVE, most=0)
    assert codes(states.reported_rows(states.run(FROZEN))) == [UNCHANGED]

    assert codes(states.reported_rows(states.resume(between))) == [SUPERSEDED]


def test_an_unchanged_state_without_a_time_is_later_than_dated_ones_of_before(new_job: NewJobRuns) -> None:
    """Without a time the place decides, although the platform got the state with a time, which unsent ones exceed."""
    states = new_job(Export.STATES)
    states.run(at("FROZEN", 1))
    between = states.run(at("ACTIVE", 3), most=0)
    assert codes(states.reported_rows(states.run(FROZEN))) == [UNCHANGED]

    assert codes(states.reported_rows(states.resume(between))) == [SUPERSEDED]


def test_a_run_staged_again_does_not_date_a_later_unchanged_state(new_job: NewJobRuns) -> None:
    """An earlier run, staged again, says with a time what a later one said without. The later one stays the newest."""
    states = new_job(Export.STATES)
    states.run(at("FROZEN", 1))
    earlier = states.begin().run
    assert codes(states.reported_rows(states.run(FROZEN))) == [UNCHANGED]

    late = states.opens().resume(earlier, states.owner)
    states.stage(late, [at("FROZEN", 2), at("ACTIVE", 3)])

    assert codes(states.reported_rows(states.deliver(late, {}))) == [UNCHANGED, SUPERSEDED]
    assert states.keys_sent() == ["A/FROZEN"]


def test_a_waiting_state_is_sent_if_it_is_newer_by_its_time(new_job: NewJobRuns) -> None:
    """By the export's own time an earlier run's state may be the newer one. Then it is sent last."""
    states = new_job(Export.STATES)
    first = states.run(at("ENDED", 5), most=0)
    states.run(at("ACTIVE", 3))

    assert codes(states.reported_rows(states.resume(first))) == [SENT]
    assert states.keys_sent() == ["A/ACTIVE", "A/ENDED"]


def test_a_state_in_doubt_is_settled_before_later_states(new_job: NewJobRuns) -> None:
    """A state in doubt is sent again, and then the later states of the file."""
    states = new_job(Export.STATES)
    states.run(ENDED)
    states.run(FROZEN, answers={"A/FROZEN": LOST})
    states.keys_sent()

    record = states.run(FROZEN, ENDED)

    assert codes(states.reported_rows(record)) == [SENT, SENT]
    assert states.keys_sent() == ["A/FROZEN", "A/ENDED"]


def test_a_state_that_another_job_sent_is_skipped(new_job: NewJobRuns) -> None:
    """2 jobs may have the same state: only one of them sends it."""
    one, other = new_job(Export.STATES, job="one"), new_job(Export.STATES, job="other")
    run = one.begin()
    one.stage(run, [FROZEN])
    ((due,),) = run.lanes()
    # Staged before the ledger knew of it.
    second = other.begin()
    other.stage(second, [state("A", "FROZEN")])
    ((same,),) = second.lanes()
    one.carry(run, due, DONE)
    run.heartbeat()

    assert same.identity == due.identity
    assert second.intend([same]) == [Skip("already_succeeded")]


@pytest.mark.parametrize("sends", [pytest.param(ACTIVE, id="another"), pytest.param(FROZEN, id="the-same")])
def test_unchanged_states_are_checked_again_when_written(new_job: NewJobRuns, opens: Opens, sends: StagedRow) -> None:
    """A state is not unchanged any more if another job sends one between the lookup and the writing."""
    job, other = new_job(Export.STATES, job="a"), new_job(Export.STATES, job="b")
    job.run(FROZEN)
    run = job.begin(opens(ALIVE))
    job.stage(run, [FROZEN], decide=False)
    waiting = run._staging
    assert waiting is not None
    chunk = next(iter(waiting))
    findings = run._file.read(lambda c: waiting.findings(c, run.heartbeat, is_gone=lambda _: False))
    other.run(sends)

    run._commit(lambda c: decide.decide_and_write(c, run.run, chunk, findings, job.rekey))

    assert [RowDecision(decision) for decision in chunk.decisions] == [
        RowDecision.UNCHANGED if sends is FROZEN else RowDecision.SUPERSEDED
    ]


def test_a_state_that_is_not_unchanged_any_more_is_sent_again(new_job: NewJobRuns, opens: Opens) -> None:
    """If an earlier run sends another state meanwhile, the state comes back as a new one."""
    job, other = new_job(Export.STATES, job="a"), new_job(Export.STATES, job="b")
    job.run(FROZEN)
    earlier = other.begin(opens(ALIVE))
    other.stage(earlier, [ACTIVE])
    run = job.begin(opens(ALIVE))
    job.stage(run, [FROZEN], decide=False)
    waiting = run._staging
    assert waiting is not None
    chunk = next(iter(waiting))
    findings = run._file.read(lambda c: waiting.findings(c, run.heartbeat, is_gone=lambda _: False))
    other.carry(earlier, first_due(earlier), DONE)
    earlier.heartbeat()

    run._commit(lambda c: decide.decide_and_write(c, run.run, chunk, findings, job.rekey))

    assert run.intend([first_due(run)]) == [Go(doubt=False)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(LOST, (Status.UNKNOWN, "deadline"), id="in-doubt"),
        pytest.param(DONE, UNCHANGED, id="confirmed"),
        pytest.param(REFUSED, (Status.UNSENT, "deadline"), id="refused"),
    ],
)
def test_a_run_that_ends_while_it_reads_keeps_doubt(
    new_job: NewJobRuns, answer: Verdict, expected: tuple[Status, str]
) -> None:
    """A row in doubt stays unknown, never unsent, also if the run ends before its first request."""
    states = new_job(Export.STATES)
    states.run(FROZEN, answers={"A/FROZEN": answer})
    run = states.begin()
    states.stage(run, [FROZEN], decide=False)

    assert codes(states.reported_rows(conclude(run, RunState.INTERRUPTED, "deadline"))) == [expected]


def test_a_confirmed_state_outlives_its_run(new_job: NewJobRuns, opens: Opens) -> None:
    """The confirmed state of an object is known without the rows of its run."""
    states = new_job(Export.STATES)
    states.run(FROZEN, ACTIVE)
    ledger = opens()
    for table in ("dues", "rows"):
        ledger._file.writer.execute(f"DELETE FROM {table}")

    assert codes(states.reported_rows(states.run(FROZEN, ACTIVE, ENDED))) == [DELIVERED, UNCHANGED, SENT]


def test_a_state_that_was_not_applied_leaves_the_one_before(new_job: NewJobRuns) -> None:
    """The state before it is then the one that the platform holds."""
    states = new_job(Export.STATES)
    states.run(FROZEN)
    run = states.begin()
    states.stage(run, [ACTIVE])
    ((due,),) = run.lanes()
    run.intend([due])
    run.settle(due, ended(Go(doubt=False, before=DeliveryState.UNSENT), NOT_CONNECTED))
    conclude(run, RunState.COMPLETED)

    assert codes(states.reported_rows(states.run(FROZEN))) == [UNCHANGED]
