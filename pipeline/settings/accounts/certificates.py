"""The valid certificates of a certificate file."""

from datetime import datetime
from functools import partial

from cryptography import x509

from pipeline.errors import SettingsError
from pipeline.settings.key_material import LoadContext, load_file
from pipeline.settings.table import Table
from pipeline.signing.keys import check_validity, load_certificates, public_key_of


def find_certificates(table: Table, key: str, context: LoadContext) -> tuple[x509.Certificate, ...]:
    """
    Return the RSA certificates of the named file that are valid now; report a fault if there is none.

    During a change of certificates a file may hold the old one and the new one.
    """
    load = partial(_load_valid, at=context.at)
    return load_file(table, key, context, load) or ()


def _load_valid(data: bytes, name: str, *, at: datetime) -> tuple[x509.Certificate, ...]:
    certificates = load_certificates(data, name)
    for certificate in certificates:
        public_key_of(certificate, name)
    faults = {one: check_validity(one, name, at) for one in certificates}
    valid = tuple(one for one, fault in faults.items() if fault is None)
    if not valid:
        raise SettingsError([fault for fault in faults.values() if fault is not None])
    return valid
