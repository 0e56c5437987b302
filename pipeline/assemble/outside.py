"""The one door by which time, chance, threads, processes and the network come in."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pipeline.assemble.platform import signer_of
from pipeline.assemble.transports import transport_of
from pipeline.assemble.working_folder import working_folder
from pipeline.clock import Clock
from pipeline.engines.one_core import Seat, system_cores
from pipeline.engines.spawning import Start, spawned
from pipeline.engines.threads import ThreadEngine
from pipeline.ledger.lease import boot_id
from pipeline.model import Api
from pipeline.run.story import Engine
from pipeline.settings import Account, Job
from pipeline.write.ports import Signer, Transport


@dataclass(frozen=True, slots=True)
class Outside:
    """
    What comes from outside the program: time, chance, threads, the network, and which start of the machine this is.

    `folder` is where relative inputs of the command line are looked for; `environ` holds what the config took from the
    environment; `start_crew` starts the processes of a run that is to have several.
    """

    clock: Clock
    chance: random.Random
    engine: Engine
    signer_of: Callable[[Account, Api], Signer]
    transport_of: Callable[[Account, Job], Transport]
    boot: str
    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    start_crew: Start = field(default=partial(spawned, "pipeline.assemble.crew"), repr=False)

    @classmethod
    def real(cls, clock: Clock, environ: Mapping[str, str], seat: Seat | None = None) -> "Outside":
        """Return the machine that this runs on, and the network it is on; with a seat as one of several processes."""
        return cls(
            clock=clock,
            chance=random.SystemRandom(),
            engine=ThreadEngine(cores=system_cores(seat)),
            signer_of=signer_of,
            transport_of=transport_of,
            boot=boot_id(),
            folder=working_folder(),
            environ=dict(environ),
        )
