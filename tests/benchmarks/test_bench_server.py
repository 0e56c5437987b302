"""The benchmark server: answers are signed, complete and in order."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from benchmarks.server import ConnectionHandler, Platform
from pipeline.model import Opened, Reply, Trust
from pipeline.signing.alipay.gateway import AlipayGateway
from pipeline.signing.alipay.v3 import AlipayV3
from pipeline.signing.keys import load_private_key, load_public_key
from pipeline.signing.wechatpay.v3 import WechatPay
from pipeline.simulator import default_identities, write_client_keys
from pipeline.write.ports import Signer

NOW = datetime(2025, 11, 20, 12, tzinfo=UTC)
ORDER = orjson.dumps({"out_biz_no": "A-1"})


class Wire(asyncio.Transport):
    """Keeps the bytes written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))


@pytest.fixture
def handler() -> ConnectionHandler:
    handler = ConnectionHandler(Platform(default_identities(), NOW.timestamp))
    handler.connection_made(Wire())
    return handler


def exchanged(handler: ConnectionHandler, *pieces: bytes) -> list[Reply]:
    """Return the answers to bytes received in pieces."""
    wire = Wire()
    handler.connection_made(wire)
    for piece in pieces:
        handler.data_received(piece)
    return list(map(parsed, wire.written))


def parsed(answer: bytes) -> Reply:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    assert int(headers["content-length"]) == len(body)
    return Reply(int(status.split()[1]), headers, body)


def request(target: str, body: bytes) -> bytes:
    return f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def signers(folder: Path) -> dict[str, Signer]:
    write_client_keys(folder)
    app = load_private_key((folder / "app_private_key.pem").read_bytes(), "app")
    alipay = load_public_key((folder / "alipay_public_key.pem").read_bytes(), "alipay")
    merchant = load_private_key((folder / "apiclient_key.pem").read_bytes(), "merchant")
    wechatpay = default_identities().wechatpay_public
    return {
        "/v3/zhima/credit/pe/zmgo/cumulation/sync": AlipayV3(app_id="1", private_key=app, platform=alipay),
        "/gateway.do?method=zhima.data.state.data.sync": AlipayGateway(app_id="1", private_key=app, platform=alipay),
        "/v3/brand/partner/card-member/user-points/sync": WechatPay(
            mchid="1",
            serial_no="1",
            private_key=merchant,
            platform_keys={wechatpay.name: wechatpay.private.public_key()},
        ),
    }


def test_answers_of_all_three_apis_verify(handler: ConnectionHandler, tmp_path: Path) -> None:
    """The program's own signers verify every answer."""
    trusted = {}
    for target, signer in signers(tmp_path).items():
        (reply,) = exchanged(handler, request(target, ORDER))
        trusted[target] = signer.open(reply, at=NOW).trust

    assert set(trusted.values()) == {Trust.VERIFIED}
    assert len(trusted) == 3


def test_the_answer_to_an_order_has_its_key(handler: ConnectionHandler, tmp_path: Path) -> None:
    """The answer confirms the request's key."""
    target, signer = next(iter(signers(tmp_path).items()))
    (reply,) = exchanged(handler, request(target, ORDER))

    assert signer.open(reply, at=NOW) == Opened(Trust.VERIFIED, ORDER)


def test_requests_may_arrive_in_any_pieces(handler: ConnectionHandler) -> None:
    """2 requests in one piece get 2 answers; a request in several pieces gets one."""
    whole = request("/v3/zhima/", ORDER)
    cut = [whole[place : place + 7] for place in range(0, len(whole), 7)]

    assert len(exchanged(handler, whole + whole)) == 2
    assert len(exchanged(handler, *cut)) == 1


def test_the_account_counts_requests_since_the_last_call(handler: ConnectionHandler) -> None:
    """Each request counts once, and each call resets the count."""
    ask = b"GET /account HTTP/1.1\r\nHost: a\r\n\r\n"
    exchanged(handler, request("/v3/zhima/", ORDER), request("/v3/zhima/", ORDER))

    accounts = [orjson.loads(reply.body)["requests"] for reply in exchanged(handler, ask, ask)]

    assert accounts == [2, 0]
