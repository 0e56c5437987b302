"""Times: zones, offsets, clock changes, and texts that are not times."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.map.faults import Unreadable
from pipeline.map.values.times import TimeReader

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")


NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def beijing_time(text: str, zone: ZoneInfo, formats: Sequence[str] = (), now: datetime | None = None) -> str:
    return TimeReader(zone, formats, now).beijing_time(text)


def utc_instant(text: str, zone: ZoneInfo) -> str:
    return TimeReader(zone).utc_instant(text)


@pytest.mark.parametrize(
    ("text", "zone", "sent"),
    [
        pytest.param("2024-05-01 12:00:00", SHANGHAI, "2024-05-01 12:00:00", id="beijing"),
        pytest.param("2024-05-01T12:00:00", SHANGHAI, "2024-05-01 12:00:00", id="iso-8601"),
        pytest.param("2024-05-01 12:00", SHANGHAI, "2024-05-01 12:00:00", id="no-seconds"),
        pytest.param("2024-05-01T12:00", SHANGHAI, "2024-05-01 12:00:00", id="iso-8601-no-seconds"),
        pytest.param("2024-05-01 12:00:59.999", SHANGHAI, "2024-05-01 12:00:59", id="fraction-cut"),
        pytest.param("2024-05-01 12:00:59,999", SHANGHAI, "2024-05-01 12:00:59", id="fraction-after-a-comma"),
        pytest.param("2024-05-01 12:00:59.123456789", SHANGHAI, "2024-05-01 12:00:59", id="nanoseconds-cut"),
        pytest.param("2026/11/28 7:45", SHANGHAI, "2026-11-28 07:45:00", id="slashes-no-seconds"),
        pytest.param("2026/1/8 17:45:09", SHANGHAI, "2026-01-08 17:45:09", id="slashes-one-digit"),
        pytest.param("2026/11/28 07:45:09.5", SHANGHAI, "2026-11-28 07:45:09", id="slashes-fraction"),
        pytest.param("2026-1-8 7:45", SHANGHAI, "2026-01-08 07:45:00", id="hyphens-one-digit"),
        pytest.param("20261128074500", SHANGHAI, "2026-11-28 07:45:00", id="compact"),
        pytest.param("20261128T074500", SHANGHAI, "2026-11-28 07:45:00", id="compact-iso-8601"),
        pytest.param("20261128074500+0000", SHANGHAI, "2026-11-28 15:45:00", id="compact-with-offset"),
        pytest.param("2024-05-01T04:00:00Z", BERLIN, "2024-05-01 12:00:00", id="utc-whatever-the-zone"),
        pytest.param("2024-05-01 04:00:00 UTC", BERLIN, "2024-05-01 12:00:00", id="utc-by-name"),
        pytest.param("2024-05-01 04:00 Z", BERLIN, "2024-05-01 12:00:00", id="utc-after-a-blank"),
        pytest.param("2024-05-01T06:00:00+02:00", SHANGHAI, "2024-05-01 12:00:00", id="offset"),
        pytest.param("2024-05-01 06:00:00 +02:00", SHANGHAI, "2024-05-01 12:00:00", id="offset-after-a-blank"),
        pytest.param("2024-05-01 06:00:00 +0200", SHANGHAI, "2024-05-01 12:00:00", id="offset-without-colon"),
        pytest.param("2024-05-01 06:00:00+02", SHANGHAI, "2024-05-01 12:00:00", id="offset-of-hours"),
        pytest.param("2024-05-01 06:00:00.25+02", SHANGHAI, "2024-05-01 12:00:00", id="offset-after-a-fraction"),
        pytest.param("2024-04-30 18:30:00-0930", SHANGHAI, "2024-05-01 12:00:00", id="offset-behind"),
        pytest.param("2024/5/1 6:00+02", SHANGHAI, "2024-05-01 12:00:00", id="slashes-with-offset"),
        pytest.param("2024-05-01 12:00:00", ZoneInfo("UTC"), "2024-05-01 20:00:00", id="naive-is-in-the-job's-zone"),
        pytest.param("2024-05-01 23:30:00", BERLIN, "2024-05-02 05:30:00", id="next-day"),
        pytest.param("2024-02-29 00:00:00", SHANGHAI, "2024-02-29 00:00:00", id="leap-day"),
        pytest.param("2024-03-31 01:59:59", BERLIN, "2024-03-31 08:59:59", id="before-clocks-go-forward"),
        pytest.param("2024-03-31 03:00:00", BERLIN, "2024-03-31 09:00:00", id="after-clocks-go-forward"),
        pytest.param("2024-10-27 02:30:00", BERLIN, "2024-10-27 08:30:00", id="came-twice-first-taken"),
        pytest.param("2024-10-27 03:00:00", BERLIN, "2024-10-27 10:00:00", id="after-clocks-go-back"),
        pytest.param("9999-12-31 23:59:59", SHANGHAI, "9999-12-31 23:59:59", id="the-last-second"),
    ],
)
def test_a_time_is_sent_in_beijing_time(text: str, zone: ZoneInfo, sent: str) -> None:
    """A time with an offset keeps its moment, one without is in the job's zone; both are sent in Beijing time."""
    assert beijing_time(text, zone) == sent


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("2024-05-01", "is not a time such as", id="date-only"),
        pytest.param("2024-05-01 12", "is not a time such as", id="hour-only"),
        pytest.param("45981", 'is not a time such as .* "excel_serial"', id="day-number"),
        pytest.param("45981.5", 'is not a time such as .* "excel_serial"', id="day-number-with-time"),
        pytest.param("1714536000", 'is not a time such as .* "epoch_s"', id="epoch-seconds"),
        pytest.param("1714536000000", 'is not a time such as .* "epoch_ms"', id="epoch-milliseconds"),
        pytest.param("12", "is not a time such as 2024-05-01 12:00:00$", id="number"),
        pytest.param("01/05/2024 12:00:00", "is not a time such as", id="day-first"),
        pytest.param("2024-05/01 12:00:00", "is not a time such as", id="hyphen-and-slash"),
        pytest.param("24-05-01 12:00:00", "is not a time such as", id="year-of-two-digits"),
        pytest.param("202405011200", "is not a time such as", id="compact-no-seconds"),
        pytest.param("2024-W18-3 12:00:00", "is not a time such as", id="week-date"),
        pytest.param("２０２４-05-01 12:00:00", "U\\+FF12", id="full-width-digit"),
        pytest.param("2024-05-01 12：00：00", "U\\+FF1A", id="full-width-colon"),
        pytest.param("2024-05-01\u200b12:00:00", "U\\+200B", id="zero-width-space"),
        pytest.param("2024-05-01 12:00:00\n", "is not a time such as", id="line-feed"),
        pytest.param("2024-05-01 12:00:00 CST", "is not a time such as", id="named-zone"),
        pytest.param("2024-05-01 12:00:00 +8", "is not a time such as", id="offset-of-one-digit"),
        pytest.param("2024-05-01 12:00:00  +08:00", "is not a time such as", id="two-blanks"),
        pytest.param("2024-05-01 12:00:00.", "is not a time such as", id="point-without-fraction"),
        pytest.param("2024-05-01 12:00.5", "is not a time such as", id="fraction-of-a-minute"),
        pytest.param("2023-02-29 00:00:00", "exist", id="no-leap-year"),
        pytest.param("2023/2/29 0:00", "exist", id="no-leap-year-with-slashes"),
        pytest.param("20230229000000", "exist", id="no-leap-year-compact"),
        pytest.param("2024-05-01 24:00:00", "exist", id="hour-24"),
        pytest.param("2024-05-01 12:00:60", "exist", id="second-60"),
        pytest.param("0000-00-00 00:00:00", "exist", id="zero-date"),
        pytest.param("2024-05-01 12:00:00+25:00", "exist", id="impossible-offset"),
        pytest.param("2024-05-01 12:00:00+08:60", "exist", id="impossible-minutes"),
        pytest.param("0001-01-01 00:00:00+14:00", "exist", id="before-the-first-year"),
        pytest.param("9999-12-31 23:59:59-12:00", "exist", id="after-the-last-year"),
        pytest.param("2024-03-31 02:30:00", "clocks of Europe/Berlin skipped", id="skipped-by-the-zone"),
    ],
)
def test_a_text_that_is_no_time_is_refused(text: str, why: str) -> None:
    """A text that is no time, or a time that the zone skipped, is refused with its reason."""
    with pytest.raises(Unreadable, match=why) as refused:
        beijing_time(text, BERLIN)

    assert refused.value.code == "field_invalid"


