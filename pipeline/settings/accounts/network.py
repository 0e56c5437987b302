"""Base URLs, proxies and CA bundles of an account."""

import ssl
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from pipeline.language import later, t
from pipeline.settings.key_material import LoadContext
from pipeline.settings.table import Table

_PROXY_VARIABLES = ("https_proxy", "HTTPS_PROXY")
_BYPASS_VARIABLES = ("no_proxy", "NO_PROXY")
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


NO_HOST = later("must name a host, and a port from 1 to 65535 if any")
"""What is wrong with a URL without a host."""


def check_url(table: Table, key: str) -> None:
    """Report a URL that names no host, or that would send requests unencrypted over a network."""
    text = table.text(key)
    fault = None if text is None else url_fault(text)
    if fault is not None:
        table.fault(key, fault)


def url_fault(text: str) -> str | None:
    """Return why a URL names no host, or would send requests unencrypted over a network; None if it does neither."""
    parts = _split(text)
    if parts is None:
        return t(NO_HOST)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return t("http is for this machine only (localhost, 127.0.0.0/8, ::1); write https")
    return None


def url(table: Table, key: str, default: str) -> str:
    """Return the URL without a trailing slash."""
    return (table.text(key) or default).rstrip("/")


def proxy(table: Table, base_url: str, context: LoadContext) -> str | None:
    """Return the account's own proxy, else the environment's for this URL; report a faulty one."""
    own = table.text("proxy")
    if own is not None:
        if _split(own) is None:
            table.fault("proxy", t("must name a host, and a port from 1 to 65535 if any"))
        return own
    variable = _first(_PROXY_VARIABLES, context.environ)
    if variable is None or "proxy" in table or _is_direct(base_url, context.environ):
        return None
    text = context.environ[variable]
    text = text if "://" in text else f"http://{text}"
    parts = _split(text)
    if parts is None or parts.scheme not in ("http", "https"):
        table.fault(
            "proxy",
            t("the environment variable {variable} must be http://HOST:PORT; fix it or unset it", variable=variable),
        )
    return text


def ca_bundle_file(table: Table, context: LoadContext) -> Path | None:
    """Return the account's own CA bundle, else the environment's; report a faulty one."""
    own = table.text("ca_bundle_file")
    if own is not None:
        return _checked_bundle(table, context.folder / own, own)
    variable = _first(_CA_VARIABLES, context.environ)
    if variable is None or "ca_bundle_file" in table:
        return None
    return _checked_bundle(
        table, Path(context.environ[variable]), t("the environment variable {variable}", variable=variable)
    )


def _checked_bundle(table: Table, path: Path, shown: str) -> Path:
    try:
        _read_bundle(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        table.fault("ca_bundle_file", t("{shown}: there is no such file", shown=shown))
    except ssl.SSLError:
        table.fault(
            "ca_bundle_file", t("{shown}: the file holds no certificate; give CA certificates as PEM", shown=shown)
        )
    except (OSError, ValueError) as exc:
        cause = exc.strerror if isinstance(exc, OSError) else t("no path")
        table.fault("ca_bundle_file", t("{shown}: the file can't be read: {cause}", shown=shown, cause=cause))
    return path


# A bundle of the system takes 40 ms, and accounts often share it.
@lru_cache(maxsize=16)
def _read_bundle(path: Path, _modified: int) -> None:
    """Read CA certificates, again after a change. Raises OSError and ValueError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if path.is_dir():
        context.load_verify_locations(capath=path)
    else:
        context.load_verify_locations(cafile=path)


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        is_valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if is_valid else None


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def leads_here(url: str) -> bool:
    """Return whether a URL leads to this machine."""
    parts = _split(url)
    return parts is not None and is_loopback(parts.hostname or "")


def _is_direct(base_url: str, environ: Mapping[str, str]) -> bool:
    parts = _split(base_url)
    if parts is None:
        return True  # its fault is already reported
    host, port = parts.hostname or "", parts.port or 443
    listed = environ.get(_first(_BYPASS_VARIABLES, environ) or "", "")
    entries = [entry.strip().casefold().lstrip(".") for entry in listed.split(",")]
    names = [host, f"{host}:{port}"]
    by_name = any(name == entry or name.endswith(f".{entry}") for name in names for entry in entries if entry)
    return is_loopback(host) or "*" in entries or by_name


def _first(variables: tuple[str, ...], environ: Mapping[str, str]) -> str | None:
    return next((name for name in variables if environ.get(name)), None)
