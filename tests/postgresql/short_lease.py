"""The command, with a job's lease that ends after 3 seconds: `python -m tests.postgresql.short_lease run orders`."""

import sys
from dataclasses import replace
from functools import partial

from pipeline.assemble.parts.system import System
from pipeline.cli.main import main
from tests.changed_system import changed_by
from tests.postgresql.hosts import LEASE_SECONDS


def _with_short_lease(system: System) -> System:
    return replace(system, open_ledger=partial(system.open_ledger, lease_seconds=LEASE_SECONDS))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], changed_by(_with_short_lease)))
