"""A signer of queries without a key."""

from datetime import datetime

from pipeline.model import SignedRequest
from tests.write.harness import FakeSigner


class FakeQuerySigner(FakeSigner):
    """Signs queries without a key."""

    def sign_call(self, method: str, target: str, body: bytes, *, at: datetime, nonce: str) -> SignedRequest:
        return SignedRequest(method, target, {"nonce": nonce, "at": at.isoformat()}, body)
