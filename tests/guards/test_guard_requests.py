"""Bytes on the wire and RSA operations of one row."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from benchmarks.instant_platform import InstantPlatform
from pipeline.model import Opened, Reply, SignedRequest
from pipeline.signing.alipay.v3 import AlipayV3
from pipeline.signing.keys import load_private_key, load_public_key
from pipeline.simulator import write_client_keys
from pipeline.write.ports import at_once
from tests.guards.spending import CountedRun

ROWS = 200
MOST_BYTES = 1300


@dataclass
class Wire(InstantPlatform):
    """A platform that confirms, behind the real signer; it counts signatures, requests and opened answers."""

    signer: AlipayV3
    sent: list[int] = field(default_factory=list)
    signed: int = 0
    opened: int = 0

    def sign(self, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        self.signed += 1
        return self.signer.sign(body, at=at, nonce=nonce)

    def send(self, request: SignedRequest, depart: Callable[[], None] = at_once, *, fresh: bool = False) -> Reply:
        lines = (f"{name}: {value}\r\n" for name, value in request.headers.items())
        self.sent.append(len(f"{request.method} {request.target} HTTP/1.1\r\n{''.join(lines)}\r\n") + len(request.body))
        return super().send(request, depart, fresh=fresh)

    def open(self, reply: Reply, *, at: datetime) -> Opened:
        self.opened += 1
        return super().open(reply, at=at)


@pytest.fixture
def wire(tmp_path: Path) -> Wire:
    keys = tmp_path / "keys"
    write_client_keys(keys)
    private = load_private_key((keys / "app_private_key.pem").read_bytes(), "app")
    public = load_public_key((keys / "alipay_public_key.pem").read_bytes(), "platform")
    return Wire(AlipayV3(app_id="2021000000000001", private_key=private, platform=public))


def test_a_row_is_signed_sent_and_opened_once(tmp_path: Path, wire: Wire) -> None:
    """Without faults each row takes one signature, one request and one check of an answer."""
    CountedRun(tmp_path / "run", ROWS, signer=wire, transport=wire).run()

    assert (wire.signed, len(wire.sent), wire.opened) == (ROWS, ROWS, ROWS)


def test_a_request_fits_into_one_packet(tmp_path: Path, wire: Wire) -> None:
    """A request for an order, with its signature and all our headers, stays below one packet."""
    CountedRun(tmp_path / "run", ROWS, signer=wire, transport=wire).run()

    assert max(wire.sent) < MOST_BYTES
