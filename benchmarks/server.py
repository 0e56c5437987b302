"""
A platform in its own process that costs very little: `python -m benchmarks.server FOLDER`.

It writes client keys and accounts into FOLDER, prints its port (loopback), keeps connections open, verifies nothing and
confirms every request. Each answer is signed once and kept, so that the next run of the same rows costs only reading
and writing. `GET /account` returns requests and CPU time since the last call.

It answers like 3 APIs: Alipay v3 (the answer repeats out_biz_no, the signature is in the headers), Alipay's gateway
(the signature is beside the answer), and WeChat Pay for any other path.
"""

import asyncio
import base64
import re
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType

import orjson
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from pipeline.simulator.identities import Identities, PlatformKey, default_identities
from pipeline.simulator.state.client_files import client_config, write_client_keys

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_METHOD = re.compile(rb"[?&]method=([a-z.]+)")
# WeChat Pay's clients refuse timestamps older than 5 minutes.
_FRESH_SECONDS = 60


class Platform:
    """Confirms every request with a signed answer."""

    def __init__(self, identities: Identities, wall: Callable[[], float]) -> None:
        self._identities = identities
        self._wall = wall
        self._v3: dict[str, bytes] = {}
        self._gateway = cache(self._gateway_answer)
        self._wechat = cache(self._wechat_answer)
        self._requests = 0
        self._cpu_seconds = time.process_time()

    def answer(self, head: bytes, body: bytes) -> bytes:
        """Return the complete HTTP answer to a request."""
        target = head.split(b" ", 2)[1]
        if target == b"/account":
            return _http(self._account())
        self._requests += 1
        if target.startswith(b"/v3/zhima/"):
            key = orjson.loads(body)["out_biz_no"]
            return self._v3.get(key) or self._v3.setdefault(key, self._v3_answer(key))
        if target.startswith(b"/gateway.do"):
            return self._gateway(_method_of(head, body))
        return self._wechat(int(self._wall()) // _FRESH_SECONDS)

    def _account(self) -> bytes:
        requests, cpu_seconds = self._requests, time.process_time() - self._cpu_seconds
        self._requests, self._cpu_seconds = 0, time.process_time()
        return orjson.dumps({"requests": requests, "cpu_seconds": cpu_seconds})

    def _v3_answer(self, key: str) -> bytes:
        """Return an answer signed as in alipay-v3-cumulation.md, section 3."""
        content = orjson.dumps({"out_biz_no": key})
        timestamp, nonce = str(int(self._wall() * 1000)), f"{len(self._v3):032x}"
        signature = _signature(self._identities.alipay, f"{timestamp}\n{nonce}\n".encode() + content + b"\n")
        headers = {"alipay-timestamp": timestamp, "alipay-nonce": nonce, "alipay-signature": signature}
        return _http(content, {**headers, "alipay-trace-id": nonce})

    def _gateway_answer(self, method: str) -> bytes:
        """Return an answer signed as in alipay-gateway-state-sync.md, section 4: the signature covers the node."""
        node = orjson.dumps({"code": "10000", "msg": "Success", "biz_result": "success"})
        name = method.replace(".", "_").encode() + b"_response"
        signature = _signature(self._identities.alipay, node).encode()
        return _http(b'{"%s":%s,"sign":"%s"}' % (name, node, signature))

    def _wechat_answer(self, age: int) -> bytes:
        """Return an answer signed as in wechatpay-v3-points.md, section 4; a new one from time to time."""
        content, key = orjson.dumps({"age": age}), self._identities.wechatpay_public
        timestamp, nonce = str(int(self._wall())), f"{age:032x}"
        return _http(
            content,
            {
                "Wechatpay-Timestamp": timestamp,
                "Wechatpay-Nonce": nonce,
                "Wechatpay-Serial": key.name,
                "Wechatpay-Signature": _signature(key, f"{timestamp}\n{nonce}\n".encode() + content + b"\n"),
                "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
            },
        )


def _method_of(head: bytes, body: bytes) -> str:
    # Clients put the parameters into the query or into the form.
    found = _METHOD.search(head) or _METHOD.search(b"&" + body)
    return found[1].decode() if found else "unknown"


def _signature(key: PlatformKey, text: bytes) -> str:
    return base64.b64encode(key.private.sign(text, PKCS1v15(), SHA256())).decode()


def _http(content: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
    named = {"Content-Type": "application/json;charset=utf-8", "Content-Length": str(len(content)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + content


class ConnectionHandler(asyncio.Protocol):
    """One connection: answers requests one by one as their bytes arrive."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every complete request."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, start = self._received[:end], end + 4
            length = _LENGTH.search(head)
            stop = start + (int(length[1]) if length else 0)
            if len(self._received) < stop:
                return
            body, self._received = self._received[start:stop], self._received[stop:]
            self._transport.write(self._platform.answer(head, body))


def _write_client_files(folder: Path, port: int) -> None:
    """Write accounts and client keys; the private key also in the form that the platform's SDK needs."""
    keys = folder / "keys"
    write_client_keys(keys)
    private = load_pem_private_key((keys / "app_private_key.pem").read_bytes(), None)
    old_form = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (keys / "app_private_key_pkcs1.pem").write_bytes(old_form)
    (folder / "accounts.toml").write_text(client_config(f"http://127.0.0.1:{port}"), encoding="utf-8")


async def _serve(folder: Path) -> None:
    platform = Platform(default_identities(), time.time)
    server = await asyncio.get_running_loop().create_server(partial(ConnectionHandler, platform), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _write_client_files(folder, port)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
