"""Requests to a real web server on loopback."""

import socket
from pathlib import Path

import pytest

from pipeline.notify.channels.not_sent import NotSent
from pipeline.notify.channels.robots import WebRequest
from pipeline.notify.channels.web import send
from pipeline.settings import ReceiverType
from tests.notify.ends import robot
from tests.notify.loopback import ACCEPTED, web_server
from tests.write.certificates import context_of, write_certificate

BODY = b'{"text":"hello"}'
TOKEN = "0123456789abcdef"


def test_a_request_arrives_as_it_was_made() -> None:
    """Path, query, type and bytes."""
    with web_server() as server:
        url = f"{server.url}/robot/send?access_token={TOKEN}"
        send(robot(ReceiverType.DINGTALK, url), WebRequest(f"{url}&sign=a%2B", BODY))

    (received,) = server.requests
    assert (received.path, received.headers["Content-Type"], received.body) == (
        f"/robot/send?access_token={TOKEN}&sign=a%2B",
        "application/json; charset=utf-8",
        BODY,
    )


def test_a_server_fault_is_retried_once() -> None:
    """The second answer counts."""
    with web_server([(503, b""), ACCEPTED]) as server:
        send(robot(ReceiverType.WECOM, server.url), WebRequest(server.url, BODY))

    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("answers", "fault", "requests"),
    [
        pytest.param([(503, b"")], "HTTP 503", 2, id="twice a server fault"),
        pytest.param([(302, b""), ACCEPTED], "HTTP 302", 1, id="redirect: not followed"),
        pytest.param([(200, b'{"errcode":45009}')], "code 45009: None", 1, id="refused"),
    ],
)
def test_a_refusal_is_reported_without_the_url(answers: list[tuple[int, bytes]], fault: str, requests: int) -> None:
    """The fault names host and port alone: path and query hold the token."""
    with web_server(answers) as server, pytest.raises(NotSent) as raised:
        send(robot(ReceiverType.WECOM, server.url), WebRequest(f"{server.url}/{TOKEN}", BODY))

    assert str(raised.value) == f"{server.url.removeprefix('http://')} refused it: {fault}"
    assert len(server.requests) == requests


def test_a_receiver_that_is_down_is_reported_without_the_url() -> None:
    """The fault names host, port and cause."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    url = f"http://127.0.0.1:{port}/hook/{TOKEN}"

    with pytest.raises(NotSent) as raised:
        send(robot(ReceiverType.FEISHU, url), WebRequest(url, BODY))

    assert str(raised.value) == f"127.0.0.1:{port} can't be reached (NewConnectionError)"


def test_a_certificate_is_verified(tmp_path: Path) -> None:
    """A server with a certificate of an unknown CA gets nothing; with its CA bundle it gets the message."""
    certificate = write_certificate(tmp_path / "server.pem")
    with web_server(tls=context_of(certificate)) as server:
        request = WebRequest(server.url, BODY)
        with pytest.raises(NotSent, match="SSLError"):
            send(robot(ReceiverType.WECOM, server.url), request)
        send(robot(ReceiverType.WECOM, server.url, ca_bundle_file=certificate), request)

    assert [received.body for received in server.requests] == [BODY]


def test_a_proxy_gets_the_request() -> None:
    """The receiver's proxy is used, and no one of the environment."""
    with web_server() as proxy:
        url = "http://127.0.0.1:9/hook"
        send(robot(ReceiverType.WECOM, url, proxy=proxy.url), WebRequest(url, BODY))

    assert [received.path for received in proxy.requests] == [url]
