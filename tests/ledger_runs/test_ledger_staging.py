"""Rows that a run does not send: delivered ones, duplicates, and keys with other content."""

from collections.abc import Sequence

import pytest

from pipeline.ledger.records import RunState
from pipeline.ledger.staging.rerun import Selection
from pipeline.model import Export, Status
from pipeline.write.answers.verdict import Verdict
from tests.ledger_runs.job_runs import (
    ASKS_FOR_NEW_KEY,
    CONFLICT,
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
    NewJobRuns,
    Opens,
    ReportedRow,
    conclude,
)
from tests.ledger_runs.staged_rows import StagedRow, balance, invalid, order, state, task


@pytest.mark.parametrize(
    ("answer", "again", "expected"),
    [
        pytest.param(DONE, "1", DELIVERED, id="delivered"),
        pytest.param(DONE, "2", CONFLICT, id="delivered-with-other-content"),
        pytest.param(REFUSED, "1", SENT, id="refused"),
        pytest.param(REFUSED, "2", SENT, id="refused-and-fixed"),
        pytest.param(LOST, "1", SENT, id="in-doubt"),
        pytest.param(LOST, "2", CONFLICT, id="in-doubt-with-other-content"),
        pytest.param(THROTTLED, "1", SENT, id="throttled"),
        pytest.param(THROTTLED, "2", CONFLICT, id="throttled-with-other-content"),
        pytest.param(NOT_CONNECTED, "1", SENT, id="never-left"),
        pytest.param(NOT_CONNECTED, "2", SENT, id="never-left-and-changed"),
    ],
)
def test_an_earlier_run_decides_about_the_same_key(
    new_job: NewJobRuns, answer: Verdict, again: str, expected: tuple[Status, str]
) -> None:
    """A delivered row is not sent again. A row that the platform may have is sent with the same content only."""
    orders = new_job()
    orders.run(order("A"), answers={"A": answer})

    assert orders.reported_rows(orders.run(order("A", again))) == [("A", *expected)]


def test_a_request_that_never_left_leaves_no_trace(new_job: NewJobRuns) -> None:
    """A request that never left this machine does not fix the content of its key."""
    orders = new_job()
    orders.run(order("A", "1"), answers={"A": NOT_CONNECTED})
    orders.keys_sent()

    assert orders.reported_rows(orders.run(order("A", "2"))) == [("A", *SENT)]
    assert orders.keys_sent() == ["A"]


@pytest.mark.parametrize(
    ("export", "rows", "expected"),
    [
        pytest.param(
            Export.ORDERS,
            [order("A"), order("B"), order("A")],
            [("A", *SENT), ("B", *SENT), ("A", *DUPLICATE)],
            id="the-same-row-again",
        ),
        pytest.param(
            Export.ORDERS,
            [order("A", "1"), order("A", "2"), order("A", "1")],
            [("A", *SENT), ("A", *CONFLICT), ("A", *DUPLICATE)],
            id="other-content-in-between",
        ),
        pytest.param(
            Export.ORDERS, [invalid("A"), order("A")], [("A", Status.INVALID, "field_missing"), ("A", *SENT)],
            id="an-invalid-row-takes-no-key",
        ),
        pytest.param(
            Export.STATES,
            [state("A", "SIGNED"), state("A", "ENDED"), state("A", "SIGNED")],
            [("A", *SENT), ("A", *SENT), ("A", *SENT)],
            id="a-state-comes-back",
        ),
        pytest.param(
            Export.TASKS, [task("A", 2), task("A", 3)], [("A", *SENT), ("A", *SENT)], id="a-task-done-once-more"
        ),
        pytest.param(Export.TASKS, [task("A", 2), task("A", 2)], [("A", *SENT), ("A", *DUPLICATE)], id="a-task-twice"),
        pytest.param(
            Export.TASKS, [task("A", 2, "1"), task("A", 2, "2")], [("A", *SENT), ("A", *CONFLICT)],
            id="a-task-with-other-content",
        ),
        pytest.param(
            Export.TASKS, [task("A", 1), task("A", 2)], [("A", *SENT), ("A", *CONFLICT)], id="a-task-counted-otherwise"
        ),
        pytest.param(
            Export.POINTS,
            [balance("X", 5), balance("Y", 1), balance("X", 7)],
            [("X=5@", *SUPERSEDED), ("Y=1@", *SENT), ("X=7@", *SENT)],
            id="the-last-balance-of-a-card",
        ),
        pytest.param(
            Export.POINTS,
            [balance("X", 7, version="2026-03-02"), balance("X", 5, version="2026-03-01")],
            [("X=7@2026-03-02", *SENT), ("X=5@2026-03-01", *SUPERSEDED)],
            id="the-newest-balance-by-its-time",
        ),
        pytest.param(
            Export.POINTS,
            [balance("X", 7, version="2026-03-02"), balance("X", 5)],
            [("X=7@2026-03-02", *CONTRADICTION), ("X=5@", *CONTRADICTION)],
            id="one-with-and-one-without-a-time",
        ),
        pytest.param(
            Export.POINTS, [balance("X", 5, key="K"), balance("X", 5, key="K")], [("K", *DUPLICATE), ("K", *SENT)],
            id="a-balance-twice",
        ),
        pytest.param(
            Export.POINTS, [balance("X", 5, key="K"), balance("Y", 5, key="K")], [("K", *SENT), ("K", *CONFLICT)],
            id="one-key-for-two-cards",
        ),
    ],
)  # fmt: skip
def test_duplicates_within_a_run_are_sent_once(
    new_job: NewJobRuns, export: Export, rows: Sequence[StagedRow], expected: Sequence[ReportedRow]
) -> None:
    """A run sends one of equal rows, one content of a key, and the newest balance of a card."""
    job = new_job(export)

    assert job.reported_rows(job.run(*rows)) == expected


