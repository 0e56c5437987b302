"""States of objects: which are sent, in which order, what they wait for, and what is skipped."""

from collections.abc import Mapping, Sequence

import pytest

from pipeline.ledger.records import DeliveryState, RunState
from pipeline.ledger.rules.admission import Blocked, Go, Skip
from pipeline.ledger.staging import decide as sifting
from pipeline.ledger.staging.staged_chunk import Fate
from pipeline.model import Export, Status
from pipeline.write.answers.verdict import Verdict
from tests.contract.nights import (
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
    AnswerContent,
    MakeNights,
    Opens,
    conclude,
    ended,
    first_due,
)
from tests.contract.staged_rows import StagedRow, state

HELD_BACK = (Status.BLOCKED, "earlier_state_open")
UNKNOWN = (Status.UNKNOWN, "timeout")
FROZEN, ACTIVE, ENDED = (state("A", code) for code in ("FROZEN", "ACTIVE", "ENDED"))


def at(code: str, hour: int, content: str = "1") -> StagedRow:
    """Return a state of A that says when it changed."""
    return state("A", code, content, version=f"2025-11-20T{hour:02}:00:00.000000Z")


def codes(reported_rows: Sequence[AnswerContent]) -> list[tuple[Status, str]]:
    return [(status, code) for _, status, code in reported_rows]


@pytest.mark.parametrize(
    ("rows", "reported_rows", "sent"),
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
            id="some-say-when",
        ),
    ],
)
def test_all_states_of_a_run_are_sent_in_their_order(
    nights: MakeNights, rows: Sequence[StagedRow], reported_rows: Sequence[tuple[Status, str]], sent: Sequence[str]
) -> None:
    """Each change of an object goes out, in order of `updated_at` where the export has it, else as the rows stand."""
    states = nights(Export.STATES)

    assert codes(states.reported_rows(states.night(*rows))) == reported_rows
    assert states.keys_sent() == sent


@pytest.mark.parametrize(
    ("files", "reported_rows", "sent"),
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
            id="several-nights-in-one-file",
        ),
        pytest.param([[FROZEN, ACTIVE], [FROZEN]], [SENT], ["A/FROZEN"], id="an-old-file-counts-as-new"),
        pytest.param([[at("FROZEN", 5)], [at("ACTIVE", 3)]], [SUPERSEDED], [], id="older-by-the-exports-time"),
        pytest.param([[at("FROZEN", 5)], [at("ACTIVE", 7)]], [SENT], ["A/ACTIVE"], id="newer-by-the-exports-time"),
        pytest.param([[at("FROZEN", 5)], [at("ACTIVE", 5)]], [SENT], ["A/ACTIVE"], id="at-the-same-time"),
        pytest.param([[at("FROZEN", 5)], [at("FROZEN", 7)]], [UNCHANGED], [], id="the-same-told-later"),
        pytest.param(
            [[at("FROZEN", 5)], [at("FROZEN", 7)], [at("ACTIVE", 6)]], [SUPERSEDED], [], id="older-than-told-later"
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
            [[at("FROZEN", 1), at("ACTIVE", 2)], [at("FROZEN", 3), at("ACTIVE", 4)]],
            [SENT, SENT],
            ["A/FROZEN", "A/ACTIVE"],
            id="the-same-changes-later",
        ),
        pytest.param([[at("FROZEN", 5)], [ACTIVE]], [SENT], ["A/ACTIVE"], id="one-that-does-not-say-counts-as-newer"),
        pytest.param([[at("FROZEN", 5)], [FROZEN]], [UNCHANGED], [], id="the-same-that-does-not-say"),
        pytest.param([[FROZEN], [at("ACTIVE", 1)]], [SENT], ["A/ACTIVE"], id="the-first-that-says"),
    ],
)
def test_the_last_confirmed_state_decides(
    nights: MakeNights,
    files: Sequence[Sequence[StagedRow]],
    reported_rows: Sequence[tuple[Status, str]],
    sent: Sequence[str],
) -> None:
    """What the platform holds, or held as a part of the same story, is not sent again; whatever differs from it is."""
    states = nights(Export.STATES)
    *before, last = files
    for rows in before:
        states.night(*rows)
    states.keys_sent()

    assert codes(states.reported_rows(states.night(*last))) == reported_rows
    assert states.keys_sent() == sent


