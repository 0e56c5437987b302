"""The night of a plan: its end at the quota, and what a deadline leaves over."""

from datetime import timedelta

import pytest

from pipeline.run.plan import SendingTime, night_of
from tests.moved_clock import NOON


@pytest.mark.parametrize(
    ("minutes", "left"),
    [(None, 0), (2, 0), (1, 100), (0, 400), (-30, 400)],
)
def test_a_deadline_leaves_over_what_the_quota_cannot_send(minutes: int | None, left: int) -> None:
    """400 requests at 5 per second take 80 s; in one minute 300 are sent, after the deadline none."""
    until = None if minutes is None else NOON + timedelta(minutes=minutes)

    assert night_of(400, 5.0, NOON, until) == SendingTime(NOON + timedelta(seconds=80), until, left)
