"""What is suggested for a name that is no time zone."""

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
    """Whatever people write for China's time, Asia/Shanghai is suggested."""
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
    """A name that is nearly that of a zone is taken for it."""
    assert suggested_zone(name) == f'; did you mean "{zone}"?'


@pytest.mark.parametrize(
    "name",
    ["UTC+9", "GMT-8", "UTC-08:00", "+09:00", "Etc/UTC+9", "JST", "PST", "IST", "Asia/Bangalore", "Mars", "时区"],
)
def test_no_zone_is_suggested_that_may_be_hours_off(name: str) -> None:
    """An offset, an abbreviation or an unknown city is not taken for the zone whose name is nearest."""
    assert suggested_zone(name) == "; write an IANA name, an area and a city, such as Asia/Shanghai for UTC+8"


def test_what_is_suggested_is_eight_hours_ahead() -> None:
    """The clocks of Asia/Shanghai show what people mean by GMT+8."""
    offset = datetime(2026, 7, 1, tzinfo=UTC).astimezone(ZoneInfo("Asia/Shanghai")).utcoffset()

    assert str(offset) == "8:00:00"