@pytest.mark.parametrize(
    ("answers", "again", "reported_rows", "sent"),
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
            id="the-last-one-mended",
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
def test_a_file_that_runs_again_goes_on_where_it_ended(
    nights: MakeNights,
    answers: Mapping[str, Verdict],
    again: Sequence[StagedRow],
    reported_rows: Sequence[tuple[Status, str]],
    sent: Sequence[str],
) -> None:
    """Its rows stand for what was staged before: nothing confirmed goes out twice, and what is open goes first."""
    states = nights(Export.STATES)
    states.night(FROZEN, ACTIVE, ENDED, answers=answers)
    states.keys_sent()

    assert codes(states.reported_rows(states.night(*again))) == reported_rows
    assert states.keys_sent() == sent


@pytest.mark.parametrize("first_is_resumed", [True, False])
def test_a_file_that_was_staged_twice_is_sent_once(nights: MakeNights, *, first_is_resumed: bool) -> None:
    """Two runs of one file that sent nothing hold the same states: whichever goes on, the other one finds them sent."""
    states = nights(Export.STATES)
    runs = [states.night(FROZEN, ACTIVE, FROZEN, most=0) for _ in range(2)]
    one, other = runs if first_is_resumed else reversed(runs)
    states.resume(one)

    assert codes(states.reported_rows(states.resume(other))) == [DELIVERED] * 3
    assert states.keys_sent() == ["A/FROZEN", "A/ACTIVE", "A/FROZEN"]


@pytest.mark.parametrize(
    ("answer", "reported_rows"),
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
    nights: MakeNights, answer: Verdict, reported_rows: tuple[Status, str], user: str
) -> None:
    """Within a run no state goes out while an earlier one of the same object is open, or it would be undone."""
    states = nights(Export.STATES)

    record = states.night(FROZEN, state("A", "ENDED", user=user), state("AB", "FROZEN"), answers={"A/FROZEN": answer})

    assert codes(states.reported_rows(record))[1:] == [reported_rows, SENT]


def test_a_state_that_comes_back_after_one_that_was_refused_is_there_already(nights: MakeNights) -> None:
    """FROZEN, ACTIVE, FROZEN: where ACTIVE is refused for good, the platform still holds FROZEN."""
    states = nights(Export.STATES)

    record = states.night(FROZEN, ACTIVE, FROZEN, answers={"A/ACTIVE": REFUSED})

    assert codes(states.reported_rows(record)) == [SENT, (Status.REJECTED, "INVALID_PARAMETER"), UNCHANGED]
    assert states.keys_sent() == ["A/FROZEN", "A/ACTIVE"]


@pytest.mark.parametrize(
    ("crashes", "admission"),
    [
        pytest.param(False, Blocked, id="unknown"),
        pytest.param(True, Blocked, id="in-the-air-at-a-crash"),
    ],
)
def test_a_state_waits_for_one_that_an_earlier_run_left_in_doubt(
    nights: MakeNights, admission: type, *, crashes: bool
) -> None:
    """A state is held back while an earlier run's state of the same object may have been applied or not."""
    states = nights(Export.STATES)
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
def test_nothing_is_unchanged_while_a_state_is_in_doubt(nights: MakeNights, again: StagedRow) -> None:
    """While a state may have been applied or not, nothing is known of what the platform holds."""
    states = nights(Export.STATES)
    states.night(FROZEN, ACTIVE, answers={"A/ACTIVE": LOST})
    states.keys_sent()

    reported_rows = codes(states.reported_rows(states.night(again)))

    assert reported_rows == [SENT if again is ACTIVE else HELD_BACK]


def test_a_state_in_doubt_is_itself_sent_again(nights: MakeNights) -> None:
    """The rerun of a state that is unknown settles it, the same bytes, and the one that waited goes out after it."""
    states = nights(Export.STATES)
    record = states.night(FROZEN, ACTIVE, FROZEN, answers={"A/ACTIVE": LOST})
    (_, lost) = states.sent
    states.sent.clear()

    assert codes(states.reported_rows(states.rerun(record))) == [SENT, SENT]
    assert states.sent[0] == lost
    assert states.keys_sent() == ["A/ACTIVE", "A/FROZEN"]


def test_a_crash_between_intent_and_outcome_leaves_a_state_in_doubt(nights: MakeNights, opens: Opens) -> None:
    """`resume` sends it again, the same bytes, and goes on with the states behind it."""
    states = nights(Export.STATES)
    crashed = states.begin()
    states.stage(crashed, [FROZEN, ACTIVE, FROZEN])
    ((first, second, _),) = crashed.lanes()
    states.carry(crashed, first, DONE)
    assert states.intend(crashed, second) == Go(doubt=False)

    record = states.resume(opens().find("last"))

    assert codes(states.reported_rows(record)) == [SENT, SENT, SENT]
    assert states.keys_sent() == ["A/FROZEN", "A/ACTIVE", "A/ACTIVE", "A/FROZEN"]


@pytest.mark.parametrize(
    ("later", "reported_rows"),
    [
        pytest.param(DONE, SUPERSEDED, id="confirmed"),
        pytest.param(LOST, SUPERSEDED, id="in-doubt"),
        pytest.param(REFUSED, SENT, id="refused"),
        pytest.param(THROTTLED, SENT, id="throttled"),
        pytest.param(NOT_CONNECTED, SENT, id="never-left"),
    ],
)
def test_a_state_that_stayed_behind_is_not_sent_after_a_later_one(
    nights: MakeNights, later: Verdict, reported_rows: tuple[Status, str]
) -> None:
    """A state that one run left unsent is left out for good once another run's later state may be at the platform."""
    states = nights(Export.STATES)
    old = states.night(FROZEN, state("AB", "FROZEN"), most=0)
    states.night(ENDED, answers={"A/ENDED": later})

    assert codes(states.reported_rows(states.rerun(old))) == [reported_rows, SENT]


def test_an_older_state_stays_behind_one_that_is_told_again(nights: MakeNights) -> None:
    """What a later export says the platform holds already is later than what is still to be sent from before."""
    states = nights(Export.STATES)
    states.night(FROZEN)
    between = states.night(ACTIVE, most=0)
    assert codes(states.reported_rows(states.night(FROZEN))) == [UNCHANGED]

    assert codes(states.reported_rows(states.resume(between))) == [SUPERSEDED]


def test_a_state_with_a_time_goes_before_a_newer_one_that_waits(nights: MakeNights) -> None:
    """By the export's own time an earlier run's state may be the newer one: it goes out, also after the older."""
    states = nights(Export.STATES)
    first = states.night(at("ENDED", 5), most=0)
    states.night(at("ACTIVE", 3))

    assert codes(states.reported_rows(states.resume(first))) == [SENT]
    assert states.keys_sent() == ["A/ACTIVE", "A/ENDED"]


def test_a_state_in_doubt_is_settled_before_what_comes_behind_it(nights: MakeNights) -> None:
    """A state that may have been applied goes out again, and then whatever the same file says after it."""
    states = nights(Export.STATES)
    states.night(ENDED)
    states.night(FROZEN, answers={"A/FROZEN": LOST})
    states.keys_sent()

    record = states.night(FROZEN, ENDED)

    assert codes(states.reported_rows(record)) == [SENT, SENT]
    assert states.keys_sent() == ["A/FROZEN", "A/ENDED"]


def test_a_state_that_another_job_has_sent_meanwhile_is_unchanged(nights: MakeNights) -> None:
    """Two jobs may tell the same: what one of them has confirmed the other one does not send."""
    one, other = nights(Export.STATES, job="one"), nights(Export.STATES, job="other")
    run = one.begin()
    one.stage(run, [FROZEN])
    ((due,),) = run.lanes()
    # Staged before the ledger knew of it.
    second = other.begin()
    other.stage(second, [state("A", "FROZEN")])
    ((same,),) = second.lanes()
    one.carry(run, due, DONE)
    run.keep_up()

    assert same.identity == due.identity
    assert second.intend([same]) == [Skip("already_succeeded")]


@pytest.mark.parametrize("sends", [pytest.param(ACTIVE, id="another"), pytest.param(FROZEN, id="the-same")])
def test_what_is_unchanged_is_looked_at_again_when_it_is_written(
    nights: MakeNights, opens: Opens, sends: StagedRow
) -> None:
    """A state that another job sends between the look at all rows and their writing is no longer unchanged."""
    job, other = nights(Export.STATES, job="a"), nights(Export.STATES, job="b")
    job.night(FROZEN)
    run = job.begin(opens(ALIVE))
    job.stage(run, [FROZEN], decide=False)
    waiting = run._staging
    assert waiting is not None
    chunk = next(iter(waiting))
    findings = run._file.read(lambda c: waiting.findings(c, run.keep_up, is_gone=lambda _: False))
    other.night(sends)

    run._commit(lambda c: sifting.decide_and_write(c, run.run, chunk, findings, job._rekey))

    assert [Fate(fate) for fate in chunk.fates] == [Fate.UNCHANGED if sends is FROZEN else Fate.SUPERSEDED]


def test_what_is_unchanged_no_more_is_sent_again(nights: MakeNights, opens: Opens) -> None:
    """Where a run that began before sends another state meanwhile, the state comes back: as one of its own."""
    job, other = nights(Export.STATES, job="a"), nights(Export.STATES, job="b")
    job.night(FROZEN)
    earlier = other.begin(opens(ALIVE))
    other.stage(earlier, [ACTIVE])
    run = job.begin(opens(ALIVE))
    job.stage(run, [FROZEN], decide=False)
    waiting = run._staging
    assert waiting is not None
    chunk = next(iter(waiting))
    findings = run._file.read(lambda c: waiting.findings(c, run.keep_up, is_gone=lambda _: False))
    other.carry(earlier, first_due(earlier), DONE)
    earlier.keep_up()

    run._commit(lambda c: sifting.decide_and_write(c, run.run, chunk, findings, job._rekey))

    assert run.intend([first_due(run)]) == [Go(doubt=False)]


@pytest.mark.parametrize(
    ("answer", "reported_rows"),
    [
        pytest.param(LOST, (Status.UNKNOWN, "deadline"), id="in-doubt"),
        pytest.param(DONE, UNCHANGED, id="confirmed"),
        pytest.param(REFUSED, (Status.UNSENT, "deadline"), id="refused"),
    ],
)
def test_a_run_that_ends_while_it_reads_keeps_doubt(
    nights: MakeNights, answer: Verdict, reported_rows: tuple[Status, str]
) -> None:
    """What may have been applied is unknown, never unsent, also where the run ends before its first request."""
    states = nights(Export.STATES)
    states.night(FROZEN, answers={"A/FROZEN": answer})
    run = states.begin()
    states.stage(run, [FROZEN], decide=False)

    assert codes(states.reported_rows(conclude(run, RunState.INTERRUPTED, "deadline"))) == [reported_rows]


def test_what_was_confirmed_of_a_state_outlives_its_run(nights: MakeNights, opens: Opens) -> None:
    """What the platform holds is known also where nothing but that is left of the night before."""
    states = nights(Export.STATES)
    states.night(FROZEN, ACTIVE)
    ledger = opens()
    for table in ("dues", "rows"):
        ledger._file.writer.execute(f"DELETE FROM {table}")

    assert codes(states.reported_rows(states.night(FROZEN, ACTIVE, ENDED))) == [DELIVERED, UNCHANGED, SENT]


def test_an_outcome_of_a_state_is_settled_once(nights: MakeNights) -> None:
    """A state that surely was not applied leaves the one before it as what the platform holds."""
    states = nights(Export.STATES)
    states.night(FROZEN)
    run = states.begin()
    states.stage(run, [ACTIVE])
    ((due,),) = run.lanes()
    run.intend([due])
    run.settle(due, ended(Go(doubt=False, before=DeliveryState.UNSENT), NOT_CONNECTED))
    conclude(run, RunState.COMPLETED)

    assert codes(states.reported_rows(states.night(FROZEN))) == [UNCHANGED]
