"""The answer to `GET /v3/certificates` (docs/platform/wechatpay-v3-points.md, Platform certificates)."""

from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from pipeline.errors import SettingsError
from pipeline.language import later, t
from pipeline.signing.aes import unseal
from pipeline.signing.certificates import is_valid, serial_hex
from pipeline.signing.json_object import parse_object
from pipeline.signing.keys import load_certificates, public_key_of

CERTIFICATES: Final = "/v3/certificates"

_NAME: Final = later("the downloaded certificate")


def downloaded_keys(body: bytes, apiv3_key: bytes, at: datetime) -> dict[str, RSAPublicKey]:
    """
    Return the keys of the currently valid certificates in the answer, by serial number, the newest last.

    An entry that this APIv3 key does not decrypt is skipped. An empty list is valid: a merchant with only a public key
    has no certificates.
    """
    entries = (parse_object(body) or {}).get("data")
    unsealed = [unsealed_certificate(entry, apiv3_key) for entry in entries] if isinstance(entries, list) else []
    valid = [one for one in unsealed if one is not None and is_valid(one, at)]
    valid.sort(key=lambda certificate: certificate.not_valid_before_utc)
    keys = {serial_hex(certificate): _key(certificate) for certificate in valid}
    return {serial: key for serial, key in keys.items() if key is not None}


def unsealed_certificate(entry: object, apiv3_key: bytes) -> x509.Certificate | None:
    """Return the certificate in an entry; None if it does not decrypt, or names another serial number."""
    match entry:
        case {"serial_no": str(serial), "encrypt_certificate": {"nonce": str(nonce), "ciphertext": str(text), **rest}}:
            associated_data = str(rest.get("associated_data") or "")
        case _:
            return None
    pem = unseal(apiv3_key, nonce=nonce, associated_data=associated_data, ciphertext=text)
    try:
        certificate = load_certificates(pem or b"", t(_NAME))[0]
    except SettingsError:
        return None
    return certificate if serial_hex(certificate) == canonical_serial(serial) else None


def canonical_serial(serial: str) -> str:
    """
    Return a serial number in one form, since programs differ in case and leading zeros. Public key ids are unchanged.
    """
    return serial if serial.startswith("PUB_KEY_ID_") else serial.upper().lstrip("0")


def _key(certificate: x509.Certificate) -> RSAPublicKey | None:
    try:
        return public_key_of(certificate, t(_NAME))
    except SettingsError:
        return None
