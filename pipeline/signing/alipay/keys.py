"""The keys that verify Alipay's answers."""

import threading
from collections.abc import Mapping
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.signing.certificates import certificate_sn
from pipeline.signing.keys import public_key_of


class AlipayKeys:
    """
    One public key; or, in certificate mode, the keys of one or more certificates by SN. Thread-safe.

    Added certificates do not replace the old ones: during a change-over Alipay signs with both. A reissued certificate
    has the key of the old one, and another SN.
    """

    def __init__(self, given: RSAPublicKey | Mapping[str, x509.Certificate]) -> None:
        self._add_lock = threading.Lock()
        self._by_sn: Mapping[str, RSAPublicKey] | None = None
        if isinstance(given, RSAPublicKey):
            self._configured: tuple[RSAPublicKey, ...] = (given,)
            return
        keys = {
            sn: public_key_of(certificate, t("the Alipay certificate {sn}", sn=sn)) for sn, certificate in given.items()
        }
        self._configured = tuple(keys.values())
        self._by_sn = MappingProxyType(keys)

    def find(self, sn: str | None) -> tuple[RSAPublicKey, ...]:
        """
        Return the keys that may have signed an answer with this SN; none if the SN is unknown.

        An answer without SN may be signed with any configured key (docs/platform/alipay-v3-cumulation.md, Verification
        of the answer).
        """
        if self._by_sn is None or not sn:
            return self._configured
        key = self._by_sn.get(sn)
        return () if key is None else (key,)

    def add(self, certificate: x509.Certificate) -> bool:
        """Add a certificate that the caller trusts; return whether it is new and has an RSA key."""
        sn = certificate_sn(certificate)
        with self._add_lock:
            if self._by_sn is None or sn in self._by_sn:
                return False
            try:
                key = public_key_of(certificate, t("the Alipay certificate {sn}", sn=sn))
            except SettingsError:
                return False
            self._by_sn = MappingProxyType({**self._by_sn, sn: key})
        return True
