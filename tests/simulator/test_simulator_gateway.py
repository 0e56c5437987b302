"""The gateway: the state sync in its charsets and modes, and the certificate download."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.simulator import Api, Decision, Simulator

if TYPE_CHECKING:
    from tests.simulator.conftest import Made, Merchant, Opened

KEYS = Path(__file__).parents[1] / "vectors" / "keys"
SUCCESS = {"code": "10000", "msg": "Success", "biz_result": "success"}
DOWNLOAD = "alipay.open.app.alipaycert.download"


@pytest.mark.parametrize(
    ("charset", "sha1"),
    [
        pytest.param("utf-8", False, id="utf-8 and RSA2"),
        pytest.param("GBK", False, id="GBK and RSA2"),
        pytest.param("utf-8", True, id="utf-8 and RSA"),
        pytest.param("gbk", True, id="GBK and RSA"),
    ],
)
def test_a_signed_state_is_applied_in_every_charset_and_sign_type(
    charset: str, sha1: bool, simulator: Simulator, merchant: Merchant, opened: Opened
) -> None:
    """A right state is applied, and the answer is signed by the sign_type of the request."""
    answer = merchant.state(charset=charset, sha1=sha1)

    assert (answer.status, opened.gateway(answer, charset=charset, sha1=sha1)) == (200, SUCCESS)
    assert simulator.journal.applied_keys(Api.STATE) == ["st-1|BOUGHT"]


def test_errors_are_written_in_the_charset_of_the_request(merchant: Merchant, opened: Opened, make: Made) -> None:
    """The Chinese text of a refusal comes as GBK bytes, which the signature covers."""
    answer = merchant.state(make.state(biz_data="no JSON"), charset="gbk")

    assert opened.gateway(answer, charset="gbk") == {
        "code": "40004",
        "msg": "Business Failed",
        "sub_code": "ZMDATA.BIZ_DATA_ERROR",
        "sub_msg": "biz_data不是JSON",
    }


def test_certificate_mode_names_the_certificate_of_the_answer(merchant: Merchant, opened: Opened) -> None:
    """In certificate mode, the SN of the platform's certificate is between the node and the signature."""
    answer = merchant.state(certificates=True)

    assert list(answer.json) == ["zhima_data_state_data_sync_response", "alipay_cert_sn", "sign"]
    assert answer.json["alipay_cert_sn"] == "50449db5bd68e2f4a5f49a8d7327ed49"
    assert opened.gateway(answer, key="alipay-platform-cert") == SUCCESS


def test_an_encrypted_state_gets_an_encrypted_answer(merchant: Merchant, opened: Opened) -> None:
    """The node of the answer to encrypted content is a text, and its quotation marks are signed."""
    answer = merchant.state(encrypted=True)

    assert isinstance(answer.json["zhima_data_state_data_sync_response"], str)
    assert opened.gateway(answer) == SUCCESS


@pytest.mark.parametrize(
    ("changes", "code", "sub_code"),
    [
        pytest.param({"key": "alipay-platform"}, "40002", "isv.invalid-signature", id="another key"),
        pytest.param({"app_id": "2021"}, "40002", "isv.invalid-app-id", id="another app"),
        pytest.param({"app_id": ""}, "40001", "isv.missing-app-id", id="no app"),
        pytest.param({"version": ""}, "40001", "isv.missing-version", id="no version"),
        pytest.param({"format": "xml"}, "40002", "isv.invalid-format", id="another format"),
        pytest.param({"sign_type": "MD5"}, "40002", "isv.invalid-signature-type", id="another sign type"),
        pytest.param({"timestamp": "2025-11-20 10:00:00"}, "40002", "isv.invalid-timestamp", id="UTC for Beijing"),
        pytest.param({"timestamp": "2025-11-20T18:00:00"}, "40002", "isv.invalid-timestamp", id="a time with a T"),
        pytest.param({"app_cert_sn": "00"}, "40002", "isv.app-cert-not-exist", id="another certificate"),
    ],
)
def test_a_wrong_caller_gets_an_unsigned_refusal(
    changes: dict[str, Any], code: str, sub_code: str, simulator: Simulator, merchant: Merchant
) -> None:
    """Common parameters that are missing or wrong are refused with status 200, in the method's node, unsigned."""
    answer = merchant.state(**changes)
    node = answer.json["zhima_data_state_data_sync_response"]

    assert (answer.status, node["code"], node["sub_code"], list(answer.json)) == (
        200,
        code,
        sub_code,
        ["zhima_data_state_data_sync_response"],
    )
    assert [entry.decision for entry in simulator.journal.entries] == [Decision.REFUSED]


