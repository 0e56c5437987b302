"""Real receivers on loopback: a web server and a mail server that keep what they get."""

import socket
import socketserver
import ssl
import threading
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ACCEPTED = (200, b'{"errcode":0,"errmsg":"ok","code":0}')


@dataclass(frozen=True)
class Received:
    """A request: path with query, headers and body."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebServer:
    """A running web server. It gives its answers in order, then the last one again."""

    url: str = ""
    requests: list[Received] = field(default_factory=list)
    answers: list[tuple[int, bytes]] = field(default_factory=lambda: [ACCEPTED])
    # Clear: a request waits for its answer.
    answering: threading.Event = field(default_factory=threading.Event)

    def answer(self) -> tuple[int, bytes]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def web_server(
    answers: Sequence[tuple[int, bytes]] = (ACCEPTED,), tls: ssl.SSLContext | None = None
) -> Iterator[WebServer]:
    """Serve on a port of its own."""
    running = WebServer(answers=list(answers))
    running.answering.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            running.requests.append(Received(self.path, dict(self.headers), body))
            running.answering.wait(30)
            status, answer = running.answer()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{running.url}/elsewhere")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        running.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield running
        running.answering.set()
        server.shutdown()
        thread.join()


@dataclass
class MailServer:
    """
    A running mail server: envelopes and mails, how each client logged in, and which mails came encrypted.

    It refuses some recipients. With a context it offers STARTTLS and login.
    """

    refused: Sequence[str] = ()
    starttls: ssl.SSLContext | None = None
    port: int = 0
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    logins: list[tuple[str, str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)


class _Conversation:
    """A client's commands, each obeyed by the method of its name."""

    def __init__(self, running: MailServer, connection: socket.socket) -> None:
        self.running, self.connection = running, connection
        self.file = connection.makefile("rb")
        self.sender, self.recipients, self.is_encrypted = "", list[str](), False

    def run(self) -> None:
        self.say("220 loopback")
        while line := self.file.readline().decode().strip():
            word, _, rest = line.partition(" ")
            getattr(self, word.lower())(rest)
        self.file.close()
        self.connection.close()

    def say(self, *lines: str) -> None:
        self.connection.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def ehlo(self, _rest: str) -> None:
        offers = ("250-loopback", "250-AUTH PLAIN", "250 STARTTLS")
        self.say(*(offers if self.running.starttls else ("250 loopback",)))

    def starttls(self, _rest: str) -> None:
        assert self.running.starttls is not None
        self.say("220 go on")
        self.file.close()
        self.connection = self.running.starttls.wrap_socket(self.connection, server_side=True)
        self.file, self.is_encrypted = self.connection.makefile("rb"), True

    def auth(self, rest: str) -> None:
        _, user, password = b64decode(rest.split()[1]).decode().split("\0")
        self.running.logins.append((user, password))
        self.say("235 welcome")

    def mail(self, rest: str) -> None:
        self.sender = rest.partition(":<")[2].partition(">")[0]
        self.say("250 ok")

    def rcpt(self, rest: str) -> None:
        recipient = rest.partition(":<")[2].partition(">")[0]
        if recipient in self.running.refused:
            self.say("550 no such user")
        else:
            self.recipients.append(recipient)
            self.say("250 ok")

    def data(self, _rest: str) -> None:
        self.say("354 go on")
        content = b"".join(line.removeprefix(b".") for line in iter(self.file.readline, b".\r\n"))
        self.running.mails.append(message_from_bytes(content, policy=policy.default))
        self.running.envelopes.append((self.sender, self.recipients))
        self.running.encrypted.append(self.is_encrypted)
        self.say("250 ok")

    def quit(self, _rest: str) -> None:
        self.say("221 bye")


@contextmanager
def smtp_server(refused: Sequence[str] = (), starttls: ssl.SSLContext | None = None) -> Iterator[MailServer]:
    """Serve SMTP on a port of its own."""
    running = MailServer(refused, starttls)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            conversation = _Conversation(running, self.request)
            with suppress(OSError):
                conversation.run()
            conversation.connection.close()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        running.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield running
        server.shutdown()
        thread.join()
