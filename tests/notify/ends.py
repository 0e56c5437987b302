"""Ends of runs, receivers and records for the tests."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pipeline.ledger.records import RunRecord
from pipeline.model import Api, Export, Status
from pipeline.notify.run_end import RunEnd
from pipeline.report import QuotaUse, Step, Summary
from pipeline.settings import MailReceiver, MailTls, ReceiverType, WebReceiver, When
from pipeline.tables.fault_groups import FaultExample, FaultGroup, FaultKind, GroupedFaults

RUN_ID = "01JD4Q4Z8V3N5R6T7Y8M9B0C1D"
RUN_UUID = "01934972-7d1b-1d4b-8368-fe4512b0302d"
AT = datetime(2024, 5, 1, 17, 2, 3, 500_000, tzinfo=UTC)
USER = "2088765432109876"

SUMMARY = Summary(
    run_id=RUN_ID,
    parent=None,
    date="2024-05-01",
    job="orders",
    api=Api.CUMULATION,
    account="zhima",
    state="completed",
    exit_code=3,
    inputs=(),
    rows=1010,
    left=10,
    counts={Status.SUCCEEDED: 1000, Status.INVALID: 8, Status.UNKNOWN: 2},
    codes={"SUCCESS": 1000, "field_invalid": 8, "timeout": 2},
    faults=GroupedFaults(
        (
            FaultGroup(
                FaultKind(Status.INVALID, "field_invalid", "trade_amount", "实付金额", "two places"),
                8,
                FaultExample("orders.csv", 7, value=USER, message=f"user {USER}"),
            ),
            FaultGroup(FaultKind(Status.UNKNOWN, "timeout"), 2, FaultExample("orders.csv", 9)),
        )
    ),
    attempts=1011,
    started_at="2024-05-01T16:00:00.000Z",
    finished_at="2024-05-01T17:02:03.500Z",
    elapsed_s=3723.5,
    sent_per_s=4.8712,
    quota=QuotaUse(5, 0.97424, 3),
    report=f"reports/{RUN_ID}",
)
STEP = Step("Send 2 rows again", f"backfill rerun {RUN_ID}")


def run_end(exit_code: int = 3, before: int | None = 0, **changes: Any) -> RunEnd:
    """Return the end of a run with a report."""
    summary = replace(SUMMARY, exit_code=exit_code)
    return replace(RunEnd("orders", exit_code, before, AT, RUN_ID, summary, (STEP,)), **changes)


FINE = run_end(0, 3, summary=replace(SUMMARY, exit_code=0, left=0, faults=GroupedFaults()), steps=())
# The command failed before there was a run.
NOT_STARTED = RunEnd("orders", 2, 0, AT, error="no file matches exports/*.csv\nsee docs/inputs.md")


def robot(kind: ReceiverType, url: str, **changes: Any) -> WebReceiver:
    """Return a receiver of all messages about `orders`."""
    return replace(WebReceiver("team", kind, When.ALWAYS, frozenset({"orders"}), url), **changes)


def mail_server(port: int, **changes: Any) -> MailReceiver:
    """Return a mail server on loopback without encryption."""
    server = MailReceiver(
        name="ops",
        when=When.ALWAYS,
        jobs=frozenset({"orders"}),
        host="127.0.0.1",
        port=port,
        tls=MailTls.NONE,
        user=None,
        password=None,
        sender="backfill@example.com",
        recipients=("ops@example.com", "data@example.com"),
    )
    return replace(server, **changes)


def run_record(**changes: Any) -> RunRecord:
    """Return a run as the ledger has it."""
    record = RunRecord(
        run_no=1,
        run_id=RUN_ID,
        job="orders",
        export=Export.ORDERS,
        api=Api.CUMULATION,
        account="zhima",
        account_no=1,
        parent=None,
        options={},
        limit_per_s=5,
        started_at="2024-05-01T16:00:00.000Z",
    )
    return replace(record, **changes)
