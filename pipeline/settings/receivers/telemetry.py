"""Where metrics, traces and lineage events go: from the config, else from the standard environment variables."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from pipeline.settings.accounts.network import is_loopback
from pipeline.settings.model import Telemetry
from pipeline.settings.table import Table

_OTLP_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
_LINEAGE_VARIABLE, _KEY_VARIABLE = "OPENLINEAGE_URL", "OPENLINEAGE_API_KEY"


def read_telemetry(table: Table, environ: Mapping[str, str]) -> Telemetry:
    """
    Return where telemetry goes.

    A wrong URL of the environment is no fault here: it is meant for many programs, and must not stop a run. An API key
    is used only where it travels encrypted or stays on this machine.
    """
    lineage = table.text("openlineage_url") or environ.get(_LINEAGE_VARIABLE) or None
    return Telemetry(
        otlp_endpoint=table.text("otlp_endpoint") or environ.get(_OTLP_VARIABLE) or None,
        openlineage_url=lineage,
        openlineage_api_key=environ.get(_KEY_VARIABLE) or None if lineage and _is_private(lineage) else None,
        namespace=table.text("namespace") or Telemetry().namespace,
    )


def _is_private(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" or is_loopback(parts.hostname or "")
