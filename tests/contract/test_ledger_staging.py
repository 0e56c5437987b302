"""What a run leaves out: rows that were delivered, that come twice, or whose key stands for something else."""

from collections.abc import Sequence

import pytest

from pipeline.ledger.records import RunState
from pipeline.ledger.staging.rerun import Selection
from pipeline.model import Export, Status
from pipeline.write.answers.verdict import Verdict
from tests.contract.nights import (
    ASKS_FOR_NEW_KEY,
    CONFLICT,
    DELIVERED,
    DONE,
    DUPLICATE,
    LOST,
    NOT_CONNECTED,
    REFUSED,
    SENT,
    SUPERSEDED,
    THROTTLED,
    AnswerContent,
    MakeNights,
    Opens,
    conclude,
)
from tests.contract.staged_rows import StagedRow, balance, invalid, order, state, task


@pytest.mark.parametrize(
    ("answer", "again", "reported_rows"),
    [
        pytest.param(DONE, "1", DELIVERED, id="delivered"),
        pytest.param(DONE, "2", CONFLICT, id="delivered-with-other-content"),
        pytest.param(REFUSED, "1", SENT, id="refused"),
        pytest.param(REFUSED, "2", SENT, id="refused-and-mended"),
        pytest.param(LOST, "1", SENT, id="in-doubt"),
        pytest.param(LOST, "2", CONFLICT, id="in-doubt-with-other-content"),
        pytest.param(THROTTLED, "1", SENT, id="throttled"),
        pytest.param(THROTTLED, "2", CONFLICT, id="throttled-with-other-content"),
        pytest.param(NOT_CONNECTED, "1", SENT, id="never-left"),
        pytest.param(NOT_CONNECTED, "2", SENT, id="never-left-and-changed"),
    ],
)
def test_what_an_earlier_night_did_decides_about_the_same_key(
    nights: MakeNights, answer: Verdict, again: str, reported_rows: tuple[Status, str]
) -> None:
    """What was delivered is not sent again, and what the platform may hold is sent with the same content only."""
    orders = nights()
    orders.night(order("A"), answers={"A": answer})

    assert orders.reported_rows(orders.night(order("A", again))) == [("A", *reported_rows)]


def test_what_never_left_leaves_no_trace(nights: MakeNights) -> None:
    """A request that never left its machine does not fix the content of its key."""
    orders = nights()
    orders.night(order("A", "1"), answers={"A": NOT_CONNECTED})
    orders.keys_sent()

    assert orders.reported_rows(orders.night(order("A", "2"))) == [("A", *SENT)]
    assert orders.keys_sent() == ["A"]


