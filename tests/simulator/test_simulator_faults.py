"""Every kind of fault, and the requests that it hits."""

from __future__ import annotations

import base64
import http.client
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature

import pipeline.simulator as simulator_package
from pipeline.errors import SettingsError
from pipeline.simulator import Api, Decision, FaultKind, InjectedFault, Simulator, When

if TYPE_CHECKING:
    from tests.simulator.conftest import Made, Merchant, MovableClock, Opened

KEYS = Path(simulator_package.__file__).parent / "keys"
PRESENT = KEYS / "TEST-A-alipay-platform-cert.pem"
ALIPAY_SN, REISSUED_SN = "50449db5bd68e2f4a5f49a8d7327ed49", "295364d90103f11bfcc6251190628ad2"
PUBLIC_KEY_ID = "PUB_KEY_ID_0114232134912410000000000011111111"
SERIAL_1 = "5157F09EFDC096DE15EBE81A47057A7200000A02"
APPLIED, UNTOUCHED = Decision.APPLIED, Decision.UNTOUCHED


def seen(simulator: Simulator) -> list[tuple[Decision, str | None, int | None]]:
    """Return decision, fault and status of each request in the journal."""
    return [(entry.decision, entry.fault, entry.status) for entry in simulator.journal.entries]


@pytest.mark.parametrize(
    ("kind", "decision"),
    [
        pytest.param(FaultKind.LOSE_BEFORE_APPLYING, UNTOUCHED, id="before"),
        pytest.param(FaultKind.LOSE_AFTER_APPLYING, APPLIED, id="after"),
    ],
)
def test_a_lost_answer_is_a_closed_connection(
    kind: FaultKind, decision: Decision, simulator: Simulator, merchant: Merchant
) -> None:
    """The connection closes without an answer, and the journal says whether the request was applied."""
    simulator.set_faults([InjectedFault(kind)])

    with pytest.raises(http.client.RemoteDisconnected):
        merchant.report()

    assert seen(simulator) == [(decision, kind, None)]


@pytest.mark.parametrize("status", [202, 302, 401, 403, 404, 500, 502, 503, 504])
@pytest.mark.parametrize("when", [When.BEFORE_APPLYING, When.AFTER_APPLYING])
def test_a_status_comes_bare(status: int, when: When, simulator: Simulator, merchant: Merchant) -> None:
    """Any status can be sent without a body, before or after applying."""
    simulator.set_faults([InjectedFault(FaultKind.STATUS, status=status, when=when)])

    answer = merchant.points()

    decision = UNTOUCHED if when is When.BEFORE_APPLYING else APPLIED
    assert (answer.status, answer.body, "location" in answer.headers) == (status, b"", status == 302)
    assert seen(simulator) == [(decision, "status", status)]


def test_a_status_may_bring_a_body_or_a_platforms_error(simulator: Simulator, merchant: Merchant) -> None:
    """A body is sent as it is written; a code is sent in the platform's error form, unsigned."""
    simulator.set_faults(
        [
            InjectedFault(FaultKind.STATUS, status=503, body="down", retry_after=7, times=1),
            InjectedFault(FaultKind.STATUS, status=500, code="SYSTEM_ERROR", message="busy"),
        ]
    )

    down, v3, wechatpay, gateway = merchant.report(), merchant.report(), merchant.points(), merchant.state()

    assert (down.body, down.headers["retry-after"]) == (b"down", "7")
    assert (v3.status, v3.json["code"], v3.json["message"]) == (500, "SYSTEM_ERROR", "busy")
    assert (wechatpay.status, wechatpay.json) == (500, {"code": "SYSTEM_ERROR", "message": "busy"})
    node = gateway.json["zhima_data_state_data_sync_response"]
    assert (gateway.status, node["code"], node["sub_code"]) == (500, "40004", "SYSTEM_ERROR")


def test_a_throttle_may_say_how_long_to_wait(simulator: Simulator, merchant: Merchant, opened: Opened) -> None:
    """Each platform refuses in its own form, with `Retry-After` if the fault has one; nothing is applied."""
    simulator.set_faults([InjectedFault(FaultKind.THROTTLE, retry_after=3)])

    v3, wechatpay, gateway = merchant.report(), merchant.points(), merchant.state()

    assert (v3.status, v3.json["code"], v3.headers["retry-after"]) == (429, "app-call-limited", "3")
    assert (wechatpay.status, wechatpay.json["code"]) == (429, "RATELIMIT_EXCEEDED")
    assert wechatpay.headers["request-id"].endswith("-268575819")
    assert opened.gateway(gateway)["code"] == "40005"
    assert {entry.decision for entry in simulator.journal.entries} == {Decision.THROTTLED}


