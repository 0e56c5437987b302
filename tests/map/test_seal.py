"""Encoded bodies under other keys."""

import json
from collections.abc import Callable

import pytest

from pipeline.map import rekey, retarget
from pipeline.model import Api, Export, Payload


@pytest.mark.parametrize(
    ("export", "api", "key"),
    [
        (Export.ORDERS, Api.CUMULATION, "out_biz_no"),
        (Export.TASKS, Api.CUMULATION, "out_biz_no"),
        (Export.STATES, Api.STATE, "out_biz_no"),
        (Export.POINTS, Api.POINTS, "out_request_no"),
        (Export.POINTS, Api.BRAND_POINTS, "out_request_no"),
    ],
)
def test_a_body_gets_another_key_and_no_other_change(
    sent: Callable[..., tuple[Payload, ...]], export: Export, api: Api, key: str
) -> None:
    """Only the key changes, and with the old key the bytes are the old ones."""
    (payload,) = sent(export, {})

    renamed = rekey(payload.body, api, "new")

    assert json.loads(renamed) == json.loads(payload.body) | {key: "new"}
    assert rekey(renamed, api, payload.request_key) == payload.body


def test_a_refund_can_refer_to_another_payment(sent: Callable[..., tuple[Payload, ...]]) -> None:
    """If a payment was sent under a new key, its refund can refer to that key."""
    refund = {"biz_action": "ORDER_REFUND", "pay_out_biz_no": "A-16"}
    (payload,) = sent(Export.ORDERS, refund)

    assert json.loads(retarget(payload.body, "A-16b")) == json.loads(payload.body) | {"pay_out_biz_no": "A-16b"}
