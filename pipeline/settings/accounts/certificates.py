"""Certificate files: those of a file that are of use now."""

from datetime import datetime
from functools import partial

from cryptography import x509

from pipeline.errors import SettingsError
from pipeline.settings.origin import Surroundings, load_file
from pipeline.settings.table import Table
from pipeline.signing.keys import check_validity, load_certificates, public_key_of


def find_certificates(table: Table, key: str, around: Surroundings) -> tuple[x509.Certificate, ...]:
    """
    Return the RSA certificates that the named file holds and that are valid now; its fault is told if none is.

    During a change a platform's file rightly holds an old certificate beside the new one.
    """
    load = partial(_load_valid, at=around.at)
    return load_file(table, key, around, load) or ()


def _load_valid(data: bytes, name: str, *, at: datetime) -> tuple[x509.Certificate, ...]:
    certificates = load_certificates(data, name)
    for certificate in certificates:
        public_key_of(certificate, name)
    faults = {one: check_validity(one, name, at) for one in certificates}
    valid = tuple(one for one, fault in faults.items() if fault is None)
    if not valid:
        raise SettingsError([fault for fault in faults.values() if fault is not None])
    return valid
