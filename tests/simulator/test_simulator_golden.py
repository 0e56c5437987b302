"""The simulator against the golden vectors: requests that the platforms' own SDKs signed pass its checks."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pipeline.simulator import Simulator, default_identities
from tests.simulator.conftest import Merchant

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from tests.simulator.conftest import MovableClock

VECTORS = Path(__file__).parents[1] / "vectors"
SERVED = {"/v3/zhima/credit/pe/zmgo/cumulation/sync", "/v3/brand/partner/card-member/user-points/sync"} | {
    "/brand/card-member/user-points/sync"
}
BEIJING = timezone(timedelta(hours=8))


def vectors(*names: str) -> list[Any]:
    """Return the vectors whose request goes to an API that the simulator serves."""
    every = [vector for name in names for vector in json.loads((VECTORS / f"{name}.json").read_bytes())["vectors"]]
    return [
        pytest.param(vector, id=vector["id"])
        for vector in every
        if vector["input"].get("request_uri", "/v3/certificates") in {*SERVED, "/v3/certificates"}
    ]


@pytest.mark.parametrize("vector", vectors("alipay_v3_sign", "alipay_v3_encrypt"))
def test_alipays_signatures_pass(vector: Any, simulator: Simulator, merchant: Merchant, clock: MovableClock) -> None:
    """A report signed by Alipay's SDKs is decided by its content only."""
    given, wanted = vector["input"], vector["expect"]
    clock.moment = datetime.fromtimestamp(int(given["timestamp_ms"]) / 1000, UTC)
    body = wanted["body"].encode() if "body" in wanted else base64.b64decode(given["body_base64"])

    merchant.send("POST", given["request_uri"], wanted["headers"], body)

    assert simulator.journal.entries[0].code in {"SUCCESS", "INVALID_PARAMETER", "PAY_ORDER_NOT_EXIST", "illegal-json"}


@pytest.mark.parametrize("vector", vectors("alipay_gateway_sign"))
def test_the_gateways_signatures_pass(
    vector: Any, simulator: Simulator, merchant: Merchant, clock: MovableClock
) -> None:
    """A state signed by the SDKs is decided by its content only, in every charset, sign type and mode."""
    wanted = vector["expect"]
    clock.moment = datetime.fromisoformat(vector["input"]["params"]["timestamp"]).replace(tzinfo=BEIJING)

    merchant.send("POST", f"/gateway.do?{wanted['query_example']}", {}, wanted["form_body_example"].encode())

    assert simulator.journal.entries[0].code in {"SUCCESS", "ZMDATA.OUT_PRINCIPAL_ID_ERROR"}


@pytest.mark.parametrize("vector", vectors("wechatpay_sign"))
def test_wechat_pays_signatures_pass(
    vector: Any, simulator: Simulator, merchant: Merchant, clock: MovableClock
) -> None:
    """A balance or a download signed by WeChat Pay's SDKs is served."""
    given = vector["input"]
    clock.moment = datetime.fromtimestamp(int(given["timestamp"]), UTC)
    headers = {"Authorization": vector["expect"]["authorization_header"], "User-Agent": "golden", "Accept": "*/*"}
    headers |= {"Content-Type": "application/json"}

    merchant.send(given["http_method"], given["request_uri"], headers, base64.b64decode(given["body_base64"]))

    assert simulator.journal.entries[0].code == "SUCCESS"


@pytest.mark.parametrize("vector", vectors("wechatpay_brand_sign"))
def test_a_brand_s_signatures_pass(vector: Any, clock: MovableClock) -> None:
    """A balance signed by a brand as in the vectors is served, if the platform knows the brand's key."""
    given = vector["input"]
    clock.moment = datetime.fromtimestamp(int(given["timestamp"]), UTC)
    key = cast("RSAPrivateKey", load_pem_private_key((VECTORS / given["private_key"]).read_bytes(), None))
    known = replace(default_identities(), brand_key=key.public_key())
    headers = {"Authorization": vector["expect"]["authorization_header"], "User-Agent": "golden", "Accept": "*/*"}
    headers |= {"Content-Type": "application/json", "Wechatpay-Serial": known.brand_public.name}

    with Simulator(clock=clock, identities=known) as simulator:
        Merchant(simulator, clock).send("POST", given["request_uri"], headers, base64.b64decode(given["body_base64"]))

        assert [entry.code for entry in simulator.journal.entries] == ["SUCCESS"]


def test_a_changed_body_is_a_signature_error(simulator: Simulator, merchant: Merchant, clock: MovableClock) -> None:
    """A golden body with one changed digit is a signature error."""
    given = json.loads((VECTORS / "wechatpay_sign.json").read_bytes())["vectors"][0]
    clock.moment = datetime.fromtimestamp(int(given["input"]["timestamp"]), UTC)
    headers = {"Authorization": given["expect"]["authorization_header"], "User-Agent": "golden", "Accept": "*/*"}
    headers |= {"Content-Type": "application/json"}
    body = re.sub(rb"1000}", b"1001}", base64.b64decode(given["input"]["body_base64"]))

    merchant.send("POST", given["input"]["request_uri"], headers, body)

    assert simulator.journal.entries[0].code == "SIGN_ERROR"
