"""Resume and rerun: the same keys and bytes, and new keys on request."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from pipeline.errors import LedgerError, SettingsError
from pipeline.ledger.records import Phase, RunRecord, RunState
from pipeline.ledger.staging.rerun import Selection
from pipeline.model import Export, Status
from pipeline.write.answers.verdict import Verdict
from tests.ledger_runs.job_runs import (
    ASKS_FOR_NEW_KEY,
    CONFLICT,
    DELIVERED,
    DONE,
    LOST,
    NOT_CONNECTED,
    OPEN,
    REFUSED,
    SENT,
    SUPERSEDED,
    THROTTLED,
    JobRuns,
    NewJobRuns,
    Opens,
    conclude,
    first_due,
)
from tests.ledger_runs.staged_rows import StagedRow, balance, invalid, order, state, task

NEW_KEYS = Selection(OPEN, new_keys=True)


def test_a_stopped_run_is_resumed_where_it_stopped(new_job: NewJobRuns) -> None:
    """Rows that the run did not reach are sent, the others stay as they were, and the run is whole."""
    orders = new_job()
    record = orders.run(order("A"), order("B"), order("C", refund_of="X"), answers={"B": REFUSED}, most=2)
    assert orders.reported_rows(record)[2] == ("C", Status.UNSENT, "interrupted")
    orders.keys_sent()

    resumed = orders.resume(record)

    assert orders.keys_sent() == ["C"]
    assert orders.reported_rows(resumed) == [("A", *SENT), ("B", Status.REJECTED, "INVALID_PARAMETER"), ("C", *SENT)]
    assert resumed == replace(
        record, phase=Phase.CONCLUDED, state=RunState.COMPLETED, reason=None, elapsed_s=18.0, sending_s=16.0
    )


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        pytest.param(THROTTLED, ["A"], id="unsent-is-sent"),
        pytest.param(NOT_CONNECTED, ["A"], id="never-left-is-sent"),
        pytest.param(LOST, [], id="a-doubt-that-used-up-its-attempts-is-for-a-rerun"),
        pytest.param(REFUSED, [], id="a-refusal-stays"),
        pytest.param(DONE, [], id="a-success-stays"),
    ],
)
def test_resuming_a_completed_run_sends_its_unsent_rows(
    new_job: NewJobRuns, answer: Verdict, sent: Sequence[str]
) -> None:
    """Resume sends unsent rows. A row that is unknown after all attempts needs a rerun."""
    orders = new_job()
    record = orders.run(order("A"), answers={"A": answer})
    orders.keys_sent()
    orders.resume(record)

    assert orders.keys_sent() == sent


def test_a_resumed_run_sends_a_refund_that_was_blocked(new_job: NewJobRuns) -> None:
    """A blocked row is tried again when the run is resumed."""
    orders = new_job()
    record = orders.run(order("PAY"), order("BACK", refund_of="PAY"), answers={"PAY": THROTTLED})

    assert orders.reported_rows(orders.resume(record)) == [("PAY", *SENT), ("BACK", *SENT)]


def test_a_run_that_has_changed_since_is_not_resumed(new_job: NewJobRuns, opens: Opens) -> None:
    """A run that was staged by another process is not staged again from an old record of it."""
    orders = new_job()
    run = orders.begin()
    seen = opens().find("last")
    orders.stage(run, [order("A")])
    orders.deliver(run, {})

    with pytest.raises(LedgerError, match="another process went on with run"):
        opens().resume(seen, orders.owner)


def test_the_last_run_of_a_job_is_found(new_job: NewJobRuns, opens: Opens) -> None:
    """Its newest run, whatever other jobs did since; none if the job never ran."""
    orders = new_job()
    orders.run(order("A"))
    last = orders.run(order("B"))

    assert opens().last_of(last.job) == last
    assert opens().last_of("another") is None


def test_a_killed_run_is_resumed_with_its_doubt(new_job: NewJobRuns, opens: Opens) -> None:
    """A killed run can be resumed, and so can one that is cut off again in doubt."""
    orders = new_job()
    run = orders.begin()
    orders.stage(run, [order("A"), order("B")])
    orders.intend(run, first_due(run))

    cut = orders.resume(opens().find("last"), most=0)
    assert orders.reported_rows(cut) == [("A", Status.UNKNOWN, "interrupted"), ("B", Status.UNSENT, "interrupted")]

    assert orders.reported_rows(orders.resume(cut)) == [("A", *SENT), ("B", *SENT)]


ROWS = [
    *(order(key, user=key) for key in ("DONE", "REFUSED", "LOST", "THROTTLED", "CUT")),
    order("BACK", refund_of="LOST", user="LOST"),
    invalid("BAD"),
    order("DONE", user="again"),
]
ANSWERS: Mapping[str, Verdict] = {"REFUSED": REFUSED, "LOST": LOST, "THROTTLED": THROTTLED, "CUT": NOT_CONNECTED}


@pytest.mark.parametrize(
    ("selection", "sent"),
    [
        pytest.param(Selection(OPEN), ["LOST", "BACK", "THROTTLED", "CUT"], id="what-is-open"),
        pytest.param(Selection(frozenset({Status.UNKNOWN})), ["LOST"], id="one-status"),
        pytest.param(Selection(frozenset({Status.REJECTED})), ["REFUSED"], id="rejected-rows"),
        pytest.param(Selection(OPEN, frozenset({"throttled"})), ["THROTTLED"], id="one-code"),
        pytest.param(Selection(OPEN, frozenset({"INVALID_PARAMETER"})), [], id="a-code-of-another-status"),
        pytest.param(
            Selection(frozenset(Status)), ["REFUSED", "LOST", "BACK", "THROTTLED", "CUT"], id="never-the-rest"
        ),
        pytest.param(Selection(OPEN, limit=1), ["LOST"], id="the-first-one"),
        pytest.param(Selection(OPEN, limit=0), [], id="none"),
        pytest.param(
            Selection(OPEN, new_keys=True), ["LOST", "BACK", "THROTTLED", "CUT"], id="no-new-key-without-a-request"
        ),
    ],
)
def test_a_rerun_sends_the_selected_rows(new_job: NewJobRuns, selection: Selection, sent: Sequence[str]) -> None:
    """A rerun sends rows of the given statuses and codes again, never delivered, skipped or invalid ones."""
    orders = new_job()
    record = orders.run(*ROWS, answers=ANSWERS)
    orders.keys_sent()
    orders.rerun(record, selection=selection)

    assert orders.keys_sent() == sent


def test_a_rerun_sends_the_same_bytes_in_its_own_run(new_job: NewJobRuns, opens: Opens) -> None:
    """The rows of a rerun keep place, key and body. The outcomes of the old run stay unchanged."""
    orders = new_job()
    record = orders.run(order("A"), order("B"), order("C"), answers={"B": LOST})
    before = list(opens().outcomes(record))
    first = dict(orders.sent)
    orders.sent.clear()

    rerun = orders.rerun(record)

    assert orders.sent == [("B", first["B"])]
    assert [(o.source_file, o.source_row, o.request_key, o.status) for o in opens().outcomes(rerun)] == [
        ("orders.csv", 2, "B", Status.SUCCEEDED)
    ]
    assert [source.rows for source in opens().inputs(rerun)] == [1]
    assert list(opens().outcomes(record)) == before
    assert rerun.parent == record.run_id


def test_a_selection_is_restored_from_the_options_of_its_run() -> None:
    """The selection of a rerun is kept with the run, so that the rerun can be copied again."""
    selection = Selection(frozenset({Status.UNKNOWN, Status.UNSENT}), frozenset({"timeout"}), new_keys=True, limit=3)

    assert Selection.from_options(selection.as_options()) == selection


def test_only_the_missing_parts_of_a_task_are_sent_again(new_job: NewJobRuns) -> None:
    """Parts that are done stay done in a rerun."""
    tasks = new_job(Export.TASKS)
    record = tasks.run(task("A", 3), answers={"A-2": LOST})
    tasks.keys_sent()

    assert tasks.reported_rows(tasks.rerun(record)) == [("A", *SENT)]
    assert tasks.keys_sent() == ["A-2"]


@pytest.fixture
def refused(new_job: NewJobRuns) -> tuple[JobRuns, RunRecord]:
    """A payment that the platform wants under another key, and its waiting refund."""
    orders = new_job()
    record = orders.run(order("PAY"), order("BACK", refund_of="PAY"), answers={"PAY": ASKS_FOR_NEW_KEY})
    orders.keys_sent()
    return orders, record


def body_of_refund(refund: str, *, of: str) -> bytes:
    """Return the body of a refund."""
    return f'{{"content":"1","out_biz_no":"{refund}","pay_out_biz_no":"{of}","user_id":"u"}}'.encode()


def test_a_new_key_is_reported_and_its_refund_follows(refused: tuple[JobRuns, RunRecord]) -> None:
    """The payment is sent and reported under a key made from its own, and the refund names that key."""
    orders, record = refused

    rerun = orders.rerun(record, selection=NEW_KEYS)

    assert orders.reported_rows(rerun) == [("PAY-k2", *SENT), ("BACK", *SENT)]
    assert orders.sent == [
        ("PAY-k2", b'{"content":"1","out_biz_no":"PAY-k2","user_id":"u"}'),
        ("BACK", body_of_refund("BACK", of="PAY-k2")),
    ]


def test_a_refund_follows_also_in_a_later_rerun(refused: tuple[JobRuns, RunRecord]) -> None:
    """A refund that is sent later names the last key of its payment."""
    orders, record = refused
    orders.rerun(record, selection=Selection(frozenset({Status.REJECTED}), new_keys=True))

    orders.rerun(record)

    assert orders.sent[-1] == ("BACK", body_of_refund("BACK", of="PAY-k2"))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        pytest.param({}, SENT, id="delivered"),
        pytest.param({"PAY-k2": LOST}, (Status.BLOCKED, "payment_not_succeeded"), id="in-doubt"),
        pytest.param({"PAY-k2": NOT_CONNECTED}, (Status.BLOCKED, "payment_not_succeeded"), id="never-left"),
    ],
)
def test_a_refund_of_a_later_run_finds_its_payment_under_the_new_key(
    refused: tuple[JobRuns, RunRecord], answers: Mapping[str, Verdict], expected: tuple[Status, str]
) -> None:
    """A refund of a later export names the delivered key of its payment, and waits for it."""
    orders, record = refused
    orders.rerun(record, answers, Selection(frozenset({Status.REJECTED}), new_keys=True))

    later = orders.run(order("LATE", refund_of="PAY"))

    assert orders.reported_rows(later) == [("LATE", *expected)]
    assert not answers or orders.sent[-1][0] == "PAY-k2"
    assert answers or orders.sent[-1] == ("LATE", body_of_refund("LATE", of="PAY-k2"))


def test_a_refund_that_followed_its_payment_is_known_by_its_row(refused: tuple[JobRuns, RunRecord]) -> None:
    """If the file runs again, a refund that was sent with the new key counts as delivered."""
    orders, record = refused
    orders.rerun(record, selection=NEW_KEYS)

    again = orders.run(order("PAY"), order("BACK", refund_of="PAY"))

    assert orders.reported_rows(again) == [(key, *DELIVERED) for key in ("PAY", "BACK")]


def test_a_refund_delivered_with_the_first_key_stays_delivered(new_job: NewJobRuns) -> None:
    """A refund that names the first key is known by its row, whatever key the payment got later."""
    orders = new_job()
    orders.run(order("BACK", refund_of="PAY"))
    record = orders.run(order("PAY"), answers={"PAY": ASKS_FOR_NEW_KEY})
    orders.rerun(record, selection=NEW_KEYS)

    assert orders.reported_rows(orders.run(order("BACK", refund_of="PAY"))) == [("BACK", *DELIVERED)]


@pytest.mark.parametrize(
    ("answers", "again", "sent"),
    [
        pytest.param({}, {}, [], id="delivered"),
        pytest.param({"PAY-k2": LOST}, {}, ["PAY-k2"], id="in-doubt"),
        pytest.param({"PAY-k2": NOT_CONNECTED}, {}, ["PAY-k2"], id="never-left"),
        pytest.param({"PAY-k2": ASKS_FOR_NEW_KEY}, {}, ["PAY-k2-k2"], id="refused-as-well"),
        pytest.param(
            {"PAY-k2": ASKS_FOR_NEW_KEY}, {"PAY-k2-k2": ASKS_FOR_NEW_KEY}, ["PAY-k2-k2"], id="refused-three-times"
        ),
    ],
)
def test_a_row_gets_no_second_new_key_while_the_first_may_count(
    refused: tuple[JobRuns, RunRecord],
    answers: Mapping[str, Verdict],
    again: Mapping[str, Verdict],
    sent: Sequence[str],
) -> None:
    """A row gets another new key only after the last one was refused."""
    orders, record = refused
    orders.rerun(record, answers, Selection(frozenset({Status.REJECTED}), new_keys=True))
    orders.keys_sent()
    orders.rerun(record, again, Selection(frozenset({Status.REJECTED}), new_keys=True))

    assert orders.keys_sent() == sent


def test_new_keys_follow_one_another_over_reruns_of_reruns(refused: tuple[JobRuns, RunRecord]) -> None:
    """A new key may be refused as well. No key is skipped or used twice, whichever run is rerun."""
    orders, record = refused
    second = orders.rerun(record, {"PAY-k2": ASKS_FOR_NEW_KEY}, NEW_KEYS)
    third = orders.rerun(record, {"PAY-k2-k2": ASKS_FOR_NEW_KEY}, NEW_KEYS)
    orders.keys_sent()
    orders.rerun(second, {}, NEW_KEYS)
    orders.rerun(third, {}, NEW_KEYS)
    orders.rerun(record, {}, NEW_KEYS)

    assert orders.keys_sent() == ["PAY-k2-k2-k2", "BACK"]


@pytest.mark.parametrize(
    ("answers", "again", "expected"),
    [
        pytest.param({}, "1", DELIVERED, id="delivered-under-the-new-key"),
        pytest.param({}, "2", CONFLICT, id="delivered-and-now-with-other-content"),
        pytest.param({"PAY-k2": LOST}, "1", CONFLICT, id="in-doubt-under-the-new-key"),
        pytest.param({"PAY-k2": NOT_CONNECTED}, "1", CONFLICT, id="still-to-go-under-it"),
        pytest.param({"PAY-k2": REFUSED}, "2", CONFLICT, id="refused-under-both"),
    ],
)
def test_a_row_with_a_new_key_is_not_sent_under_its_old_one(
    refused: tuple[JobRuns, RunRecord], answers: Mapping[str, Verdict], again: str, expected: tuple[Status, str]
) -> None:
    """A row that comes back is not sent under a key that was replaced."""
    orders, record = refused
    orders.rerun(record, answers, Selection(frozenset({Status.REJECTED}), new_keys=True))

    assert orders.reported_rows(orders.run(order("PAY", again))) == [("PAY", *expected)]


def test_a_fixed_row_that_was_delivered_gets_no_new_key(refused: tuple[JobRuns, RunRecord]) -> None:
    """After a fixed row was delivered, a rerun of the old run does not send the old content."""
    orders, record = refused
    orders.run(order("PAY", "2"))
    orders.keys_sent()

    rerun = orders.rerun(record, selection=Selection(frozenset({Status.REJECTED}), new_keys=True))

    assert orders.reported_rows(rerun) == [("PAY", *CONFLICT)]
    assert orders.keys_sent() == []


def test_a_delivery_in_doubt_keeps_its_key(new_job: NewJobRuns) -> None:
    """The part of a task that is in doubt never gets a new key."""
    tasks = new_job(Export.TASKS)
    record = tasks.run(task("A", 3), answers={"A-1": ASKS_FOR_NEW_KEY, "A-2": THROTTLED})
    tasks.keys_sent()
    tasks.rerun(record, selection=NEW_KEYS)

    assert tasks.keys_sent() == ["A-1-k2", "A-2"]


def test_a_rerun_of_balances_and_states_keeps_their_order(new_job: NewJobRuns) -> None:
    """Copies of balances and states are as old as their rows."""
    points = new_job(Export.POINTS, job="points")
    old = points.run(balance("X", 5), answers={"X=5@": THROTTLED})
    points.run(balance("X", 7))
    states = new_job(Export.STATES, job="states")
    record = states.run(state("A", "SIGNED"), state("A", "ENDED"), answers={"A/SIGNED": LOST})

    assert points.reported_rows(points.rerun(old)) == [("X=5@", *SUPERSEDED)]
    assert [status for _, status, _ in states.reported_rows(states.rerun(record))] == [Status.SUCCEEDED] * 2


def test_a_rerun_that_crashed_before_it_was_copied_is_copied_again(new_job: NewJobRuns, opens: Opens) -> None:
    """A rerun is copied whole or not at all. After a crash it is copied again."""
    orders = new_job()
    record = orders.run(order("A"), answers={"A": LOST})
    orders.begin(parent=record.run_id)

    found = opens().find("last")
    taken = opens().resume(found, orders.owner)
    count = orders.copy(taken, record, Selection(OPEN))

    assert (found.phase, count) == (Phase.STAGING, 1)
    assert orders.reported_rows(orders.deliver(taken, {})) == [("A", *SENT)]


def test_rows_delivered_by_a_rerun_are_skipped_by_a_resume(new_job: NewJobRuns) -> None:
    """A row that a rerun delivered is not sent again by its first run."""
    orders = new_job()
    record = orders.run(order("A"), order("B"), answers={"A": THROTTLED}, most=1)
    orders.rerun(record)
    orders.keys_sent()

    assert orders.reported_rows(orders.resume(record)) == [
        ("A", *DELIVERED),
        ("B", *DELIVERED),
    ]
    assert orders.keys_sent() == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param("last", "ORDERS-0002", id="last"),
        pytest.param("ORDERS-0001", "ORDERS-0001", id="whole"),
        pytest.param("orders-0001", "ORDERS-0001", id="in-small-letters"),
        pytest.param("ORDERS-", "is the beginning of more than one run's id", id="several"),
        pytest.param("X", "is no run in this ledger", id="none"),
        pytest.param("lst", "is no run in this ledger; did you mean last?", id="misspelt last"),
        pytest.param("ORDERS-00O2", "is no run in this ledger; did you mean ORDERS-0002?", id="misspelt id"),
        pytest.param("ORDERS-00_1", "is no run in this ledger; did you mean ORDERS-0001?", id="no-wildcard"),
    ],
)
def test_a_run_is_found_by_its_id(new_job: NewJobRuns, opens: Opens, wanted: str, found: str) -> None:
    """A run is named by its id, a unique prefix of it, or `last`."""
    orders = new_job()
    for key in "ABC":
        orders.run(order(key))

    try:
        result = opens().find(wanted).run_id
    except SettingsError as exc:
        result = str(exc).partition(" ")[2].partition(" ")[2].removesuffix("; `backfill runs` lists them")

    assert result == found


def test_runs_are_listed_newest_first(new_job: NewJobRuns, opens: Opens) -> None:
    """The newest runs come first, up to the given number."""
    orders = new_job()
    records = [orders.run(order(key)) for key in "ABC"]

    assert opens().recent(2) == [records[2], records[1]]


def test_progress_adds_up_and_the_exit_code_is_kept(new_job: NewJobRuns, opens: Opens) -> None:
    """Each execution adds its time and its throttled answers. The exit code is that of the last one."""
    orders = new_job()
    run = orders.begin()
    orders.stage(run, [order("A")])
    for throttled in (2, 3):
        run.conclude(
            state=RunState.INTERRUPTED,
            reason="cut off",
            finished_at="2026-03-01T12:00:09.000Z",
            open_as=("interrupted", ""),
            progress={"throttled": throttled, "elapsed_s": 1.5, "sending_s": 1.0},
        )
    run.finish(5)

    found = opens().find("last")
    assert (found.throttled, found.elapsed_s, found.sending_s, found.exit_code) == (5, 3.0, 2.0, 5)


@pytest.mark.parametrize(
    ("rows", "most", "is_open"),
    [
        pytest.param([order("A")], 1, False, id="all-done"),
        pytest.param([order("A"), order("B")], 1, True, id="some-left"),
        pytest.param([], 0, False, id="nothing-to-do"),
        pytest.param([invalid("A")], 0, False, id="nothing-that-can-be-sent"),
    ],
)
def test_a_run_knows_whether_dues_are_open(
    new_job: NewJobRuns, rows: Sequence[StagedRow], most: int, *, is_open: bool
) -> None:
    """A completed run has no open dues, also if rows failed. A run that was cut off has."""
    orders = new_job()
    run = orders.begin()
    orders.stage(run, rows)
    for due in [due for lane in run.lanes() for due in lane][:most]:
        orders.carry(run, due, DONE)

    assert run.has_open_dues() is is_open
    conclude(run, RunState.COMPLETED)