@pytest.mark.parametrize(
    ("text", "zone", "is_in_range"),
    [
        pytest.param("2010-01-01 00:00:00", SHANGHAI, True, id="the-first-second"),
        pytest.param("2009-12-31 23:59:59", SHANGHAI, False, id="the-second-before"),
        pytest.param("2010-01-01 00:00:00", BERLIN, True, id="the-first-second-elsewhere"),
        pytest.param("2010-01-01 06:59:59+08:00", BERLIN, False, id="2010-in-beijing-and-not-in-the-zone"),
        pytest.param("1970-01-01 08:00:00", SHANGHAI, False, id="the-epoch"),
        pytest.param("0001-01-01 00:00:00Z", SHANGHAI, False, id="the-first-year"),
        pytest.param("2026-11-28 12:15:00Z", SHANGHAI, True, id="in-15-minutes"),
        pytest.param("2026-11-28 20:15:00", SHANGHAI, True, id="in-15-minutes-of-the-zone"),
        pytest.param("2026-11-28 12:15:01Z", SHANGHAI, False, id="a-second-later"),
        pytest.param("2026-11-28 20:15:01", SHANGHAI, False, id="a-second-later-of-the-zone"),
        pytest.param("9999-12-31 00:00:00", SHANGHAI, False, id="never"),
    ],
)
def test_a_time_out_of_range_is_refused(text: str, zone: ZoneInfo, is_in_range: bool) -> None:
    """Times before 2010 in the job's zone, or more than 15 minutes in the future, are refused."""
    if is_in_range:
        beijing_time(text, zone, now=NOW)
    else:
        with pytest.raises(Unreadable) as refused:
            beijing_time(text, zone, now=NOW)
        assert (refused.value.code, refused.value.rule) == ("time_out_of_range", "time_range")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        pytest.param("2024-05-01 12:00:00", "2024-05-01T04:00:00.000000Z", id="whole-seconds"),
        pytest.param("2024-05-01 12:00:00.5", "2024-05-01T04:00:00.500000Z", id="half"),
        pytest.param("2024-05-01T12:00:00.123456789+02:00", "2024-05-01T10:00:00.123456Z", id="nanoseconds-cut"),
        pytest.param("1999-05-01 12:00:00", "1999-05-01T04:00:00.000000Z", id="at-any-time"),
        pytest.param("1988-07-01 12:00:00", "1988-07-01T03:00:00.000000Z", id="summer-time-in-shanghai"),
    ],
)
def test_an_instant_is_in_utc_with_microseconds(text: str, instant: str) -> None:
    """The time of a balance is kept in UTC with microseconds."""
    assert utc_instant(text, SHANGHAI) == instant


