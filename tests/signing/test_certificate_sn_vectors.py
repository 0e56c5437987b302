"""Serial texts of certificates, compared with the golden vectors."""

from collections.abc import Callable
from typing import Any

from cryptography import x509

from pipeline.signing.certificates import certificate_sn, root_sn


def test_a_certificate_has_the_sn_of_the_vector(
    alipay_cert_sn: dict[str, Any], certificates: Callable[[str], tuple[x509.Certificate, ...]]
) -> None:
    """The SN of a certificate, and of a root file with other kinds in it, equals the vector."""
    given, expect = alipay_cert_sn["input"], alipay_cert_sn["expect"]
    found = certificates(given["file"])

    named = root_sn(found) if given["kind"] == "root_file" else certificate_sn(found[0])

    assert named == expect["sn"]
    assert [certificate_sn(certificate) for certificate in found] == [part["sn"] for part in expect["parts"]]