@pytest.mark.parametrize(
    ("export", "rows", "reported_rows"),
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
            id="the-newest-balance-where-the-export-says",
        ),
        pytest.param(
            Export.POINTS,
            [balance("X", 7, version="2026-03-02"), balance("X", 5)],
            [("X=7@2026-03-02", *SENT), ("X=5@", *SUPERSEDED)],
            id="one-that-says-when-before-one-that-does-not",
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
def test_within_a_run_each_thing_is_sent_once(
    nights: MakeNights, export: Export, rows: Sequence[StagedRow], reported_rows: Sequence[AnswerContent]
) -> None:
    """Of equal rows one is sent, of one key one content, of one card the newest balance; the others say why not."""
    job = nights(export)

    assert job.reported_rows(job.night(*rows)) == reported_rows


NIGHTS_OF_POINTS = [
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


@pytest.mark.parametrize(("files", "sent"), NIGHTS_OF_POINTS)
def test_balances_are_sent_when_they_change(
    nights: MakeNights, files: Sequence[Sequence[StagedRow]], sent: Sequence[str]
) -> None:
    """A balance goes out when the platform does not hold it, and one that comes back goes out under a fresh key."""
    points = nights(Export.POINTS)
    for rows in files:
        points.night(*rows)

    assert points.keys_sent() == sent


def test_a_key_that_counts_is_told_and_stands_in_the_body(nights: MakeNights) -> None:
    """A balance that comes back is told, and sent, under the key that the platform gets to know."""
    points = nights(Export.POINTS)
    for number in (5, 7):
        points.night(balance("X", number))

    assert points.reported_rows(points.night(balance("X", 5))) == [("X=5@-2", *SENT)]
    assert points.sent[-1] == ("X=5@-2", b'{"card":"X","out_request_no":"X=5@-2","point_balance":5}')


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
def test_a_balance_is_unchanged_only_where_nothing_else_may_stand(
    nights: MakeNights, first: Verdict, second: Verdict, again: int, sent: Sequence[str]
) -> None:
    """What was confirmed last counts as held by the platform only while nothing later may have been applied."""
    points = nights(Export.POINTS)
    points.night(balance("X", 5), answers={"X=5@": first})
    points.night(balance("X", 7), answers={"X=7@": second})
    points.night(balance("X", again))

    assert points.keys_sent() == sent


@pytest.mark.parametrize(
    ("first", "second", "reported_rows"),
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
    nights: MakeNights, first: StagedRow, second: StagedRow, reported_rows: tuple[Status, str]
) -> None:
    """A task delivered under its key is not delivered again under numbered keys, nor the reverse; missing parts are."""
    tasks = nights(Export.TASKS)
    tasks.night(first)

    assert tasks.reported_rows(tasks.night(second)) == [(second.request_key, *reported_rows)]


@pytest.mark.parametrize(
    ("answer", "reported_rows"),
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
def test_what_became_of_a_task_decides_about_its_other_form(
    nights: MakeNights,
    first: StagedRow,
    second: StagedRow,
    answer: Verdict,
    reported_rows: tuple[Status, str],
    *,
    at_once: bool,
) -> None:
    """A task that may be counted in one form is not counted in the other, also where both were staged before."""
    tasks, others = nights(Export.TASKS, job="one"), nights(Export.TASKS, job="other")
    waiting = others.night(second, most=0) if at_once else None
    tasks.night(first, answers={"A": answer, "A-1": NOT_CONNECTED, "A-2": answer})

    record = others.night(second) if waiting is None else others.resume(waiting)

    assert others.reported_rows(record) == [("A", *reported_rows)]


def test_a_task_in_doubt_is_settled_in_its_own_form(nights: MakeNights) -> None:
    """A delivery in doubt is sent again under its key, and not the parts that its other form would need."""
    tasks = nights(Export.TASKS)
    waiting = tasks.night(task("A", 2), most=0)
    first = tasks.night(task("A", 1), answers={"A": LOST})

    assert tasks.reported_rows(tasks.resume(waiting)) == [("A", *CONFLICT)]
    assert tasks.reported_rows(tasks.rerun(first)) == [("A", *SENT)]


def test_a_task_that_was_given_another_key_is_not_counted_in_another_form(nights: MakeNights) -> None:
    """A task that went out under a key of `--new-keys` counts under that, and conflicts with its other form."""
    tasks = nights(Export.TASKS)
    refused = tasks.night(task("A", 1), answers={"A": ASKS_FOR_NEW_KEY})
    tasks.rerun(refused, selection=Selection(frozenset({Status.REJECTED}), new_keys=True))

    assert tasks.reported_rows(tasks.night(task("A", 2))) == [("A", *CONFLICT)]


def test_only_the_missing_parts_of_a_task_are_sent(nights: MakeNights) -> None:
    """Parts that were delivered before are left out, and the row ends as the worst of its parts."""
    tasks = nights(Export.TASKS)
    tasks.night(task("A", 3), answers={"A-2": LOST, "A-3": REFUSED})
    tasks.keys_sent()

    record = tasks.night(task("A", 3), answers={"A-2": DONE, "A-3": REFUSED})

    assert tasks.keys_sent() == ["A-2", "A-3"]
    assert tasks.reported_rows(record) == [("A", Status.REJECTED, "INVALID_PARAMETER")]


def test_accounts_and_apis_do_not_know_each_others_keys(nights: MakeNights) -> None:
    """A key that one account or API used is free for another."""
    nights().night(order("A"))
    other_account = nights(account="other", owner="Alipay app 2", job="other")
    other_api = nights(Export.STATES, job="states")

    assert other_account.reported_rows(other_account.night(order("A", "2"))) == [("A", *SENT)]
    assert other_api.reported_rows(other_api.night(state("A", "SIGNED"))) == [("A", *SENT)]


def test_one_holder_under_two_names_is_one_account(nights: MakeNights) -> None:
    """An account that the config names anew knows what was delivered under its old name."""
    nights().night(order("A"))
    renamed = nights(account="renamed", job="renamed")

    assert renamed.reported_rows(renamed.night(order("A"))) == [("A", *DELIVERED)]
    assert renamed.reported_rows(renamed.night(order("A"))) == [("A", *DELIVERED)]


def test_a_run_that_is_staged_anew_forgets_what_it_had_staged(nights: MakeNights, opens: Opens) -> None:
    """Staging again leaves nothing of the first time: neither rows nor inputs nor what was due."""
    orders = nights()
    run = orders.begin()
    orders.stage(run, [order("A"), order("B")], decide=False)
    run.unstage()
    orders.stage(run, [order("C")])

    record = orders.deliver(run, {})

    assert orders.reported_rows(record) == [("C", *SENT)]
    assert [(source.name, source.rows) for source in opens().inputs(record)] == [("orders.csv", 1)]


def test_rows_of_an_unfinished_staging_have_outcomes(nights: MakeNights) -> None:
    """A run that ends while it is staged has an outcome for each row read so far, and stays to be staged."""
    orders = nights()
    run = orders.begin()
    orders.stage(run, [order("A"), invalid("B")], decide=False)

    record = conclude(run, RunState.INTERRUPTED, "deadline")

    assert orders.reported_rows(record) == [("A", Status.UNSENT, "deadline"), ("B", Status.INVALID, "field_missing")]
    assert (record.phase, record.state) == ("staging", RunState.INTERRUPTED)


def test_rows_of_an_unfinished_staging_keep_what_is_known_of_them(nights: MakeNights) -> None:
    """A run that ends while it is staged skips what another job delivers meanwhile, and keeps the doubt of others."""
    one, other = nights(job="one"), nights(job="other")
    run = one.begin()
    one.stage(run, [order("A"), order("B"), order("C")], decide=False)
    other.night(order("A"), order("B"), answers={"B": LOST})

    record = conclude(run, RunState.INTERRUPTED, "deadline")

    assert one.reported_rows(record) == [
        ("A", *DELIVERED),
        ("B", Status.UNKNOWN, "deadline"),
        ("C", Status.UNSENT, "deadline"),
    ]


def test_an_older_balance_is_not_sent_by_a_run_that_is_staged_after_a_newer_one(nights: MakeNights) -> None:
    """A night that died while it was staged, and is staged anew, leaves out a balance that a later night still owes."""
    points = nights(Export.POINTS)
    first = points.night(balance("X", 5), most=0)
    second = points.begin().run
    third = points.night(balance("X", 5), most=0)

    points.resume(first)
    late = points.opens().take_up(second, points.owner)
    points.stage(late, [balance("X", 7), balance("Y", 7)])

    assert points.reported_rows(points.deliver(late, {})) == [("X=7@", *SUPERSEDED), ("Y=7@", *SENT)]
    assert points.reported_rows(points.resume(third)) == [("X=5@", *DELIVERED)]
    assert points.keys_sent() == ["X=5@", "Y=7@"]
