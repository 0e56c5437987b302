"""The forms that a job names for its times."""

import pytest

from pipeline.map.values.time_forms import NUMBERS, form_fault


@pytest.mark.parametrize(
    "form",
    [
        "%Y/%m/%d %H:%M",
        "%d.%m.%y",
        "%d %b %Y",
        "%Y-%j",
        "%Y年%m月%d日%H时",
        "%m/%d/%Y %I:%M:%S %p",
        "%Y%m%d%%",
        *NUMBERS,
    ],
)
def test_a_form_that_names_a_day_can_be_used(form: str) -> None:
    """A form of strptime with a year and a day, or the name of a number form, is valid."""
    assert form_fault(form) is None


@pytest.mark.parametrize(
    ("form", "fault"),
    [
        pytest.param("YYYY-MM-DD", "is neither a form such as %Y/%m/%d %H:%M nor one of", id="no-form"),
        pytest.param("epoch", "nor one of epoch_s, epoch_ms, excel_serial", id="no-number"),
        pytest.param("%H:%M", "names no day; it needs %Y, %m and %d", id="no-day"),
        pytest.param("%m-%d %H:%M", "names no day", id="no-year"),
        pytest.param("%Y-%m", "names no day", id="no-day-of-the-month"),
        pytest.param("%Y-%M-%d", "names no day", id="minutes-for-months"),
        pytest.param("%Y-%m-%d %H:%M %Z", "%Z can't be used", id="name-of-a-zone"),
        pytest.param("%s", "%s can't be used", id="directive-of-another-language"),
        pytest.param("%-d.%-m.%Y", "%- can't be used", id="directive-of-the-system"),
        pytest.param("%x %X", "%X, %x can't be used", id="directives-of-the-locale"),
        pytest.param("%d.%m.%Y %I:%M", "%I needs %p", id="half-a-day"),
        pytest.param("%d.%m.%Y %d", "names a part twice", id="twice"),
        pytest.param("%d.%m.%Y %", "ends with a lone %", id="lone-sign"),
    ],
)
def test_a_form_that_cannot_be_used_says_why(form: str, fault: str) -> None:
    """A form that strptime can't read, misreads, or dates to 1 January 1900 is reported."""
    assert fault in (form_fault(form) or "")