def test_an_unknown_method_is_answered_in_the_error_node(merchant: Merchant) -> None:
    """A method that the gateway does not know has no node of its own."""
    assert merchant.state(method="zhima.other").json["error_response"]["sub_code"] == "isv.invalid-method"


def test_the_charset_must_be_in_the_query(merchant: Merchant) -> None:
    """Without a charset the gateway can't decode the body."""
    answer = merchant.send("POST", "/gateway.do?method=zhima.data.state.data.sync", {})

    assert answer.json["zhima_data_state_data_sync_response"]["sub_code"] == "isv.invalid-charset"


@pytest.mark.parametrize(
    ("changes", "sub_code"),
    [
        pytest.param({"user_id": None}, "ZMDATA.USER_ID_ERROR", id="no user"),
        pytest.param({"open_id": "007x"}, "ZMDATA.USER_ID_ERROR", id="two users"),
        pytest.param({"user_id": "2088"}, "ZMDATA.USER_ID_ERROR", id="a short user"),
        pytest.param({"user_id": None, "open_id": "007\u200bx"}, "ZMDATA.USER_ID_ERROR", id="an invisible character"),
        pytest.param({"category_code": "\ufeffWATCH"}, "ZMDATA.CATEGORY_CODE_ERROR", id="a BOM"),
        pytest.param({"biz_state_code": "BOUGHT\u200b"}, "ZMDATA.BIZ_STATE_CODE_ERROR", id="a zero-width space"),
        pytest.param({"out_biz_no": None}, "ZMDATA.OUT_BIZ_NO_NULL", id="no number"),
        pytest.param({"out_principal_id": "p" * 129}, "ZMDATA.OUT_PRINCIPAL_ID_ERROR", id="a long principal"),
        pytest.param({"biz_state_code": "s" * 65}, "ZMDATA.BIZ_STATE_CODE_ERROR", id="a long state code"),
        pytest.param({"category_code": ""}, "ZMDATA.CATEGORY_CODE_ERROR", id="no category"),
        pytest.param({"service_id": None}, "ZMDAT.SERVICE_ID_ERROR", id="no service"),
        pytest.param({"biz_data": {"a": 1}}, "ZMDATA.BIZ_DATA_ERROR", id="data that is no text"),
        pytest.param({"biz_data": '{"a":"' + "x" * 4096 + '"}'}, "ZMDATA.BIZ_DATA_ERROR", id="long data"),
    ],
)
def test_a_state_that_breaks_a_rule_is_refused_with_its_sub_code(
    changes: dict[str, object], sub_code: str, merchant: Merchant, opened: Opened, make: Made
) -> None:
    """Each field of the document has its sub code, in a signed answer."""
    content = opened.gateway(merchant.state(make.state(**changes)))

    assert (content["code"], content["sub_code"]) == ("40004", sub_code)


def test_an_object_has_its_last_reported_state(
    simulator: Simulator, merchant: Merchant, opened: Opened, make: Made
) -> None:
    """The same state again is a repeat; a state with other data or an earlier state is applied."""
    sent = [{}, {}, {"biz_state_code": "WATCHED"}, {}, {"biz_data": '{"seat":2}'}, {"out_principal_id": "film-8"}]
    codes = [opened.gateway(merchant.state(make.state(**changes)))["code"] for changes in sent]

    assert codes == ["10000"] * 6
    assert [entry.decision for entry in simulator.journal.entries] == [
        Decision.APPLIED,
        Decision.REPEATED,
        *[Decision.APPLIED] * 4,
    ]


def test_the_platforms_certificates_can_be_downloaded(merchant: Merchant, opened: Opened) -> None:
    """The download returns the certificate of an SN in base64, and refuses an unknown SN."""
    node = "alipay_open_app_alipaycert_download_response"
    known = merchant.state({"alipay_cert_sn": "f569e3af6d82951194863fb1810a22b4"}, method=DOWNLOAD, certificates=True)
    unknown = merchant.state({"alipay_cert_sn": "00"}, method=DOWNLOAD, certificates=True)

    content = opened.gateway(known, node)["alipay_cert_content"]
    assert base64.b64decode(content) == (KEYS / "TEST-A-alipay-platform-other-cert.pem").read_bytes()
    assert opened.gateway(unknown, node)["sub_code"] == "CERT_NOT_EXIST"
