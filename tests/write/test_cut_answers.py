"""An answer that ends too early, at each of its bytes."""

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
        pytest.param(MEASURED, b"}", id="of-told-length"),
        # What follows the last chunk holds nothing any more.
        pytest.param(CHUNKED, b"0\r\n\r\n", id="in-chunks"),
    ],
)
def test_an_answer_cut_anywhere_is_no_answer(kind: type[Network], whole: bytes, missing: bytes) -> None:
    """Before its first line nothing has come, then a part, and only the whole is an answer; the next is heard again."""
    lengths = range(len(whole) + 1)
    with serving(Loopback([sends(whole[:length]) for length in lengths])) as server:
        transport = kind(Endpoint(server.url, timeout_seconds=5.0))
        told = [told_of(transport.send(REQUEST)) for _ in lengths]

    in_first_line, in_the_rest = told[: whole.index(b"\n") + 1], told[whole.index(b"\n") + 1 : -len(missing)]
    assert in_first_line[:10] == [Loss.CONNECTION_LOST] * 10
    assert set(in_first_line) <= {Loss.CONNECTION_LOST, Loss.CUT_SHORT}
    assert set(in_the_rest) == {Loss.CUT_SHORT}
    assert told[-1] == BODY


def told_of(answer: Reply | Lost) -> Loss | bytes:
    return answer.cause if isinstance(answer, Lost) else answer.body
