"""From a body to its payloads: bytes, request keys and lanes."""

from collections.abc import Callable, Mapping
from functools import partial

import orjson

from pipeline.map.compose import Body, Fields
from pipeline.model import UNIT_SEPARATOR, Api, Balance, ObjectState, Payload, digest

KEY_OF_API: Mapping[Api, str] = {
    Api.CUMULATION: "out_biz_no",
    Api.STATE: "out_biz_no",
    Api.POINTS: "out_request_no",
    Api.BRAND_POINTS: "out_request_no",
}
"""The field of each body that holds the request key."""


def encode(body: Body) -> bytes:
    """Return the body as JSON in UTF-8; equal bodies give equal bytes."""
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def rekey(body: bytes, api: Api, new_key: str) -> bytes:
    """Return an encoded body with another request key."""
    return encode({**orjson.loads(body), KEY_OF_API[api]: new_key})


def retarget(body: bytes, new_pay_out_biz_no: str) -> bytes:
    """Return the encoded body of a refund for another payment."""
    return encode({**orjson.loads(body), "pay_out_biz_no": new_pay_out_biz_no})


def report_lane(fields: Fields) -> tuple[str, ...]:
    """Return the parts of a cumulation's lane: deliveries of one agreement and user go in order."""
    return ("cumulation", fields["agreement_no"], _user(fields))


def state_lane(fields: Fields) -> tuple[str, ...]:
    """Return the parts of a state's lane: states of one user and principal go in order."""
    return ("states", _user(fields), fields["out_principal_id"])


def card_lane(fields: Fields) -> tuple[str, ...]:
    """Return the parts of a balance's lane, which identify its card."""
    return ("points", fields["brand_id"], fields["card_id"], fields["user_card_code"])


LANE: Mapping[Api, Callable[[Fields], tuple[str, ...]]] = {
    Api.CUMULATION: report_lane,
    Api.STATE: state_lane,
    Api.POINTS: card_lane,
    Api.BRAND_POINTS: card_lane,
}
"""The function that returns the parts of a lane, by API. The lane is their digest."""


def seal_report(fields: Fields, body: Body) -> tuple[Payload, ...]:
    """Return the payload of a cumulation; n payloads for a task that was done n times."""
    lane = digest(*report_lane(fields))
    times = fields.get("times", 1)
    if times == 1:
        return (_report(body, lane),)
    return tuple(_report(_numbered(body, number), lane) for number in range(1, times + 1))


def seal_state(fields: Fields, body: Body) -> tuple[Payload, ...]:
    """Return the payload of a state."""
    key = body["out_biz_no"]
    state = ObjectState(object_of(key, body["out_principal_id"]), fields.get("updated_at"))
    return (Payload(Api.STATE, key, state.object, encode(body), digest(*state_lane(fields)), state=state),)


def object_of(out_biz_no: str, out_principal_id: str) -> str:
    """Return the name of a business object."""
    return f"{out_biz_no}{UNIT_SEPARATOR}{out_principal_id}"


def seal_balance(api: Api, fields: Fields, body: Body) -> tuple[Payload, ...]:
    """Return the payload of a balance, for either API that sends balances."""
    key = body["out_request_no"]
    card = digest(*card_lane(fields))
    balance = Balance(card, fields["point_balance"], fields.get("updated_at"))
    is_derived = "out_request_no" not in fields
    payload = Payload(
        api=api,
        request_key=key,
        identity=key,
        body=encode(body),
        lane=card,
        balance=balance,
        key_is_derived=is_derived,
        openid=fields["openid"],
    )
    return (payload,)


SEAL: Mapping[Api, Callable[[Fields, Body], tuple[Payload, ...]]] = {
    Api.CUMULATION: seal_report,
    Api.STATE: seal_state,
    Api.POINTS: partial(seal_balance, Api.POINTS),
    Api.BRAND_POINTS: partial(seal_balance, Api.BRAND_POINTS),
}


def _user(fields: Fields) -> str:
    user: str = fields.get("user_id") or fields["open_id"]
    return user


def _report(body: Body, lane: bytes) -> Payload:
    key = body["out_biz_no"]
    return Payload(
        api=Api.CUMULATION,
        request_key=key,
        identity=key,
        body=encode(body),
        lane=lane,
        refund_of=body.get("pay_out_biz_no"),
        agreement=body["agreement_no"] if "user_id" in body else f"open_id {body['agreement_no']}",
    )


def _numbered(body: Body, number: int) -> Body:
    """Return a body with a numbered key; a refund then refers to the payment of the same number."""
    keys = {name: f"{body[name]}-{number}" for name in ("out_biz_no", "pay_out_biz_no") if name in body}
    return body | keys