RUNS_OF_POINTS = [
    pytest.param([[balance("X", 5)], [balance("X", 5)]], ["X=5@"], id="equal-to-what-was-confirmed"),
    pytest.param(
        [[balance("X", 5)], [balance("X", 7)], [balance("X", 5)]], ["X=5@", "X=7@", "X=5@-2"], id="a-balance-comes-back"
    ),
    pytest.param(
        [[balance("X", n)] for n in (5, 7, 5, 7, 5)],
        ["X=5@", "X=7@", "X=5@-2", "X=7@-2", "X=5@-3"],
        id="and-comes-back-again",
    ),
    pytest.param(
        [[balance("X", 5, key="K1"), balance("X", 7, key="K2")]] * 2, ["K2"], id="the-same-file-with-keys-twice"
    ),
    pytest.param(
        [[balance("X", 7, version="2")], [balance("X", 5, version="1")]], ["X=7@2"], id="older-by-the-exports-time"
    ),
    pytest.param(
        [[balance("X", 5, version="1")], [balance("X", 7)]], ["X=5@1", "X=7@"], id="a-later-file-without-times"
    ),
    pytest.param([[balance("X", 5)], [balance("Y", 5)]], ["X=5@", "Y=5@"], id="each-card-for-itself"),
]


@pytest.mark.parametrize(("files", "sent"), RUNS_OF_POINTS)
def test_balances_are_sent_when_they_change(
    new_job: NewJobRuns, files: Sequence[Sequence[StagedRow]], sent: Sequence[str]
) -> None:
    """A balance is sent if the platform does not hold it. One that comes back gets a fresh key."""
    points = new_job(Export.POINTS)
    for rows in files:
        points.run(*rows)

    assert points.keys_sent() == sent


def test_a_fresh_key_is_reported_and_in_the_body(new_job: NewJobRuns) -> None:
    """A balance that comes back is reported and sent under its fresh key."""
    points = new_job(Export.POINTS)
    for number in (5, 7):
        points.run(balance("X", number))

    assert points.reported_rows(points.run(balance("X", 5))) == [("X=5@-2", *SENT)]
    assert points.sent[-1] == ("X=5@-2", b'{"card":"X","openid":"o","out_request_no":"X=5@-2","point_balance":5}')