def test_a_slow_answer_takes_its_time_before_or_after_applying(
    simulator: Simulator, merchant: Merchant, clock: MovableClock
) -> None:
    """The delay passes on the simulator's clock, before and after applying, and the answer is right."""
    simulator.set_faults(
        [InjectedFault(FaultKind.SLOW, seconds=2), InjectedFault(FaultKind.SLOW, seconds=3, when=When.AFTER_APPLYING)],
    )

    answer = merchant.points()

    assert (answer.status, clock.steady(), int(answer.headers["wechatpay-timestamp"])) == (200, 1005.0, 1763632802)
    assert seen(simulator) == [(APPLIED, "slow", 200)]


def test_a_cut_body_ends_before_its_length(simulator: Simulator, merchant: Merchant) -> None:
    """The answer announces more than it sends, and the request was applied."""
    simulator.set_faults([InjectedFault(FaultKind.CUT_BODY)])

    with pytest.raises(http.client.IncompleteRead):
        merchant.points()

    assert seen(simulator) == [(APPLIED, "cut_body", 200)]


def test_a_page_instead_of_json(simulator: Simulator, merchant: Merchant) -> None:
    """A 200 with HTML comes from a proxy: nothing was applied, unless the fault says so."""
    simulator.set_faults(
        [InjectedFault(FaultKind.HTML_BODY, times=1), InjectedFault(FaultKind.HTML_BODY, when=When.AFTER_APPLYING)]
    )

    answers = [merchant.state() for _ in range(2)]

    assert [answer.body[:15] for answer in answers] == [b"<!DOCTYPE html>"] * 2
    assert seen(simulator) == [(UNTOUCHED, "html_body", 200), (APPLIED, "html_body", 200)]


@pytest.mark.parametrize("api", ["report", "state", "points"])
@pytest.mark.parametrize("kind", [FaultKind.BAD_SIGNATURE, FaultKind.PROBE_SIGNATURE])
def test_a_bad_signature_does_not_verify(
    kind: FaultKind, api: str, simulator: Simulator, merchant: Merchant, opened: Opened
) -> None:
    """The request is applied and the answer is whole, but its signature is not the platform's."""
    simulator.set_faults([InjectedFault(kind)])
    ask: Any = getattr(merchant, api)
    readers: dict[str, Any] = {"report": opened.alipay_v3, "state": opened.gateway, "points": opened.wechatpay}

    with pytest.raises((InvalidSignature, ValueError)):
        readers[api](ask())

    assert seen(simulator) == [(APPLIED, kind, 200)]


def test_a_probe_has_its_prefix(simulator: Simulator, merchant: Merchant) -> None:
    """A probe is a right signature after WECHATPAY/SIGNTEST/, so that only the prefix makes it wrong."""
    simulator.set_faults([InjectedFault(FaultKind.PROBE_SIGNATURE)])

    signature = merchant.points().headers["wechatpay-signature"]

    assert signature.startswith("WECHATPAY/SIGNTEST/")
    assert len(base64.b64decode(signature.removeprefix("WECHATPAY/SIGNTEST/"))) == 256


def test_a_missing_signature_is_not_there(simulator: Simulator, merchant: Merchant) -> None:
    """The success answer of each platform comes without its signature."""
    simulator.set_faults([InjectedFault(FaultKind.MISSING_SIGNATURE)])

    v3, state, points = merchant.report(), merchant.state(), merchant.points()

    assert "alipay-signature" not in v3.headers
    assert list(state.json) == ["zhima_data_state_data_sync_response"]
    assert [name for name in points.headers if name.startswith("wechatpay")] == []


@pytest.mark.parametrize("fetchable", [True, False])
def test_a_key_that_the_client_does_not_know(
    fetchable: bool, simulator: Simulator, merchant: Merchant, opened: Opened
) -> None:
    """The answer is signed with the platform's next key, under its name or under an unknown name."""
    simulator.set_faults([InjectedFault(FaultKind.UNKNOWN_SERIAL, fetchable=fetchable)])

    v3, state, points = merchant.report(certificates=True), merchant.state(certificates=True), merchant.points()

    opened.alipay_v3(v3, "alipay-platform-other-cert")
    opened.gateway(state, key="alipay-platform-other-cert")
    opened.wechatpay(points, "wechatpay-platform-2-cert")
    next_sn = "f569e3af6d82951194863fb1810a22b4" if fetchable else "7F00000000000000000000000000000000000000"
    next_serial = "41C8F5D2E0B7A6949382716051423300000000A3" if fetchable else next_sn
    assert (v3.headers["alipay-sn"], state.json["alipay_cert_sn"], points.headers["wechatpay-serial"]) == (
        next_sn,
        next_sn,
        next_serial,
    )


