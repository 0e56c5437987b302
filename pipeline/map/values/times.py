"""Times: what an export writes, as a moment; and a moment as a platform takes it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from zoneinfo import ZoneInfo

from pipeline.map.faults import OUT_OF_RANGE, Unreadable
from pipeline.map.values.cells import refuse_unusual_number
from pipeline.map.values.time_forms import NUMBERS, built_in, number_hint, of_strptime

_BEIJING = timedelta(hours=8)
_GREENWICH = timedelta(0)
_EARLIEST = datetime(2010, 1, 1)  # noqa: DTZ001 - in the job's zone
# The last moment for which Beijing has a time.
_LATEST = datetime(9999, 12, 31, 23, 59, 59) - _BEIJING  # noqa: DTZ001 - in UTC
# Clocks differ.
_FUTURE_TOLERANCE = timedelta(minutes=15)


class TimeReader:
    """
    Reads the times of one field. A time without an offset is in `zone`.

    `formats` are forms of strptime or names of NUMBERS, and are tried before the built-in forms. `now` is the moment
    after which the future begins; None where it is not known.
    """

    def __init__(self, zone: ZoneInfo, formats: Sequence[str] = (), now: datetime | None = None) -> None:
        self._zone = zone
        self._forms = (*(NUMBERS.get(form) or partial(of_strptime, form) for form in formats), built_in)
        self._earliest = self._moment(_EARLIEST, None)
        self._latest = (now + _FUTURE_TOLERANCE).astimezone(UTC).replace(tzinfo=None) if now else _LATEST

    def beijing_time(self, text: str) -> str:
        """
        Return when something happened as Alipay takes it, `yyyy-MM-dd HH:mm:ss` in Beijing time; fractions are cut.

        That it is Beijing time is inferred: Alipay's Java SDK writes dates in GMT+8. Raises Unreadable, also for a time
        that can't be.
        """
        moment = self._read(text)
        if moment < self._earliest:
            raise Unreadable(f"is before {_EARLIEST.year}", "time_range", OUT_OF_RANGE)
        if moment > self._latest:
            raise Unreadable("is more than 15 minutes in the future", "time_range", OUT_OF_RANGE)
        return (moment + _BEIJING).isoformat(" ", "seconds")

    def utc_instant(self, text: str) -> str:
        """Return a time in UTC with microseconds, so that such texts sort by time. Raises Unreadable."""
        return self._read(text).isoformat("T", "microseconds") + "Z"

    def _read(self, text: str) -> datetime:
        """Return a moment in UTC, without a zone of its own."""
        try:
            for form in self._forms:
                written = form(text)
                if written is not None:
                    return self._moment(*written)
        except Unreadable:
            raise
        except (ValueError, OverflowError):
            raise Unreadable("is not a day and time that exist", "time") from None
        refuse_unusual_number(text)
        raise Unreadable(f"is not a time such as 2024-05-01 12:00:00{number_hint(text)}", "time")

    def _moment(self, written: datetime, ahead: timedelta | None) -> datetime:
        return written - (_offset(written, self._zone) if ahead is None else ahead)


def is_steady(day: str, zone: ZoneInfo) -> bool:
    """Tell whether the zone's clocks ran without a change all day, so that the seconds of a minute are moved alike."""
    return _offset_all_day(date.fromisoformat(day), zone) is not None


def _offset(written: datetime, zone: ZoneInfo) -> timedelta:
    """Return the zone's offset. A time that came twice is taken as the first; one that was skipped is refused."""
    usual = _offset_all_day(written.date(), zone)
    if usual is not None:
        return usual
    local = written.replace(tzinfo=zone)
    if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=0) != written:
        raise Unreadable(f"is a time that the clocks of {zone} skipped", "time")
    return local.utcoffset() or _GREENWICH


@lru_cache(maxsize=4096)
def _offset_all_day(day: date, zone: ZoneInfo) -> timedelta | None:
    """Return the offset of a day on which nobody touched the clocks, since the look for changes is slow."""
    first = datetime(day.year, day.month, day.day, tzinfo=zone)
    offset = first.utcoffset()
    return offset if first.replace(hour=23, minute=59, second=59).utcoffset() == offset else None
