"""Names of Alipay parameters in `biz_data`."""

from typing import Any

import orjson
import pytest

from pipeline.run.parameter_names import ParameterNames

ADVICE = (
    "Alipay may refuse such a row (isv.suspected-attack). Try one with --limit, or agree on other names with the "
    "product's owner"
)


def body(biz_data: Any) -> bytes:
    """Return the body of a state with this `biz_data`."""
    return orjson.dumps({"out_biz_no": "S1", "biz_data": orjson.dumps(biz_data).decode()})


@pytest.mark.parametrize("name", ["body", "subject", "service", "out_trade_no", "seller_id", "total_fee"])
def test_a_name_of_an_alipay_parameter_is_reported(name: str) -> None:
    """Each name that a third party lists counts."""
    names = ParameterNames()
    names.look([body({"cinema": "光明", name: "1"})])

    assert names.warnings() == [
        f"1 row to send has the name of an Alipay parameter in biz_data, first {name}; {ADVICE}"
    ]


def test_rows_are_counted_and_the_first_name_is_kept() -> None:
    """A row counts once, also for a name deep inside; the first row's name is shown."""
    names = ParameterNames()
    names.look([body({"city": "杭州"}), body({"items": [{"subject": 1, "body": 2}]})])
    names.look([body({"service": {}})])

    assert names.warnings() == [
        f"2 rows to send have the name of an Alipay parameter in biz_data, first subject; {ADVICE}"
    ]


@pytest.mark.parametrize("biz_data", [{}, {"services": 1, "Body": 2}, {"kind": "service"}, {"kind": ["body"]}])
def test_other_names_and_values_are_no_reason(biz_data: Any) -> None:
    """Only a whole name counts, as the parameter is spelt; a value does not."""
    names = ParameterNames()
    names.look([body(biz_data)])

    assert names.warnings() == []
