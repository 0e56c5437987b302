"""Rows of one run that contradict each other: nobody can tell which one is right, so none is sent."""

from collections.abc import Sequence

import pytest

from pipeline.model import Export, Status
from tests.ledger_runs.job_runs import (
    CONFLICT,
    CONTRADICTION,
    DELIVERED,
    DUPLICATE,
    SENT,
    SUPERSEDED,
    NewJobRuns,
    Opens,
    ReportedRow,
)
from tests.ledger_runs.staged_rows import StagedRow, balance, invalid, order, state, task

T1, T2 = "2025-11-20T01:00:00.000000Z", "2025-11-20T02:00:00.000000Z"
BLOCKED = (Status.BLOCKED, "payment_not_succeeded")

USERS = [
    pytest.param(
        Export.ORDERS,
        [order("A", user="u", agreement="1"), order("B", user="v", agreement="1"), order("C", user="w")],
        [("A", *CONTRADICTION), ("B", *CONTRADICTION), ("C", *SENT)],
        id="an-agreement-of-two-users",
    ),
    pytest.param(
        Export.ORDERS,
        [
            order("A", user="u", agreement="1", names="open_id"),
            order("B", user="u", agreement="1", names="open_id"),
            order("C", user="v", agreement="1", names="open_id"),
        ],
        [("A", *CONTRADICTION), ("B", *CONTRADICTION), ("C", *CONTRADICTION)],
        id="of-two-open-ids",
    ),
    pytest.param(
        Export.ORDERS,
        [order("A", user="u", agreement="1"), order("B", user="v", agreement="1", names="open_id")],
        [("A", *SENT), ("B", *SENT)],
        id="a-user-id-and-an-open-id-may-be-of-one-user",
    ),
    pytest.param(
        Export.ORDERS,
        [order("A", user="u", agreement="1"), order("B", user="u", agreement="2")],
        [("A", *SENT), ("B", *SENT)],
        id="a-user-may-have-two-agreements",
    ),
    pytest.param(
        Export.ORDERS,
        [order("A", user="u", agreement="1"), invalid("B")],
        [("A", *SENT), ("B", Status.INVALID, "field_missing")],
        id="invalid-rows-are-ignored",
    ),
    pytest.param(
        Export.ORDERS,
        [
            order("A", user="u", agreement="1"),
            order("B", user="v", agreement="1"),
            order("A", "2", user="w"),
            order("A", "3", user="w"),
        ],
        [("A", *CONTRADICTION), ("B", *CONTRADICTION), ("A", *SENT), ("A", *CONFLICT)],
        id="a-contradiction-takes-no-key",
    ),
    pytest.param(
        Export.ORDERS,
        [
            order("PAY", user="u", agreement="1"),
            order("B", user="v", agreement="1"),
            order("BACK", user="w", refund_of="PAY"),
        ],
        [("PAY", *CONTRADICTION), ("B", *CONTRADICTION), ("BACK", *BLOCKED)],
        id="a-refund-of-such-a-payment",
    ),
    pytest.param(Export.TASKS, [task("A", 2), task("B")], [("A", *SENT), ("B", *SENT)], id="tasks-of-one-user"),
    pytest.param(
        Export.POINTS,
        [balance("X", 5, openid="o"), balance("X", 7, openid="p"), balance("Y", 1)],
        [("X=5@", *CONTRADICTION), ("X=7@", *CONTRADICTION), ("Y=1@", *SENT)],
        id="a-card-of-two-users",
    ),
    pytest.param(
        Export.POINTS,
        [balance("X", 5, key="K", openid="o"), balance("X", 5, key="K", openid="p"), balance("X", 6, openid="o")],
        [("K", *CONTRADICTION), ("K", *CONTRADICTION), ("X=6@", *CONTRADICTION)],
        id="a-card-of-two-users-under-one-key",
    ),
    pytest.param(
        Export.POINTS,
        [balance("X", 5, version=T1), balance("X", 7), balance("Y", 1), balance("Y", 2)],
        [("X=5@" + T1, *CONTRADICTION), ("X=7@", *CONTRADICTION), ("Y=1@", *SUPERSEDED), ("Y=2@", *SENT)],
        id="some-rows-of-a-card-have-a-time",
    ),
    pytest.param(
        Export.STATES,
        [state("A", "NEW", version=T2), state("A", "PAID"), state("A", "NEW"), state("B", "NEW")],
        [("A", *CONTRADICTION), ("A", *CONTRADICTION), ("A", *CONTRADICTION), ("B", *SENT)],
        id="some-rows-of-an-object-have-a-time",
    ),
    pytest.param(
        Export.STATES,
        [state("A", "NEW", user="u"), state("A", "PAID", user="v"), state("A", "PAID", user="v")],
        [("A", *SENT), ("A", *SENT), ("A", *DUPLICATE)],
        id="an-object-may-have-several-users",
    ),
]


@pytest.mark.parametrize(("export", "rows", "expected"), USERS)
def test_rows_that_contradict_each_other_are_not_sent(
    new_job: NewJobRuns, export: Export, rows: Sequence[StagedRow], expected: Sequence[ReportedRow]
) -> None:
    """All rows of such an agreement, card or object are invalid. All others are sent."""
    job = new_job(export)

    assert job.reported_rows(job.run(*rows)) == expected


def test_a_contradiction_names_field_and_rule(new_job: NewJobRuns, opens: Opens) -> None:
    """The message names the field and the rule, but no id. The cells are kept for the fix."""
    orders, points = new_job(), new_job(Export.POINTS, account="card", owner="a merchant", job="points")
    of_orders = orders.run(order("A", user="u", agreement="1"), order("B", user="v", agreement="1"))
    of_points = points.run(balance("X", 5, openid="o"), balance("X", 7, openid="p"))

    ((of_order, cells), _), ((of_card, _), _) = (
        [(outcome.message, outcome.cells) for outcome in opens().outcomes(record)] for record in (of_orders, of_points)
    )
    assert of_order == (
        "user_id: rows of this run name more than one user_id for this agreement_no; correct it where it is wrong"
    )
    assert of_card == "openid: rows of this run name more than one openid for this card; correct it where it is wrong"
    assert cells == '["A","1"]'


def test_a_delivered_row_can_contradict_a_new_one(new_job: NewJobRuns) -> None:
    """A delivered row with another user makes a new row invalid, and stays delivered."""
    orders = new_job()
    orders.run(order("A", user="u", agreement="1"))

    record = orders.run(order("A", user="u", agreement="1"), order("B", user="v", agreement="1"))

    assert orders.reported_rows(record) == [("A", *DELIVERED), ("B", *CONTRADICTION)]


def test_runs_do_not_contradict_each_other(new_job: NewJobRuns) -> None:
    """From one run to the next an agreement may pass to another user, and an export may start to have times."""
    orders, points = new_job(), new_job(Export.POINTS, account="card", owner="a merchant", job="points")
    orders.run(order("A", user="u", agreement="1"))
    points.run(balance("X", 5))

    assert orders.reported_rows(orders.run(order("B", user="v", agreement="1"))) == [("B", *SENT)]
    assert points.reported_rows(points.run(balance("X", 7, version=T1, openid="p"))) == [(f"X=7@{T1}", *SENT)]
