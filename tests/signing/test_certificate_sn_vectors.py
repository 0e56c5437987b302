"""The serial texts of certificates against the golden vectors."""

from collections.abc import Callable
from typing import Any

from cryptography import x509

from pipeline.signing.certificates import certificate_sn, root_sn


def test_a_certificate_is_named_as_alipay_names_it(
    alipay_cert_sn: dict[str, Any], certificates: Callable[[str], tuple[x509.Certificate, ...]]
) -> None:
    """The SN of a certificate, or of a root file with certificates of other kinds in it, is that of the vector."""
    given, expect = alipay_cert_sn["input"], alipay_cert_sn["expect"]
    held = certificates(given["file"])

    named = root_sn(held) if given["kind"] == "root_file" else certificate_sn(held[0])

    assert named == expect["sn"]
    assert [certificate_sn(certificate) for certificate in held] == [part["sn"] for part in expect["parts"]]
