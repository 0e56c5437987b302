"""The command in this process with a changed system: another transport, signer or ledger, without any patch."""

from collections.abc import Callable
from functools import partial

from pipeline.assemble.parts.system import System
from pipeline.cli import run
from pipeline.cli.main import Command, find_command

ChangeSystem = Callable[[System], System]


def changed_by(change: ChangeSystem) -> Callable[[str], Command]:
    """Return how `main` finds commands, so that runs, reruns and resumes have the changed system."""
    commands = {"run": run.run, "rerun": run.rerun, "resume": run.resume}

    def find(name: str) -> Command:
        if name not in commands:
            return find_command(name)
        return partial(commands[name], make_system=lambda clock: change(System.real(clock)))

    return find
