"""Suggestions for names that are no time zones."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from pipeline.settings.jobs.zones import suggested_zone

CHINA = "; for China's time write Asia/Shanghai"


@pytest.mark.parametrize(
    "name",
    [
        *("GMT+8", "UTC+8", "+08:00", "CST", "Asia/Beijing", "北京"),
        *("gmt+8", "GMT+08:00", "UTC+0800", "UTC 8", "+8", "+0800", "8", "Etc/UTC+8", "CST-8", "utc8"),
        *(
            "Beijing",
            "Asia/Peking",
            "China Standard Time",
            "China",
            "北京时间",
            "上海",
            "中国标准时间",
            "东八区",
            "Asia/Hangzhou",
        ),
        *("asia/shanghai", "Asia/Shanghai ", "(UTC+08:00) Beijing, Chongqing, Hong Kong, Urumqi"),
    ],
)
def test_china_is_suggested_where_it_is_meant(name: str) -> None:
    """Asia/Shanghai is suggested for the usual names of China's time."""
    assert suggested_zone(name) == CHINA


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("Asia/Shangai", "Asia/Shanghai"),
        ("Asia/Bejing", "Asia/Shanghai"),
        ("Asia/Tokio", "Asia/Tokyo"),
        ("Europe/Berln", "Europe/Berlin"),
    ],
)
def test_a_misspelt_city_is_found(name: str, zone: str) -> None:
    """The nearest zone is suggested for a misspelt name."""
    assert suggested_zone(name) == f'; did you mean "{zone}"?'


@pytest.mark.parametrize(
    "name",
    ["UTC+9", "GMT-8", "UTC-08:00", "+09:00", "Etc/UTC+9", "JST", "PST", "IST", "Asia/Bangalore", "Mars", "时区"],
)
def test_no_zone_is_suggested_that_may_be_hours_off(name: str) -> None:
    """No zone is suggested for an offset, an abbreviation or an unknown city."""
    assert suggested_zone(name) == "; write an IANA name, an area and a city, such as Asia/Shanghai for UTC+8"


def test_the_suggested_zone_is_eight_hours_ahead() -> None:
    """The clocks of Asia/Shanghai show GMT+8."""
    offset = datetime(2026, 7, 1, tzinfo=UTC).astimezone(ZoneInfo("Asia/Shanghai")).utcoffset()

    assert str(offset) == "8:00:00"
