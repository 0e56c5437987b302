"""Whether the libraries of the extra `telemetry` are installed."""

from collections.abc import Callable
from importlib.util import find_spec

from pipeline.language import t
from pipeline.notify.channels.not_sent import NotSent


def need_extra(package: str, find: Callable[[str], object] = find_spec) -> None:
    """Raise NotSent with advice if a package is not installed."""
    try:
        is_installed = find(package) is not None
    except ModuleNotFoundError:
        # The package that it is part of is missing.
        is_installed = False
    if not is_installed:
        raise NotSent(t("not installed; run pip install 'loyalty-backfill[telemetry]'"))
