"""The TLS context of connections to receivers."""

import ssl
from pathlib import Path

from requests.utils import DEFAULT_CA_BUNDLE_PATH


def tls_context(bundle: Path | None) -> ssl.SSLContext:
    """Return a context that verifies certificate and name, against a file or folder of CAs if one is given."""
    # Unlike ssl.create_default_context it never writes TLS keys to a file that the environment names.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if bundle is not None and bundle.is_dir():
        context.load_verify_locations(capath=bundle)
    else:
        context.load_verify_locations(cafile=bundle or DEFAULT_CA_BUNDLE_PATH)
    return context
