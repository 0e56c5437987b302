"""What the writer needs of others, said by the writer."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from pipeline.model import Lost, Opened, Reply, SignedRequest


class Signer(Protocol):
    """One platform protocol with one account's keys. Thread-safe."""

    def sign(self, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        """Return the HTTP request that carries this JSON body, signed at this moment with this nonce."""
        ...

    def open(self, reply: Reply, *, at: datetime) -> Opened:
        """Check the answer's signature and decrypt it. Never raises for what a server can send."""
        ...

    def key_request(self, opened: Opened | None, *, at: datetime, nonce: str) -> SignedRequest | None:
        """Return the request that fetches the platform's newest keys; None where only a person can renew them."""
        ...

    def can_verify(self) -> bool:
        """Return whether there is a key of the platform by now, so that an answer can be verified at all."""
        ...

    def keys_due(self, at: datetime) -> bool:
        """Return whether the platform's keys should be fetched anew, although no answer asked for it."""
        ...

    def learn_keys(self, reply: Reply, *, at: datetime) -> bool:
        """Take in the keys that `key_request` fetched; return whether there is a new one that can be trusted."""
        ...


def at_once() -> None:
    """Let a request leave as soon as its connection stands."""


class Transport(Protocol):
    """The network. Thread-safe."""

    def send(
        self, request: SignedRequest, depart: Callable[[], None] = at_once, *, fresh: bool = False
    ) -> Reply | Lost:
        """
        Send once, follow no redirect, and return what came back. Never raises for what a network can do.

        With `fresh` the request goes out over a new connection. Otherwise a kept one may be used, if nothing came over
        it since its last answer; the reply says which it was.

        `depart` is called once the connection stands, before the first byte of the request leaves. It may wait; where
        it raises nothing is sent, and the same is raised here.

        A reply says how the request travelled, as far as that was measured.
        """
        ...