def test_before_the_switch_a_certificate_signs(simulator: Simulator, merchant: Merchant, opened: Opened) -> None:
    """WeChat Pay signs with its certificate although the request names the public key; other platforms are as ever."""
    simulator.set_faults([InjectedFault(FaultKind.PLATFORM_CERTIFICATE, every=2)])

    answers = [merchant.points(Wechatpay_Serial=PUBLIC_KEY_ID) for _ in range(2)]
    v3 = [merchant.report(certificates=True) for _ in range(2)]

    assert [answer.headers["wechatpay-serial"] for answer in answers] == [PUBLIC_KEY_ID, SERIAL_1]
    opened.wechatpay(answers[0])
    opened.wechatpay(answers[1], "wechatpay-platform-1-cert")
    assert [answer.headers["alipay-sn"] for answer in v3] == [ALIPAY_SN] * 2


def test_a_reissued_certificate_has_the_same_key_and_another_name(
    simulator: Simulator, merchant: Merchant, opened: Opened
) -> None:
    """Alipay names its reissued certificate; the present key verifies, and the certificate can be downloaded."""
    simulator.set_faults([InjectedFault(FaultKind.REISSUED_CERTIFICATE)])
    pem = (KEYS / "TEST-A-alipay-platform-reissued-cert.pem").read_bytes()

    v3, state, points = merchant.report(certificates=True), merchant.state(certificates=True), merchant.points()
    simulator.set_faults([])
    download = "alipay.open.app.alipaycert.download"
    fetched = merchant.state({"alipay_cert_sn": REISSUED_SN}, method=download, certificates=True)

    assert (v3.headers["alipay-sn"], state.json["alipay_cert_sn"]) == (REISSUED_SN, REISSUED_SN)
    opened.alipay_v3(v3)
    opened.gateway(state)
    opened.wechatpay(points)
    content = opened.gateway(fetched, "alipay_open_app_alipaycert_download_response")["alipay_cert_content"]
    assert base64.b64decode(content) == pem
    reissued, present = (x509.load_pem_x509_certificate(one) for one in (pem, PRESENT.read_bytes()))
    assert reissued.public_key() == present.public_key()


@pytest.mark.parametrize(("number", "ending"), [(268575528, "-268575528"), (None, "-0")])
def test_a_refusal_may_have_an_inner_error_number(
    number: int | None, ending: str, simulator: Simulator, merchant: Merchant
) -> None:
    """The Request-ID of a refusal ends in the fault's number, else in 0."""
    simulator.set_faults([InjectedFault(FaultKind.REFUSE, code="INVALID_REQUEST", number=number)])

    request_id = merchant.points().headers["request-id"]

    assert (request_id[32:], request_id.count("-")) == (ending, 1)


def test_a_stale_answer_is_well_signed(simulator: Simulator, merchant: Merchant, opened: Opened) -> None:
    """The answer's time is ten minutes ago, or as long as the fault says, and the signature covers it."""
    simulator.set_faults(
        [InjectedFault(FaultKind.STALE_TIMESTAMP, times=1), InjectedFault(FaultKind.STALE_TIMESTAMP, seconds=301)]
    )

    answers = [merchant.points() for _ in range(2)]

    assert [int(answer.headers["wechatpay-timestamp"]) for answer in answers] == [1763632200, 1763632499]
    assert [opened.wechatpay(answer)["out_request_no"] for answer in answers] == ["pt-1", "pt-1"]


def test_an_answer_sealed_with_another_key(simulator: Simulator, merchant: Merchant, opened: Opened) -> None:
    """The encrypted answer verifies and does not decrypt."""
    simulator.set_faults([InjectedFault(FaultKind.BAD_ENCRYPTION)])

    for read, answer in (
        (opened.alipay_v3, merchant.report(encrypted=True)),
        (opened.gateway, merchant.state(encrypted=True)),
    ):
        with pytest.raises(ValueError, match=r"padding|JSON|codec|Expecting"):
            read(answer)


