"""Certificates: their serial texts in requests and answers, and the check of a new one against trusted roots."""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

_RSA_SIGNATURES: Final = "1.2.840.113549.1.1."


def certificate_sn(certificate: x509.Certificate) -> str:
    """
    Return the `app_cert_sn` or `alipay_cert_sn` of a certificate.

    It is the MD5 of the issuer (last attribute first) and the decimal serial number
    (docs/platform/alipay-v3-cumulation.md, Certificate serial texts).
    """
    named = certificate.issuer.rfc4514_string() + str(certificate.serial_number)
    return hashlib.md5(named.encode(), usedforsecurity=False).hexdigest()


def root_sn(certificates: Iterable[x509.Certificate]) -> str:
    """
    Return the `alipay_root_cert_sn` of a root file: the SN of each certificate with an RSA signature, in file order.
    """
    return "_".join(
        certificate_sn(certificate)
        for certificate in certificates
        if certificate.signature_algorithm_oid.dotted_string.startswith(_RSA_SIGNATURES)
    )


def serial_hex(certificate: x509.Certificate) -> str:
    """Return the serial number in WeChat Pay's form: hex with capital letters."""
    return f"{certificate.serial_number:X}"


def is_valid(certificate: x509.Certificate, at: datetime) -> bool:
    """Return whether the certificate is valid at this time."""
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def descends_from(chain: tuple[x509.Certificate, ...], roots: Iterable[x509.Certificate], at: datetime) -> bool:
    """
    Return whether the first certificate of the chain was issued under one of the roots, all of them valid now.

    The order of the others does not matter. Each issuer must be allowed to issue.
    """
    trusted, waiting = [root for root in roots if is_valid(root, at)], list(chain)
    if not chain or not all(is_valid(certificate, at) for certificate in chain):
        return False
    subject = chain[0]
    while not any(_issued(issuer, subject) for issuer in trusted):
        promoted = [one for one in waiting if _may_issue(one) and any(_issued(issuer, one) for issuer in trusted)]
        if not promoted:
            return False
        trusted = promoted
        waiting = [one for one in waiting if one not in promoted]
    return True


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        # A root file also has roots of other kinds, such as SM2, which are not used here.
        return False
    return True


def _may_issue(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False
