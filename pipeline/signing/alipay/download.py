"""Answers to alipay.open.app.alipaycert.download (docs/platform/alipay-gateway-state-sync.md, Certificate mode)."""

import base64
from typing import Final

from cryptography import x509

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.signing.alipay.gateway_answer import read_answer
from pipeline.signing.json_object import parse_object
from pipeline.signing.keys import load_certificates

CERTIFICATE_DOWNLOAD: Final = "alipay.open.app.alipaycert.download"


def downloaded_chain(body: bytes, *, double_byte: bool) -> tuple[x509.Certificate, ...]:
    """
    Return the certificate in the answer, followed by its issuers; empty if it has none.

    The answer's own signature proves nothing, since the requested key itself may have made it. The caller must check
    the issuers.
    """
    answer = read_answer(body, CERTIFICATE_DOWNLOAD, double_byte=double_byte)
    node = parse_object(answer.node) if answer is not None else None
    text = node.get("alipay_cert_content") if node is not None else None
    if not isinstance(text, str):
        return ()
    try:
        return load_certificates(base64.b64decode(text), t("the downloaded certificate"))
    except (ValueError, SettingsError):
        return ()
