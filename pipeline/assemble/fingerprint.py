"""What tells whether two processes have read the same of a config."""

from collections.abc import Mapping
from dataclasses import fields

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from pipeline.model import digest
from pipeline.settings import Account, Job


def fingerprint(job: Job, account: Account) -> bytes:
    """Return a digest of a job and its account, keys included: equal where both say the same."""
    return digest(*(repr(_plain(getattr(part, f.name))) for part in (job, account) for f in fields(part)))


def _plain(value: object) -> object:
    """Return a value whose repr says all of it."""
    match value:
        case RSAPrivateKey():
            return value.public_key().public_numbers()
        case RSAPublicKey():
            return value.public_numbers()
        case x509.Certificate():
            return value.fingerprint(SHA256())
        case Mapping():
            return sorted(value.items())
        case tuple():
            return tuple(map(_plain, value))
        case _:
            return value