@pytest.mark.parametrize(
    ("first", "second", "again", "sent"),
    [
        pytest.param(DONE, LOST, 5, ["X=5@", "X=7@", "X=5@-2"], id="back-while-another-is-in-doubt"),
        pytest.param(DONE, LOST, 7, ["X=5@", "X=7@", "X=7@"], id="the-one-in-doubt-under-its-key"),
        pytest.param(DONE, REFUSED, 5, ["X=5@", "X=7@"], id="unchanged-since-the-other-was-refused"),
        pytest.param(DONE, NOT_CONNECTED, 5, ["X=5@", "X=7@"], id="unchanged-since-the-other-never-left"),
        pytest.param(DONE, THROTTLED, 5, ["X=5@", "X=7@"], id="unchanged-since-the-other-was-throttled"),
        pytest.param(LOST, REFUSED, 5, ["X=5@", "X=7@", "X=5@"], id="still-in-doubt-after-a-refusal"),
        pytest.param(REFUSED, DONE, 7, ["X=5@", "X=7@"], id="unchanged-after-a-refusal"),
        pytest.param(LOST, DONE, 7, ["X=5@", "X=7@"], id="unchanged-after-a-doubt"),
    ],
)
def test_a_balance_is_unchanged_only_if_nothing_later_may_be_applied(
    new_job: NewJobRuns, first: Verdict, second: Verdict, again: int, sent: Sequence[str]
) -> None:
    """A confirmed balance counts as held by the platform only if nothing later may have been applied."""
    points = new_job(Export.POINTS)
    points.run(balance("X", 5), answers={"X=5@": first})
    points.run(balance("X", 7), answers={"X=7@": second})
    points.run(balance("X", again))

    assert points.keys_sent() == sent


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param(task("A", 1), task("A", 2), CONFLICT, id="once-then-twice"),
        pytest.param(task("A", 2), task("A", 1), CONFLICT, id="twice-then-once"),
        pytest.param(task("A", 2), task("A", 3), SENT, id="twice-then-three-times"),
        pytest.param(task("A", 3), task("A", 2), DELIVERED, id="three-times-then-twice"),
        pytest.param(task("A-1", 1), task("A", 2, "2"), CONFLICT, id="a-key-that-looks-numbered"),
        pytest.param(task("A-1", 1), task("A", 1), SENT, id="a-key-that-looks-numbered-beside-its-stem"),
    ],
)
def test_a_task_is_not_counted_again_in_another_form(
    new_job: NewJobRuns, first: StagedRow, second: StagedRow, expected: tuple[Status, str]
) -> None:
    """A task delivered under its key is not delivered under numbered keys, nor the reverse. Missing parts are."""
    tasks = new_job(Export.TASKS)
    tasks.run(first)

    assert tasks.reported_rows(tasks.run(second)) == [(second.request_key, *expected)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(DONE, CONFLICT, id="delivered"),
        pytest.param(LOST, CONFLICT, id="in-doubt"),
        pytest.param(THROTTLED, CONFLICT, id="still-to-be-sent"),
        pytest.param(REFUSED, SENT, id="refused-for-good"),
        pytest.param(NOT_CONNECTED, SENT, id="never-left"),
    ],
)
@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(task("A", 1), task("A", 2), id="once-then-twice"),
        pytest.param(task("A", 2), task("A", 1), id="twice-then-once"),
    ],
)
@pytest.mark.parametrize("at_once", [pytest.param(False, id="one-by-one"), pytest.param(True, id="staged-at-once")])
def test_a_task_that_may_count_in_one_form_is_not_sent_in_the_other(
    new_job: NewJobRuns,
    first: StagedRow,
    second: StagedRow,
    answer: Verdict,
    expected: tuple[Status, str],
    *,
    at_once: bool,
) -> None:
    """This also holds if both forms were staged before either was sent."""
    tasks, others = new_job(Export.TASKS, job="one"), new_job(Export.TASKS, job="other")
    waiting = others.run(second, most=0) if at_once else None
    tasks.run(first, answers={"A": answer, "A-1": NOT_CONNECTED, "A-2": answer})

    record = others.run(second) if waiting is None else others.resume(waiting)

    assert others.reported_rows(record) == [("A", *expected)]


def test_a_task_in_doubt_is_settled_in_its_own_form(new_job: NewJobRuns) -> None:
    """A delivery in doubt is sent again under its key. The parts of the other form are not sent."""
    tasks = new_job(Export.TASKS)
    waiting = tasks.run(task("A", 2), most=0)
    first = tasks.run(task("A", 1), answers={"A": LOST})

    assert tasks.reported_rows(tasks.resume(waiting)) == [("A", *CONFLICT)]
    assert tasks.reported_rows(tasks.rerun(first)) == [("A", *SENT)]


def test_a_task_with_a_new_key_is_not_counted_in_another_form(new_job: NewJobRuns) -> None:
    """A task that was sent under a key of `--new-keys` conflicts with its other form."""
    tasks = new_job(Export.TASKS)
    refused = tasks.run(task("A", 1), answers={"A": ASKS_FOR_NEW_KEY})
    tasks.rerun(refused, selection=Selection(frozenset({Status.REJECTED}), new_keys=True))

    assert tasks.reported_rows(tasks.run(task("A", 2))) == [("A", *CONFLICT)]


def test_only_the_missing_parts_of_a_task_are_sent(new_job: NewJobRuns) -> None:
    """Delivered parts are left out, and the row ends as its worst part."""
    tasks = new_job(Export.TASKS)
    tasks.run(task("A", 3), answers={"A-2": LOST, "A-3": REFUSED})
    tasks.keys_sent()

    record = tasks.run(task("A", 3), answers={"A-2": DONE, "A-3": REFUSED})

    assert tasks.keys_sent() == ["A-2", "A-3"]
    assert tasks.reported_rows(record) == [("A", Status.REJECTED, "INVALID_PARAMETER")]