def test_a_wrong_echo_is_well_signed(simulator: Simulator, merchant: Merchant, opened: Opened) -> None:
    """The answer verifies but echoes another request; the gateway's has neither success nor failure."""
    simulator.set_faults([InjectedFault(FaultKind.WRONG_ECHO)])

    assert opened.alipay_v3(merchant.report())["out_biz_no"] == "ord-1-other"
    assert opened.wechatpay(merchant.points())["out_request_no"] == "pt-1-other"
    assert opened.gateway(merchant.state())["biz_result"] == "unclear"


@pytest.mark.parametrize(
    ("fault", "second"),
    [
        pytest.param(InjectedFault(FaultKind.STRAY_ANSWER, seconds=2.0), b"HTTP/1.1 200 OK", id="the same again"),
        pytest.param(InjectedFault(FaultKind.STRAY_ANSWER, status=408), b"HTTP/1.1 408 Request Timeout", id="a status"),
        pytest.param(
            InjectedFault(FaultKind.STRAY_ANSWER, status=400, code="X"), b"HTTP/1.1 400 Bad Request", id="a code"
        ),
    ],
)
def test_a_stray_answer_follows_over_the_same_connection(
    fault: InjectedFault, second: bytes, simulator: Simulator, merchant: Merchant
) -> None:
    """A second answer comes behind the first, the same again or another one; the request is applied once."""
    simulator.set_faults([fault])
    merchant.state()
    first, *others = merchant.repeat().split(b"HTTP/1.1 ")[1:]

    assert [b"HTTP/1.1 " + other.partition(b"\r\n")[0] for other in others] == [second]
    assert (others == [first]) == (fault.status is None)
    assert (b'"sub_code":"X"' in others[0]) == (fault.code is not None)
    assert [entry.decision for entry in simulator.journal.entries] == [APPLIED, Decision.REPEATED]


def test_a_refusal_by_key(simulator: Simulator, merchant: Merchant, opened: Opened, make: Made) -> None:
    """Keys that a glob names are refused with the given code, signed, and never applied."""
    simulator.set_faults(
        [InjectedFault(FaultKind.REFUSE, key="bad-*", code="TRADE_NOT_EXIST", message="no such trade")]
    )

    bad, good = merchant.report(make.report("bad-1")), merchant.report(make.report("good-1"))

    assert (bad.status, good.status, opened.alipay_v3(bad)["code"]) == (400, 200, "TRADE_NOT_EXIST")
    assert simulator.journal.applied_keys() == ["good-1"]


def test_a_success_that_reports_a_failure(simulator: Simulator, merchant: Merchant, opened: Opened) -> None:
    """Alipay's 200 with a `fail_reason`, and the gateway's 10000 with `failed`, are signed refusals."""
    simulator.set_faults(
        [InjectedFault(FaultKind.REFUSE, api=api, fail_reason="未达标") for api in (Api.CUMULATION, Api.STATE)]
    )

    report, state = merchant.report(), merchant.state()

    assert (report.status, opened.alipay_v3(report)) == (200, {"fail_reason": "未达标"})
    assert opened.gateway(state) == {"code": "10000", "msg": "Success", "biz_result": "failed"}
    assert simulator.journal.applied_keys() == []


@pytest.mark.parametrize(
    ("sub_code", "code"),
    [
        ("ZMDATA.USER_ID_ERROR", "40004"),
        ("SYSTEM_ERROR", "40004"),
        ("isp.unknow-error", "20000"),
        ("aop.unknow-error", "20000"),
        ("aop.invalid-app-auth-token", "20001"),
        ("isv.missing-method", "40001"),
        ("isv.invalid-signature", "40002"),
        ("isv.method-call-limited", "40005"),
        ("isv.insufficient-isv-permissions", "40006"),
    ],
)
def test_the_gateway_puts_a_sub_code_under_its_class(
    sub_code: str, code: str, simulator: Simulator, merchant: Merchant, opened: Opened
) -> None:
    """A refusal names one sub code; the five digits above it follow from the document's table."""
    simulator.set_faults([InjectedFault(FaultKind.REFUSE, code=sub_code)])

    content = opened.gateway(merchant.state())

    assert (content["code"], content["sub_code"]) == (code, sub_code)


def statuses(merchant: Merchant, make: Made, keys: str) -> str:
    """Send a report for each letter and return `x` where a fault struck, `.` where none did."""
    return "".join("." if merchant.report(make.report(key)).status == 200 else "x" for key in keys)


