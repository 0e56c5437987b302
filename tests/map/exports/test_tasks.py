"""Rows of a tasks export."""

import json
from collections.abc import Callable

import pytest

from pipeline.map import Invalid
from pipeline.model import Api, Export, Fault, Payload, digest

Sent = Callable[..., tuple[Payload, ...]]
Refused = Callable[..., Invalid]

BODY = {
    "agreement_no": "20230000000000000001",
    "biz_action": "ORDER_PAID",
    "biz_time": "2024-05-01 12:00:00",
    "cumulate_data_type": "TASK",
    "out_biz_no": "A-17",
    "partner_id": "2088000000000000",
    "request_from": "ExternalMerchantSource",
    "task_type_data": {"name": "签到"},
    "user_id": "2088000000000001",
}


def report(key: str, *, of: str | None = None) -> Payload:
    refund = {"biz_action": "ORDER_REFUND", "pay_out_biz_no": of} if of else {}
    body = BODY | {"out_biz_no": key} | refund
    return Payload(
        api=Api.CUMULATION,
        request_key=key,
        identity=key,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode(),
        lane=digest("cumulation", "20230000000000000001", "2088000000000001"),
        refund_of=of,
        agreement="20230000000000000001",
    )


@pytest.mark.parametrize(
    ("changes", "payloads"),
    [
        pytest.param({}, (report("A-17"),), id="once"),
        pytest.param({"times": "1"}, (report("A-17"),), id="once-said"),
        pytest.param({"times": ""}, (report("A-17"),), id="empty-times"),
        pytest.param({"times": "3"}, (report("A-17-1"), report("A-17-2"), report("A-17-3")), id="three-times"),
        pytest.param(
            {"biz_action": "ORDER_REFUND", "pay_out_biz_no": "A-16"}, (report("A-17", of="A-16"),), id="refund"
        ),
        pytest.param(
            {"biz_action": "ORDER_REFUND", "pay_out_biz_no": "A-16", "times": "2"},
            (report("A-17-1", of="A-16-1"), report("A-17-2", of="A-16-2")),
            id="refund-of-two",
        ),
    ],
)
def test_a_task_becomes_one_payload_each_time(
    sent: Sent, changes: dict[str, str], payloads: tuple[Payload, ...]
) -> None:
    """One payload counts one task, so a task done n times gives n payloads under numbered keys."""
    assert sent(Export.TASKS, changes) == payloads


@pytest.mark.parametrize(
    ("times", "rule"),
    [
        pytest.param("0", 'times "0" is less than 1', id="never"),
        pytest.param("1001", 'times "1001" is more than 1000', id="too-often"),
        pytest.param("-1", 'times "-1" is not a whole number of at most 19 digits', id="negative"),
        pytest.param("2.5", 'times "2.5" is not a whole number of at most 19 digits', id="half"),
    ],
)
def test_an_impossible_number_of_times_is_refused(refused: Refused, times: str, rule: str) -> None:
    """A task is done a whole number of times, from 1 to 1000."""
    mapped = refused(Export.TASKS, {"times": times})

    assert [(fault.code, fault.message) for fault in mapped.faults] == [("field_invalid", rule)]
    assert mapped.request_key == "A-17"


def test_a_task_needs_its_name(refused: Refused) -> None:
    """A TASK row without a task name is invalid."""
    mapped = refused(Export.TASKS, {"task_name": None})

    fault = Fault("field_missing", "task_name is missing", "task_name", "task_name", "is missing")
    assert mapped == Invalid((fault,), request_key="A-17")