def test_accounts_and_apis_do_not_share_keys(new_job: NewJobRuns) -> None:
    """A key that one account or API used is free for another."""
    new_job().run(order("A"))
    other_account = new_job(account="other", owner="Alipay app 2", job="other")
    other_api = new_job(Export.STATES, job="states")

    assert other_account.reported_rows(other_account.run(order("A", "2"))) == [("A", *SENT)]
    assert other_api.reported_rows(other_api.run(state("A", "SIGNED"))) == [("A", *SENT)]


def test_one_merchant_under_two_names_is_one_account(new_job: NewJobRuns) -> None:
    """An account that is renamed in the config keeps its deliveries."""
    new_job().run(order("A"))
    renamed = new_job(account="renamed", job="renamed")

    assert renamed.reported_rows(renamed.run(order("A"))) == [("A", *DELIVERED)]
    assert renamed.reported_rows(renamed.run(order("A"))) == [("A", *DELIVERED)]


def test_staging_again_deletes_the_first_staging(new_job: NewJobRuns, opens: Opens) -> None:
    """Neither rows nor inputs nor dues of the first staging are left."""
    orders = new_job()
    run = orders.begin()
    orders.stage(run, [order("A"), order("B")], decide=False)
    run.unstage()
    orders.stage(run, [order("C")])

    record = orders.deliver(run, {})

    assert orders.reported_rows(record) == [("C", *SENT)]
    assert [(source.name, source.rows) for source in opens().inputs(record)] == [("orders.csv", 1)]


def test_rows_of_an_unfinished_staging_have_outcomes(new_job: NewJobRuns) -> None:
    """A run that ends while it is staged has an outcome for each row read so far, and can be staged again."""
    orders = new_job()
    run = orders.begin()
    orders.stage(run, [order("A"), invalid("B")], decide=False)

    record = conclude(run, RunState.INTERRUPTED, "deadline")

    assert orders.reported_rows(record) == [("A", Status.UNSENT, "deadline"), ("B", Status.INVALID, "field_missing")]
    assert (record.phase, record.state) == ("staging", RunState.INTERRUPTED)


def test_rows_of_an_unfinished_staging_keep_what_is_known(new_job: NewJobRuns) -> None:
    """A run that ends while it is staged skips rows that another job delivers meanwhile, and keeps their doubt."""
    one, other = new_job(job="one"), new_job(job="other")
    run = one.begin()
    one.stage(run, [order("A"), order("B"), order("C")], decide=False)
    other.run(order("A"), order("B"), answers={"B": LOST})

    record = conclude(run, RunState.INTERRUPTED, "deadline")

    assert one.reported_rows(record) == [
        ("A", *DELIVERED),
        ("B", Status.UNKNOWN, "deadline"),
        ("C", Status.UNSENT, "deadline"),
    ]


def test_a_run_staged_again_does_not_send_an_older_balance(new_job: NewJobRuns) -> None:
    """A run that is staged again skips a balance if a later run still has one to send."""
    points = new_job(Export.POINTS)
    first = points.run(balance("X", 5), most=0)
    second = points.begin().run
    third = points.run(balance("X", 5), most=0)

    points.resume(first)
    late = points.opens().resume(second, points.owner)
    points.stage(late, [balance("X", 7), balance("Y", 7)])

    assert points.reported_rows(points.deliver(late, {})) == [("X=7@", *SUPERSEDED), ("Y=7@", *SENT)]
    assert points.reported_rows(points.resume(third)) == [("X=5@", *DELIVERED)]
    assert points.keys_sent() == ["X=5@", "Y=7@"]


def test_a_run_staged_again_does_not_take_states_of_a_later_run(new_job: NewJobRuns) -> None:
    """A run of states that died while staging comes before a later run, which still sends its own last state."""
    states = new_job(Export.STATES)
    first = states.begin().run
    second = states.run(state("A", "ACTIVE"), state("A", "FROZEN"), most=0)

    late = states.opens().resume(first, states.owner)
    states.stage(late, [state("A", "FROZEN")])

    assert states.reported_rows(states.deliver(late, {})) == [("A", *SENT)]
    assert states.reported_rows(states.resume(second)) == [("A", *SENT), ("A", *SENT)]
    assert states.keys_sent() == ["A/FROZEN", "A/ACTIVE", "A/FROZEN"]
