"""`python -m tests.senders.child SECONDS WORD...`: the command, with leases of some seconds."""

import sys
from dataclasses import replace
from functools import partial

from pipeline.assemble.parts.system import System
from pipeline.cli import run
from pipeline.cli.main import Command, find_command, main
from pipeline.cli.worker import worker
from pipeline.clock import Clock

_MODULE = "tests.senders.child"


def with_lease(seconds: float, clock: Clock, module: str = _MODULE) -> System:
    """Return the system of this machine, with a ledger of short leases; `module` is that of the command."""
    system = System.real(clock)
    return replace(
        system,
        open_ledger=partial(system.open_ledger, lease_seconds=seconds),
        command=("-m", module, str(seconds)),
    )


def command_of(name: str, seconds: float, module: str = _MODULE) -> Command:
    """Return a command of which each lease lasts some seconds."""
    commands = {"run": run.run, "rerun": run.rerun, "resume": run.resume, "worker": worker.worker}
    if name not in commands:
        return find_command(name)
    return partial(commands[name], make_system=partial(with_lease, seconds, module=module))


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:], partial(command_of, seconds=float(sys.argv[1]))))