@pytest.mark.parametrize(
    ("matching", "struck"),
    [
        pytest.param({}, "xxxxxxxx", id="every request"),
        pytest.param({"first": 2}, "xx......", id="the first two"),
        pytest.param({"every": 3}, "..x..x..", id="every third"),
        pytest.param({"every": 3, "times": 1}, "..x.....", id="every third, once"),
        pytest.param({"key": "a"}, "x...x...", id="one key"),
        pytest.param({"key": "[ab]", "times": 3}, "xx..x...", id="a glob, three times"),
        pytest.param({"first": 1, "each_key": True}, "xxxx....", id="the first of each key"),
        pytest.param({"probability": 0.0}, "........", id="never"),
        pytest.param({"probability": 1.0}, "xxxxxxxx", id="surely"),
        pytest.param({"api": Api.POINTS}, "........", id="another API"),
    ],
)
def test_matching_chooses_the_requests(
    matching: dict[str, Any], struck: str, simulator: Simulator, merchant: Merchant, make: Made
) -> None:
    """The conditions of a fault choose which of the requests abcdabcd it hits."""
    simulator.set_faults([InjectedFault(FaultKind.STATUS, status=500, **matching)])

    assert statuses(merchant, make, "abcdabcd") == struck


def test_a_time_window_counts_from_when_the_faults_were_set(
    simulator: Simulator, merchant: Merchant, clock: MovableClock, make: Made
) -> None:
    """A fault with a time window hits from its start, and no longer from its end."""
    clock.sleep(100)
    simulator.set_faults([InjectedFault(FaultKind.STATUS, status=500, after_seconds=10, until_seconds=20)])

    struck = ""
    for wait in (0, 9.5, 0.5, 9.5, 0.5):
        clock.sleep(wait)
        struck += statuses(merchant, make, "a")

    assert struck == "..xx."


def test_chance_is_fixed_by_the_seed(simulator: Simulator, merchant: Merchant, make: Made) -> None:
    """The same seed hits the same requests, about as many as the probability says."""
    keys = "".join(chr(ord("A") + number) for number in range(40))
    patterns = []
    for _ in range(2):
        simulator.reset()
        simulator.set_faults([InjectedFault(FaultKind.STATUS, status=500, probability=0.5)])
        patterns.append(statuses(merchant, make, keys))

    assert patterns[0] == patterns[1]
    assert 10 <= patterns[0].count("x") <= 30


def test_of_several_faults_the_first_hit_counts(simulator: Simulator, merchant: Merchant, make: Made) -> None:
    """A request that one fault hits is not seen by later faults."""
    simulator.set_faults(
        [InjectedFault(FaultKind.STATUS, status=500, times=1), InjectedFault(FaultKind.STATUS, status=503, times=1)]
    )

    assert [merchant.report(make.report(key)).status for key in "abc"] == [500, 503, 200]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        pytest.param(
            InjectedFault(FaultKind.STATUS),
            "fault 1: `status` is missing: kind `status` needs it",
            id="a status without one",
        ),
        pytest.param(
            InjectedFault(FaultKind.SLOW),
            "fault 1: `seconds` is missing: kind `slow` needs it",
            id="slow without seconds",
        ),
        pytest.param(
            InjectedFault(FaultKind.REFUSE),
            "fault 1: `code` or `fail_reason`: kind `refuse` needs exactly one of them",
            id="a refusal without words",
        ),
        pytest.param(
            InjectedFault(FaultKind.REFUSE, api=Api.POINTS, fail_reason="x"),
            "fault 1: `fail_reason` needs `api` to be `alipay.cumulation` or `alipay.state`",
            id="Alipay's words for WeChat Pay",
        ),
        pytest.param(
            InjectedFault(FaultKind.SLOW, seconds=-1),
            "fault 1: `seconds` is -1, but must be at least 0",
            id="time backwards",
        ),
        pytest.param(
            InjectedFault(FaultKind.CUT_BODY, every=0),
            "fault 1: `every` is 0, but must be at least 1",
            id="every zeroth request",
        ),
        pytest.param(
            InjectedFault(FaultKind.CUT_BODY, probability=1.5),
            "fault 1: `probability` is 1.5, but must be between 0 and 1",
            id="more than certain",
        ),
        pytest.param(
            InjectedFault(FaultKind.STATUS, status=99),
            "fault 1: `status` is 99, but must be between 200 and 599",
            id="no status",
        ),
    ],
)
def test_a_wrong_fault_is_refused(fault: InjectedFault, sentence: str, simulator: Simulator) -> None:
    """Setting a wrong fault says what is wrong with it, and the faults in force stay."""
    with pytest.raises(SettingsError) as raised:
        simulator.set_faults([fault])

    assert raised.value.faults == (sentence,)
