"""Times: what an export writes, as a moment; and a moment as a platform takes it."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from pipeline.map.faults import Unreadable

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?) ?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_BEIJING = timedelta(hours=8)
_GREENWICH = timedelta(0)


def beijing_time(text: str, zone: ZoneInfo) -> str:
    """
    Return a time as Alipay takes it, `yyyy-MM-dd HH:mm:ss` in Beijing time; fractions of a second are dropped.

    That it is Beijing time is inferred: Alipay's Java SDK writes dates in GMT+8.
    """
    return _local_time(text, zone, _BEIJING).isoformat(" ", "seconds")


def utc_instant(text: str, zone: ZoneInfo) -> str:
    """Return a time in UTC with microseconds, so that such texts sort by time."""
    return _local_time(text, zone, _GREENWICH).isoformat("T", "microseconds") + "Z"


def is_steady(day: str, zone: ZoneInfo) -> bool:
    """Tell whether the zone's clocks ran without a change all day, so that the seconds of a minute are moved alike."""
    return _offset_all_day(day, zone) is not None


def _local_time(text: str, zone: ZoneInfo, ahead: timedelta) -> datetime:
    """Return what clocks showed, that are so much ahead of UTC, when the text was true in its zone."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise Unreadable("is not a time such as 2024-05-01 12:00:00")
    clock, offset = match.groups()
    try:
        if offset:
            return datetime.fromisoformat(clock + offset).astimezone(UTC).replace(tzinfo=None) + ahead
        written = datetime.fromisoformat(clock)
        return written - _offset(written, clock[:10], zone) + ahead
    except Unreadable:
        raise
    except (ValueError, OverflowError):
        raise Unreadable("is not a day and time that exist") from None


def _offset(written: datetime, day: str, zone: ZoneInfo) -> timedelta:
    """Return the zone's offset. A time that came twice is taken as the first; one that was skipped is refused."""
    usual = _offset_all_day(day, zone)
    if usual is not None:
        return usual
    local = written.replace(tzinfo=zone)
    if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=0) != written:
        raise Unreadable(f"is a time that the clocks of {zone} skipped")
    return local.utcoffset() or _GREENWICH


@lru_cache(maxsize=4096)
def _offset_all_day(day: str, zone: ZoneInfo) -> timedelta | None:
    """Return the offset of a day on which nobody touched the clocks, since the look for changes is slow."""
    first = datetime.fromisoformat(day).replace(tzinfo=zone)
    offset = first.utcoffset()
    return offset if first.replace(hour=23, minute=59, second=59).utcoffset() == offset else None
