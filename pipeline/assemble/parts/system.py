"""The outside world: time, randomness, threads, the network and the ledger's file."""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pipeline.assemble.parts.helpers import Helpers, local_senders
from pipeline.assemble.parts.ledgers import working_folder
from pipeline.assemble.parts.platform import signer_of, transport_of
from pipeline.clock import Clock
from pipeline.engines.threads import ThreadEngine
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.lease import boot_id
from pipeline.model import Api
from pipeline.run.ports import Engine
from pipeline.settings import Account, Job
from pipeline.write.ports import Signer, Transport

MakeSystem = Callable[[Clock], "System"]
"""Makes the system of a command, with its clock."""


@dataclass(frozen=True, slots=True)
class System:
    """
    The outside world of a run, as dependencies.

    `boot` identifies the machine's last start. `folder` is the base of relative inputs on the command line.
    `open_ledger` has the parameters of `Ledger`. `helpers` starts senders of this host: it gets config, run and number.
    `command` are the words after `python` that start `backfill` on another node.
    """

    clock: Clock
    chance: random.Random
    engine: Engine
    signer_of: Callable[[Account, Api], Signer]
    transport_of: Callable[[Account, Job], Transport]
    boot: str
    folder: Path
    open_ledger: Callable[..., Ledger] = Ledger
    helpers: Callable[[Path, str, int], AbstractContextManager[Helpers]] = local_senders
    command: Sequence[str] = ("-P", "-m", "pipeline")

    @classmethod
    def real(cls, clock: Clock) -> "System":
        """Return this machine and its network."""
        return cls(
            clock=clock,
            chance=random.SystemRandom(),
            engine=ThreadEngine(),
            signer_of=signer_of,
            transport_of=transport_of,
            boot=boot_id(),
            folder=working_folder(),
        )
