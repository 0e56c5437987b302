"""The values that all rooms share."""

import pickle
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
    RowLimit,
    SignedRequest,
    Status,
    Trust,
    digest,
)
from pipeline.tables.outcome_page import Outcome

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
    """A digest depends on its parts and their ends: ("ab", "c") differs from ("a", "bc")."""
    assert (digest(*one) == digest(*other)) == (as_bytes(one) == as_bytes(other))


def test_digests_never_change() -> None:
    """The digest of given parts never changes, because ledgers keep digests for years."""
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
def test_no_repr_shows_secrets(value: object) -> None:
    """The repr leaves out personal data and secrets."""
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
    """Values are frozen, so that threads can share them."""
    assert is_dataclass(value)
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(value)[0].name, None)


def test_every_name_of_the_contract_exists() -> None:
    """APIs, statuses and exports have the names of config files and reports."""
    assert list(Api) == ["alipay.cumulation", "alipay.state", "wechatpay.points", "wechatpay.brand_points"]
    assert list(Status) == ["succeeded", "skipped", "invalid", "rejected", "unknown", "blocked", "unsent"]
    assert list(pipeline.model.Export) == ["orders", "tasks", "points", "states"]


def test_a_fault_can_be_pickled() -> None:
    """A fault survives pickling, as in a spill file."""
    fault = Fault("field_invalid", "a is odd", "a", "column", "odd", "1.5")

    assert pickle.loads(pickle.dumps(fault)) == fault


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("0", RowLimit(0)),
        ("100", RowLimit(100)),
        ("999999999999", RowLimit(999_999_999_999)),
        ("0%", RowLimit(0, in_percent=True)),
        ("5%", RowLimit(5, in_percent=True)),
        ("2.5%", RowLimit(2.5, in_percent=True)),
        ("100%", RowLimit(100, in_percent=True)),
    ],
)
def test_a_limit_of_rows_is_a_number_or_a_share(text: str, limit: RowLimit) -> None:
    """A limit is parsed, and its text is the same again."""
    assert (RowLimit.parse(text), str(limit)) == (limit, text)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "5 %", "1e3", "%", "101%", "100.1%", "1" * 13, "٣"])
def test_a_wrong_limit_of_rows_is_refused(text: str) -> None:
    """A limit is a number of at least 0, or a share of at most 100%."""
    with pytest.raises(ValueError, match=r"is neither a number such as 100|is more than all rows"):
        RowLimit.parse(text)


def test_an_api_knows_its_platform_and_whether_it_sends_balances() -> None:
    """The platform is the part before the dot; both points APIs send balances."""
    assert {api: (api.platform, api.sends_balances) for api in Api} == {
        Api.CUMULATION: ("alipay", False),
        Api.STATE: ("alipay", False),
        Api.POINTS: ("wechatpay", True),
        Api.BRAND_POINTS: ("wechatpay", True),
    }