@pytest.mark.parametrize(
    ("formats", "text", "sent"),
    [
        pytest.param(["%d.%m.%Y %H:%M:%S"], "20.11.2025 10:00:00", "2025-11-20 10:00:00", id="day-first"),
        pytest.param(["%Y年%m月%d日 %H时%M分"], "2025年11月20日 10时05分", "2025-11-20 10:05:00", id="chinese"),
        pytest.param(["%d.%m.%Y", "%m/%d/%Y"], "11/20/2025", "2025-11-20 00:00:00", id="second-of-two-forms"),
        pytest.param(["%d.%m.%Y"], "2025/11/20 7:45", "2025-11-20 07:45:00", id="built-in-form-beside"),
        pytest.param(["%Y-%d-%m %H:%M:%S"], "2025-11-12 10:00:00", "2025-12-11 10:00:00", id="before-the-built-in"),
        pytest.param(["%d/%b/%Y:%H:%M:%S %z"], "20/Nov/2025:02:00:00 +0000", "2025-11-20 10:00:00", id="offset"),
        pytest.param(["%Y%m%d %H%M"], "20251120 1000", "2025-11-20 10:00:00", id="compact"),
        pytest.param(["%d.%m.%Y %I:%M %p"], "20.11.2025 01:00 PM", "2025-11-20 13:00:00", id="afternoon"),
        pytest.param(["%Y-%m-%d %H:%M:%S.%f"], "2025-11-20 10:00:00.999", "2025-11-20 10:00:00", id="fraction-cut"),
        pytest.param(["epoch_s"], "1763604000", "2025-11-20 10:00:00", id="epoch-seconds"),
        pytest.param(["epoch_s"], "1763604000.999", "2025-11-20 10:00:00", id="epoch-seconds-fraction"),
        pytest.param(["epoch_ms"], "1763604000999", "2025-11-20 10:00:00", id="epoch-milliseconds"),
        pytest.param(["epoch_ms"], "1763604000999.0", "2025-11-20 10:00:00", id="epoch-milliseconds-fraction"),
        pytest.param(["epoch_ms", "epoch_s"], "1763604000.9", "2025-11-20 10:00:00", id="seconds-by-size"),
        pytest.param(["epoch_s", "epoch_ms"], "1763604000999", "2025-11-20 10:00:00", id="milliseconds-by-size"),
        pytest.param(["excel_serial"], "45981", "2025-11-20 00:00:00", id="day-number"),
        pytest.param(["excel_serial"], "45981.4166666667", "2025-11-20 10:00:00", id="day-number-rounded-up"),
        pytest.param(["excel_serial"], "45981.416666666664", "2025-11-20 10:00:00", id="day-number-of-a-float"),
        pytest.param(["excel_serial"], "45981.99998843", "2025-11-20 23:59:59", id="the-last-second-of-a-day"),
        pytest.param(["excel_serial"], "2025-11-20 10:00:00", "2025-11-20 10:00:00", id="text-beside-day-numbers"),
    ],
)
def test_a_job_may_name_other_forms(formats: list[str], text: str, sent: str) -> None:
    """The job's forms are tried before the built-in ones."""
    assert beijing_time(text, SHANGHAI, formats) == sent


