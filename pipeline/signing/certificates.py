"""What certificates are called on the wire, and whether a new one can be trusted."""

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

    It is the MD5 of the issuer, last attribute first, and the serial number in decimal
    (alipay-v3-cumulation.md, section 3.5).
    """
    named = certificate.issuer.rfc4514_string() + str(certificate.serial_number)
    return hashlib.md5(named.encode(), usedforsecurity=False).hexdigest()


def root_sn(certificates: Iterable[x509.Certificate]) -> str:
    """Return the `alipay_root_cert_sn` of a root file: the SN of each certificate signed with RSA, in its order."""
    return "_".join(
        certificate_sn(certificate)
        for certificate in certificates
        if certificate.signature_algorithm_oid.dotted_string.startswith(_RSA_SIGNATURES)
    )


def serial_hex(certificate: x509.Certificate) -> str:
    """Return the serial number as WeChat Pay writes it: hex, in capitals."""
    return f"{certificate.serial_number:X}"


def is_valid(certificate: x509.Certificate, at: datetime) -> bool:
    """Tell whether the moment lies within the certificate's dates."""
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def descends_from(chain: tuple[x509.Certificate, ...], roots: Iterable[x509.Certificate], at: datetime) -> bool:
    """
    Tell whether the first certificate of the chain was issued under one of the roots, all being valid now.

    The others may stand in any order; one that issues must be allowed to.
    """
    trusted, waiting = [root for root in roots if is_valid(root, at)], list(chain)
    if not chain or not all(is_valid(certificate, at) for certificate in chain):
        return False
    leaf = chain[0]
    while not any(_issued(issuer, leaf) for issuer in trusted):
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
        # A root file also holds roots of other kinds, such as SM2, that sign nothing of ours.
        return False
    return True


def _may_issue(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False
