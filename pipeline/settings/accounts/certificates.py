"""The valid certificates of a certificate file, or of several."""

from cryptography import x509

from pipeline.settings.key_material import LoadContext, load_files
from pipeline.settings.table import Table
from pipeline.signing.keys import check_validity, load_certificates, public_key_of


def find_certificates(table: Table, key: str, context: LoadContext) -> tuple[x509.Certificate, ...]:
    """
    Return the RSA certificates of the named files that are valid now; report a fault if there is none.

    During a change of certificates the files hold the old one and the new one.
    """
    files = load_files(table, key, context, _load_named)
    named = {certificate: name for file in files for certificate, name in file.items()}
    faults = {one: check_validity(one, name, context.at) for one, name in named.items()}
    valid = tuple(one for one, fault in faults.items() if fault is None)
    if not valid:
        table.faults.extend(fault for fault in faults.values() if fault is not None)
    return valid


def _load_named(data: bytes, name: str) -> dict[x509.Certificate, str]:
    """Return the certificates of a file, each with the file's name. Raises SettingsError if one has no RSA key."""
    certificates = load_certificates(data, name)
    for certificate in certificates:
        public_key_of(certificate, name)
    return dict.fromkeys(certificates, name)
