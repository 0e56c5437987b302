"""
A local stand-in for the four APIs, for tests and trials. It shares no code with the client.

Read in this order:

- `server`: starts and stops the simulator; `command`: `backfill simulate`
- `platform`: one request from its arrival to its answer
- `api`, `ruling`: the interface of the protocols, and the values they pass on
- `apis`: the protocols and what each API accepts
- `faults`: what can go wrong, for which requests; `false_answers`: answers that a fault sends instead
- `state`: memory of keys and nonces, quota, journal, client files
- `http`: the HTTP server
- `admin`, `identities`, `crypto`: own paths, test keys, cryptography

Imports `errors` and `clock` only.
"""

from pipeline.simulator.faults.fault import FaultKind, InjectedFault, When
from pipeline.simulator.identities import Identities, default_identities
from pipeline.simulator.ruling import Api, Decision
from pipeline.simulator.server import Simulator, client_config, load_faults, write_client_keys
from pipeline.simulator.state.journal import Entry, Journal

__all__ = [
    "Api",
    "Decision",
    "Entry",
    "FaultKind",
    "Identities",
    "InjectedFault",
    "Journal",
    "Simulator",
    "When",
    "client_config",
    "default_identities",
    "load_faults",
    "write_client_keys",
]
