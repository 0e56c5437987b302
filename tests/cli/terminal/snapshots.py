"""A run to show, and its progress in the middle of sending."""

from datetime import datetime
from zoneinfo import ZoneInfo

from pipeline.cli.terminal.snapshot import Snapshot
from pipeline.ledger.records import RunRecord
from pipeline.model import Api, Export, Status
from pipeline.run.events import ProgressPhase

SHANGHAI = ZoneInfo("Asia/Shanghai")
RUN = RunRecord(
    run_no=1, run_id="01KX0000000000000000000000", job="orders", export=Export.ORDERS, api=Api.CUMULATION,
    account="zhima", account_no=1, parent=None, options={}, limit_per_s=20.0, started_at="2026-03-01T12:00:00.000Z",
)  # fmt: skip
READING = Snapshot(job="orders", run_id=RUN.run_id, phase=ProgressPhase.READING, limit=20.0, rows_read=12_000)
SENDING = Snapshot(
    job="orders",
    run_id=RUN.run_id,
    phase=ProgressPhase.SENDING,
    limit=20.0,
    rows_read=30_000,
    counts={Status.SUCCEEDED: 12_000, Status.SKIPPED: 900, Status.INVALID: 75, Status.REJECTED: 5, Status.UNKNOWN: 1},
    to_send=29_025,
    done=12_006,
    retries=45,
    throttled=3,
    rate=15.5,
    seconds_left=860.0,
    ends_at=datetime(2026, 3, 1, 20, 14, tzinfo=SHANGHAI),
)
