"""Answers that end too early, at each byte."""

import pytest

from pipeline.model import Loss, Lost, Reply, SignedRequest
from pipeline.write.transport.curl_transport import CurlTransport
from pipeline.write.transport.network import Endpoint, Network
from pipeline.write.transport.requests_transport import RequestsTransport
from tests.write.loopback import Loopback, sends, serving

REQUEST = SignedRequest("POST", "/", {"User-Agent": "tests"}, b"{}")
BODY = b'{"code":"1"}'
MEASURED = b"HTTP/1.1 400 Bad Request\r\nX-A: 1\r\nContent-Length: 12\r\n\r\n" + BODY
CHUNKED = (
    b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\n" + BODY[:4] + b"\r\n8\r\n" + BODY[4:] + b"\r\n0\r\n\r\n"
)


@pytest.mark.parametrize("kind", [RequestsTransport, CurlTransport], ids=["requests", "curl"])
@pytest.mark.parametrize(
    ("whole", "missing"),
    [
        pytest.param(MEASURED, b"}", id="with-content-length"),
        # The bytes after the last chunk have no content.
        pytest.param(CHUNKED, b"0\r\n\r\n", id="in-chunks"),
    ],
)
def test_an_answer_cut_anywhere_is_lost(kind: type[Network], whole: bytes, missing: bytes) -> None:
    """Cut in its first line an answer has not begun; cut later it is cut short; only a complete one counts."""
    lengths = range(len(whole) + 1)
    with serving(Loopback([sends(whole[:length]) for length in lengths])) as server:
        transport = kind(Endpoint(server.url, timeout_seconds=5.0))
        results = [result_of(transport.send(REQUEST)) for _ in lengths]

    in_first_line, in_the_rest = results[: whole.index(b"\n") + 1], results[whole.index(b"\n") + 1 : -len(missing)]
    assert in_first_line[:10] == [Loss.CONNECTION_LOST] * 10
    assert set(in_first_line) <= {Loss.CONNECTION_LOST, Loss.CUT_SHORT}
    assert set(in_the_rest) == {Loss.CUT_SHORT}
    assert results[-1] == BODY


def result_of(answer: Reply | Lost) -> Loss | bytes:
    return answer.cause if isinstance(answer, Lost) else answer.body