@pytest.mark.parametrize(
    ("formats", "text"),
    [
        pytest.param(["%d.%m.%Y"], "20.13.2025", id="no-month"),
        pytest.param(["%d.%m.%Y"], "20.11.2025 10:00", id="more-than-the-form"),
        pytest.param(["%d.%m.%Y"], "２０.11.2025", id="full-width-digit"),
        pytest.param(["%d.%m.%Y"], "٢٠.11.2025", id="digit-of-another-script"),
        pytest.param(["epoch_s"], "-1763604000", id="before-1970"),
        pytest.param(["epoch_s"], "1.763604E+09", id="scientific"),
        pytest.param(["epoch_ms"], "9" * 15, id="too-long"),
        pytest.param(["excel_serial"], "60", id="the-day-that-never-was"),
        pytest.param(["excel_serial"], "2958466", id="after-the-last-day"),
    ],
)
def test_a_text_of_no_form_is_refused(formats: list[str], text: str) -> None:
    """A text that matches no form is refused."""
    with pytest.raises(Unreadable):
        beijing_time(text, SHANGHAI, formats)


def test_a_day_number_is_in_the_zone_of_the_job() -> None:
    """A spreadsheet's day number is a day in the job's zone."""
    assert beijing_time("45981.5", BERLIN, ["excel_serial"]) == "2025-11-20 19:00:00"


moments = st.datetimes(min_value=datetime(2010, 1, 2), max_value=datetime(2100, 1, 1)).map(  # noqa: DTZ001 - a zone follows
    lambda moment: moment.replace(tzinfo=UTC)
)


@given(moments, moments)
def test_instants_sort_as_the_moments_do(one: datetime, other: datetime) -> None:
    """Texts of instants sort by time."""
    earlier, later = (utc_instant(moment.isoformat(" "), SHANGHAI) for moment in sorted((one, other)))

    assert earlier <= later


@given(moments, st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "UTC"]))
def test_local_times_follow_the_zone(moment: datetime, name: str) -> None:
    """A local time is sent as its moment in the zone; a repeated one as the first."""
    zone = ZoneInfo(name)
    local = moment.astimezone(zone).replace(microsecond=0, fold=0)

    sent = beijing_time(str(local.replace(tzinfo=None)), zone)

    assert datetime.fromisoformat(sent) == (local.astimezone(UTC) + timedelta(hours=8)).replace(tzinfo=None)
