"""The next moment at which clocks show a time."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

# A time within the last hour means today, so that a late scheduler does not run until tomorrow.
_JUST_PASSED = timedelta(hours=1)


def deadline(at: time, zone: ZoneInfo, now: datetime) -> datetime:
    """Return the next time at which clocks in the zone show `at`; within the last hour, return the past one."""
    here = now.astimezone(zone)
    days = (datetime.combine(here.date() + timedelta(days=n), at, zone) for n in (-1, 0, 1))
    return next(moment for moment in days if moment > here - _JUST_PASSED)
