"""The deadline of `--until`."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from pipeline.cli.deadline import deadline


@pytest.mark.parametrize(
    ("at", "zone", "now", "moment"),
    [
        pytest.param("06:30", "Asia/Shanghai", "2026-03-01T22:00+08:00", "2026-03-02T06:30+08:00", id="tomorrow"),
        pytest.param("06:30", "Asia/Shanghai", "2026-03-02T01:00+08:00", "2026-03-02T06:30+08:00", id="today"),
        pytest.param("06:30", "Asia/Shanghai", "2026-03-01T17:00+00:00", "2026-03-02T06:30+08:00", id="of-the-zone"),
        pytest.param("06:30", "Asia/Shanghai", "2026-03-02T06:45+08:00", "2026-03-02T06:30+08:00", id="just-passed"),
        pytest.param("06:30", "Asia/Shanghai", "2026-03-02T07:30+08:00", "2026-03-03T06:30+08:00", id="long-passed"),
        pytest.param("23:50", "Asia/Shanghai", "2026-03-02T00:10+08:00", "2026-03-01T23:50+08:00", id="over-midnight"),
        pytest.param("00:10", "Asia/Shanghai", "2026-03-01T23:50+08:00", "2026-03-02T00:10+08:00", id="after-midnight"),
        pytest.param("06:30", "Europe/Berlin", "2026-03-28T22:00+01:00", "2026-03-29T06:30+02:00", id="summer-begins"),
    ],
)
def test_the_deadline_is_the_next_such_time(at: str, zone: str, now: str, moment: str) -> None:
    """The deadline is the next such time in the job's zone; a time within the last hour counts as reached."""
    until = deadline(time.fromisoformat(at), ZoneInfo(zone), datetime.fromisoformat(now).astimezone(UTC))

    assert until.astimezone(UTC) == datetime.fromisoformat(moment).astimezone(UTC)
