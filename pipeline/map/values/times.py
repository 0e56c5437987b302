"""Times: the text of an export to a moment, and the moment to the platform's text."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from pipeline.language import t
from pipeline.map.faults import OUT_OF_RANGE, Unreadable
from pipeline.map.values.cells import refuse_confusable_number
from pipeline.map.values.time_forms import built_in, named_forms, number_hint

_BEIJING = timedelta(hours=8)
_AT_UTC = timedelta(0)
_EARLIEST = datetime(2010, 1, 1)  # noqa: DTZ001 - in the job's zone
# The last moment that Beijing time can express.
_LATEST = datetime(9999, 12, 31, 23, 59, 59) - _BEIJING  # noqa: DTZ001 - in UTC
# The export's machine may have another clock.
_FUTURE_TOLERANCE = timedelta(minutes=15)


class TimeReader:
    """
    Reads the times of one field. A time without an offset is in `zone`.

    `formats` are forms of strptime or names of NUMBERS, and are tried before the built-in forms. Times after `now` are
    in the future; None means no limit.
    """

    def __init__(self, zone: ZoneInfo, formats: Sequence[str] = (), now: datetime | None = None) -> None:
        self._zone = zone
        self._forms = (*named_forms(formats), built_in)
        self._earliest = self._moment(_EARLIEST, None)
        self._latest = (now + _FUTURE_TOLERANCE).astimezone(UTC).replace(tzinfo=None) if now else _LATEST

    def beijing_time(self, text: str) -> str:
        """
        Return a time in Alipay's form, `yyyy-MM-dd HH:mm:ss` in Beijing time; fractions are cut.

        Beijing time is inferred: Alipay's Java SDK writes dates in GMT+8. Raises Unreadable, also for a time before
        2010 or in the future.
        """
        moment = self._read(text)
        if moment < self._earliest:
            raise Unreadable(t("is before {year}", year=_EARLIEST.year), "time_range", OUT_OF_RANGE)
        if moment > self._latest:
            raise Unreadable(t("is more than 15 minutes in the future"), "time_range", OUT_OF_RANGE)
        return (moment + _BEIJING).isoformat(" ", "seconds")

    def utc_instant(self, text: str) -> str:
        """Return a time in UTC with microseconds, as texts that sort by time. Raises Unreadable."""
        return self._read(text).isoformat("T", "microseconds") + "Z"

    def _read(self, text: str) -> datetime:
        """Return a moment as a naive datetime in UTC."""
        try:
            for form in self._forms:
                written = form(text)
                if written is not None:
                    return self._moment(*written)
        except Unreadable:
            raise
        except (ValueError, OverflowError):
            raise Unreadable(t("is not an existing day and time"), "time") from None
        refuse_confusable_number(text)
        raise Unreadable(t("is not a time such as 2024-05-01 12:00:00{text}", text=number_hint(text)), "time")

    def _moment(self, written: datetime, ahead: timedelta | None) -> datetime:
        return written - (_offset(written, self._zone) if ahead is None else ahead)


def has_one_offset(day: str, zone: ZoneInfo) -> bool:
    """Return whether a zone has the same offset all day, so that all seconds of a minute shift alike."""
    return _offset_all_day(date.fromisoformat(day), zone) is not None


def _offset(written: datetime, zone: ZoneInfo) -> timedelta:
    """Return the zone's offset. A repeated time counts as the first one; a skipped time raises Unreadable."""
    offset = _offset_all_day(written.date(), zone)
    if offset is not None:
        return offset
    local = written.replace(tzinfo=zone)
    if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None, fold=0) != written:
        raise Unreadable(t("is a time that the clocks of {zone} skipped", zone=zone), "time")
    return local.utcoffset() or _AT_UTC


@lru_cache(maxsize=4096)
def _offset_all_day(day: date, zone: ZoneInfo) -> timedelta | None:
    """Return the offset of a day, None if it changes. It is cached, because the zone's lookup is slow."""
    first = datetime(day.year, day.month, day.day, tzinfo=zone)
    offset = first.utcoffset()
    return offset if first.replace(hour=23, minute=59, second=59).utcoffset() == offset else None
