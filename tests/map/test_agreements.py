"""Agreement and day of a row, also of one that is otherwise invalid."""

from zoneinfo import ZoneInfo

import pytest

from pipeline.map import MappingRules, read_agreements
from pipeline.model import Api, Export

COLUMNS = ("协议号", "biz_time", "trade_amount")
RULES = MappingRules(
    export=Export.ORDERS,
    api=Api.CUMULATION,
    columns={"agreement_no": "协议号"},
    units={},
    constants={},
    timezone=ZoneInfo("America/New_York"),
)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        pytest.param(("'2025", "2025-11-20 10:00", "x"), ("2025", 20251120), id="another field is wrong"),
        pytest.param(("2025", "2025-11-20 11:00", "1"), ("2025", 20251121), id="the day is that of Beijing"),
        pytest.param(("2025", "tomorrow", "1"), ("2025", None), id="a time that can't be read"),
        pytest.param(("2.03E+19", "2025-11-20 10:00", "1"), (None, 20251120), id="a rounded number"),
        pytest.param((None, None, "1"), (None, None), id="empty cells"),
        pytest.param(("2025", "2025-11-20 10:00"), (None, None), id="a cell is missing"),
    ],
)
def test_agreement_and_day(cells: tuple[str | None, ...], expected: tuple[str | None, int | None]) -> None:
    """Each is read by the job's rules; None where it can't be."""
    assert read_agreements(RULES, COLUMNS)(cells) == expected
