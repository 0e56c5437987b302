"""A valid row of each export, and functions that map a row given by its fields."""

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline.map import Invalid, Mapped, MappingRules, bind
from pipeline.model import Api, Export, Payload, Row

API = {
    Export.ORDERS: Api.CUMULATION,
    Export.TASKS: Api.CUMULATION,
    Export.POINTS: Api.POINTS,
    Export.STATES: Api.STATE,
}
REPORT = {
    "out_biz_no": "A-17",
    "agreement_no": "20230000000000000001",
    "user_id": "2088000000000001",
    "partner_id": "2088000000000000",
    "biz_time": "2024-05-01 12:00:00",
}
GOOD: Mapping[Export, Mapping[str, str | None]] = {
    Export.ORDERS: REPORT | {"amount_name": "消费金额", "trade_no": "T-1", "trade_amount": "12.5"},
    Export.TASKS: REPORT | {"task_name": "签到"},
    Export.POINTS: {
        "brand_id": "40001",
        "card_id": "pbLatjk4xxxx",
        "openid": "oUpF8uMuAJO",
        "user_card_code": "000123",
        "point_balance": "120",
    },
    Export.STATES: {
        "user_id": "2088000000000001",
        "out_biz_no": "A-17",
        "out_principal_id": "film-9",
        "biz_state_code": "SIGNED",
        "category_code": "FILM",
        "service_id": "2024000000000000000000000001",
        "biz_data": '{"title": "好"}',
    },
}


def rules_for(export: Export, **changes: Any) -> MappingRules:
    plain: dict[str, Any] = {"columns": {}, "units": {}, "constants": {}, "timezone": ZoneInfo("Asia/Shanghai")}
    return MappingRules(export, **({"api": API[export]} | plain | changes))


def map_fields(export: Export, fields: Mapping[str, str | None], **changes: Any) -> Mapped:
    map_row = bind(rules_for(export, **changes), tuple(fields))
    return map_row(Row(1, tuple(fields.values())))


@pytest.fixture(scope="session")
def good() -> Mapping[Export, Mapping[str, str | None]]:
    """A valid row of each export, by field."""
    return GOOD


@pytest.fixture(scope="session")
def rules() -> Callable[..., MappingRules]:
    """Return minimal rules for an export, with changes."""
    return rules_for


@pytest.fixture(scope="session")
def mapped() -> Callable[..., Mapped]:
    """Map a row whose columns have the fields' own names."""
    return map_fields


@pytest.fixture(scope="session")
def sent() -> Callable[..., tuple[Payload, ...]]:
    """Map the valid row of an export with changed fields (None removes one), and expect payloads."""

    def payloads(export: Export, changes: Mapping[str, str | None], **how: Any) -> tuple[Payload, ...]:
        mapped = map_fields(export, {**GOOD[export], **changes}, **how)
        assert isinstance(mapped, tuple), mapped
        return mapped

    return payloads


@pytest.fixture(scope="session")
def refused() -> Callable[..., Invalid]:
    """Map the valid row of an export with changed fields (None removes one), and expect faults."""

    def invalid(export: Export, changes: Mapping[str, str | None], **how: Any) -> Invalid:
        mapped = map_fields(export, {**GOOD[export], **changes}, **how)
        assert isinstance(mapped, Invalid), mapped
        return mapped

    return invalid
