"""The values that the whole house speaks of."""

from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline.model
from pipeline.model import (
    Api,
    BadRow,
    Balance,
    Fault,
    Loss,
    Lost,
    Opened,
    Payload,
    Reply,
    Row,
    SignedRequest,
    Status,
    Trust,
    digest,
)
from pipeline.outcome import Outcome

SECRET = "2088-secret"
OUTCOME = Outcome(
    source_file="a.csv",
    source_row=1,
    request_key="K",
    status=Status.INVALID,
    code="c",
    message="m",
    http_status=None,
    attempts=0,
    first_sent_at=None,
    finished_at=None,
    latency_ms=None,
    trace_id=None,
    file_no=1,
    cells=f'["{SECRET}"]',
)

parts = st.lists(st.text(max_size=4) | st.binary(max_size=4), max_size=4)


def as_bytes(values: list[str | bytes]) -> list[bytes]:
    return [value.encode() if isinstance(value, str) else value for value in values]


@given(parts, parts)
def test_parts_that_differ_have_other_digests(one: list[str | bytes], other: list[str | bytes]) -> None:
    """A digest stands for its parts and for where each ends: ("ab", "c") is not ("a", "bc")."""
    assert (digest(*one) == digest(*other)) == (as_bytes(one) == as_bytes(other))


def test_a_digest_stays_what_it_is() -> None:
    """Ledgers keep digests for years, so their values never change."""
    assert digest("cumulation", b"agreement", "").hex() == "7489455f112af6c13d8cf8f853fcbb56"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(BadRow(1, Fault("ragged", "too few"), (SECRET,)), id="a-row-that-can-not-be-read"),
        pytest.param(Payload(Api.STATE, "K", "K/S", SECRET.encode(), b"lane"), id="a-payload"),
        pytest.param(SignedRequest("POST", "/", {"Authorization": SECRET}, SECRET.encode()), id="a-request"),
        pytest.param(Reply(200, {"a": SECRET}, SECRET.encode()), id="an-answer"),
        pytest.param(Opened(Trust.VERIFIED, SECRET.encode()), id="an-opened-answer"),
        pytest.param(OUTCOME, id="an-outcome"),
    ],
)
def test_no_repr_tells_what_a_value_carries(value: object) -> None:
    """What may name a user or hold a secret is left out where a value is printed."""
    assert SECRET not in repr(value)


@pytest.mark.parametrize(
    "value",
    [
        Fault("c", "m"), Row(1, ()), BadRow(1, Fault("c", "m")), Balance(b"card", 1),
        Payload(Api.STATE, "K", "K", b"", b""), SignedRequest("GET", "/", {}, b""), Reply(200, {}, b""),
        Lost(Loss.TIMEOUT), Opened(Trust.PROBE), OUTCOME,
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_values_do_not_change(value: object) -> None:
    """Values can be shared between threads: no field of them is ever set again."""
    assert is_dataclass(value)
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(value)[0].name, None)


def test_every_word_of_the_contract_is_there() -> None:
    """APIs and statuses are spelled as config files and reports spell them."""
    assert list(Api) == ["alipay.cumulation", "alipay.state", "wechatpay.points"]
    assert list(Status) == ["succeeded", "skipped", "invalid", "rejected", "unknown", "blocked", "unsent"]
    assert list(pipeline.model.Export) == ["orders", "tasks", "points", "states"]
