"""The certificate that gateway.do gives out for an `alipay_cert_sn` (alipay-gateway-state-sync.md, section 4)."""

import base64
from typing import Final

from cryptography import x509

from pipeline.errors import SettingsError
from pipeline.signing.alipay.gateway_answer import read_answer
from pipeline.signing.keys import load_certificates
from pipeline.signing.plain import parse_object

CERTIFICATE_DOWNLOAD: Final = "alipay.open.app.alipaycert.download"


def downloaded_chain(body: bytes, *, double_byte: bool) -> tuple[x509.Certificate, ...]:
    """
    Return the certificate that the answer holds, then those it was issued under; none where it holds none.

    The answer's own signature proves nothing here, since it may be made with the very key that is asked for: the
    caller trusts the certificate for who issued it.
    """
    answer = read_answer(body, CERTIFICATE_DOWNLOAD, double_byte=double_byte)
    node = parse_object(answer.node) if answer is not None else None
    text = node.get("alipay_cert_content") if node is not None else None
    if not isinstance(text, str):
        return ()
    try:
        return load_certificates(base64.b64decode(text), "the downloaded certificate")
    except (ValueError, SettingsError):
        return ()
