"""Protocols that the writer needs from others: the signer and the transport."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from pipeline.model import Lost, Opened, Reply, SignedRequest


class Signer(Protocol):
    """One platform's protocol with one account's keys. Thread-safe."""

    def sign(self, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        """Return the HTTP request with this JSON body, signed at this time with this nonce."""
        ...

    def open(self, reply: Reply, *, at: datetime) -> Opened:
        """Verify the answer's signature, and decrypt its content. Never raises, whatever a server sends."""
        ...

    def key_request(self, opened: Opened | None, *, at: datetime, nonce: str) -> SignedRequest | None:
        """Return the request that fetches the platform's newest keys; None if only a person can renew them."""
        ...

    def can_verify(self) -> bool:
        """Return whether a platform key is known, so that an answer can be verified."""
        ...

    def keys_due(self, at: datetime) -> bool:
        """Return whether the platform's keys should be refreshed by now, although no answer needs it."""
        ...

    def learn_keys(self, reply: Reply, *, at: datetime) -> bool:
        """Store the keys in the answer to `key_request`; return whether a new trusted key is among them."""
        ...


def at_once() -> None:
    """Let a request leave as soon as its connection is open."""


class Transport(Protocol):
    """The network. Thread-safe."""

    def send(
        self, request: SignedRequest, depart: Callable[[], None] = at_once, *, fresh: bool = False
    ) -> Reply | Lost:
        """
        Send once, follow no redirect, and return the answer. Never raises for a network error.

        - `fresh`: use a new connection. Otherwise a kept one may be used if nothing came over it since its last answer.
          The reply says which one it was.
        - `depart`: called once the connection is open, before the first byte leaves. It may block. If it raises,
          nothing is sent and `send` raises the same.

        The reply has the request's round trip, as far as it was measured.
        """
        ...
