"""Times: zones, offsets, clocks that were changed, and texts that are no time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.map.faults import Unreadable
from pipeline.map.times import beijing_time, utc_instant

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "zone", "sent"),
    [
        pytest.param("2024-05-01 12:00:00", SHANGHAI, "2024-05-01 12:00:00", id="beijing"),
        pytest.param("2024-05-01T12:00:00", SHANGHAI, "2024-05-01 12:00:00", id="iso-8601"),
        pytest.param("2024-05-01 12:00:59.999", SHANGHAI, "2024-05-01 12:00:59", id="fraction-dropped"),
        pytest.param("2024-05-01 12:00:59.123456789", SHANGHAI, "2024-05-01 12:00:59", id="nanoseconds-dropped"),
        pytest.param("2024-05-01T04:00:00Z", BERLIN, "2024-05-01 12:00:00", id="utc-whatever-the-zone"),
        pytest.param("2024-05-01T06:00:00+02:00", SHANGHAI, "2024-05-01 12:00:00", id="offset"),
        pytest.param("2024-05-01 06:00:00 +0200", SHANGHAI, "2024-05-01 12:00:00", id="offset-after-a-blank"),
        pytest.param("2024-05-01 12:00:00", ZoneInfo("UTC"), "2024-05-01 20:00:00", id="naive-is-in-the-job's-zone"),
        pytest.param("2024-05-01 23:30:00", BERLIN, "2024-05-02 05:30:00", id="next-day"),
        pytest.param("2024-02-29 00:00:00", SHANGHAI, "2024-02-29 00:00:00", id="leap-day"),
        pytest.param("2024-03-31 01:59:59", BERLIN, "2024-03-31 08:59:59", id="before-clocks-go-forward"),
        pytest.param("2024-03-31 03:00:00", BERLIN, "2024-03-31 09:00:00", id="after-clocks-go-forward"),
        pytest.param("2024-10-27 02:30:00", BERLIN, "2024-10-27 08:30:00", id="came-twice-first-taken"),
        pytest.param("2024-10-27 03:00:00", BERLIN, "2024-10-27 10:00:00", id="after-clocks-go-back"),
        pytest.param("1988-07-01 12:00:00", SHANGHAI, "1988-07-01 11:00:00", id="summer-time-in-shanghai"),
        pytest.param("9999-12-31 23:59:59", SHANGHAI, "9999-12-31 23:59:59", id="the-last-second"),
    ],
)
def test_a_time_is_sent_in_beijing_time(text: str, zone: ZoneInfo, sent: str) -> None:
    """A time with an offset keeps its moment, one without is in the job's zone, and both go out in Beijing time."""
    assert beijing_time(text, zone) == sent


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("2024-05-01", "is not a time such as", id="date-only"),
        pytest.param("2024-05-01 12:00", "is not a time such as", id="no-seconds"),
        pytest.param("1714536000", "is not a time such as", id="epoch-seconds"),
        pytest.param("1714536000000", "is not a time such as", id="epoch-milliseconds"),
        pytest.param("01/05/2024 12:00:00", "is not a time such as", id="slashes"),
        pytest.param("20240501120000", "is not a time such as", id="compact"),
        pytest.param("2024-W18-3 12:00:00", "is not a time such as", id="week-date"),
        pytest.param("２０２４-05-01 12:00:00", "is not a time such as", id="full-width"),
        pytest.param("2024-05-01 12:00:00\n", "is not a time such as", id="line-feed"),
        pytest.param("2024-05-01 12:00:00 CST", "is not a time such as", id="named-zone"),
        pytest.param("2024-05-01 12:00:00.", "is not a time such as", id="point-without-fraction"),
        pytest.param("2023-02-29 00:00:00", "exist", id="no-leap-year"),
        pytest.param("2024-05-01 24:00:00", "exist", id="hour-24"),
        pytest.param("2024-05-01 12:00:60", "exist", id="second-60"),
        pytest.param("0000-00-00 00:00:00", "exist", id="zero-date"),
        pytest.param("2024-05-01 12:00:00+25:00", "exist", id="impossible-offset"),
        pytest.param("0001-01-01 00:00:00+14:00", "exist", id="before-the-first-year"),
        pytest.param("9999-12-31 23:59:59-12:00", "exist", id="after-the-last-year"),
        pytest.param("2024-03-31 02:30:00", "clocks of Europe/Berlin skipped", id="skipped-by-the-zone"),
    ],
)
def test_what_is_no_time_is_refused(text: str, why: str) -> None:
    """A text that names no moment, or no time that clocks in the zone ever showed, is refused with its reason."""
    with pytest.raises(Unreadable, match=why):
        beijing_time(text, BERLIN)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        pytest.param("2024-05-01 12:00:00", "2024-05-01T04:00:00.000000Z", id="whole-seconds"),
        pytest.param("2024-05-01 12:00:00.5", "2024-05-01T04:00:00.500000Z", id="half"),
        pytest.param("2024-05-01T12:00:00.123456789+02:00", "2024-05-01T10:00:00.123456Z", id="nanoseconds-cut"),
    ],
)
def test_an_instant_is_in_utc_with_microseconds(text: str, instant: str) -> None:
    """When a balance changed is kept in UTC to the microsecond."""
    assert utc_instant(text, SHANGHAI) == instant


moments = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2100, 1, 1)).map(  # noqa: DTZ001 - a zone follows
    lambda moment: moment.replace(tzinfo=UTC)
)


@given(moments, moments)
def test_instants_sort_as_the_moments_do(one: datetime, other: datetime) -> None:
    """Comparing two instants as texts tells which was earlier."""
    earlier, later = (utc_instant(moment.isoformat(" "), SHANGHAI) for moment in sorted((one, other)))

    assert earlier <= later


@given(moments, st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "UTC"]))
def test_local_times_mean_what_the_zone_says(moment: datetime, name: str) -> None:
    """A time that a zone's clocks showed is sent as that moment; where they showed it twice, as the first."""
    zone = ZoneInfo(name)
    local = moment.astimezone(zone).replace(microsecond=0, fold=0)

    sent = beijing_time(str(local.replace(tzinfo=None)), zone)

    assert datetime.fromisoformat(sent) == (local.astimezone(UTC) + timedelta(hours=8)).replace(tzinfo=None)
