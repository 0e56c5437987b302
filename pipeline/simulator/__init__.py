"""A local stand-in for the three APIs, an implementation of its own that shares no code with the client."""

from pipeline.simulator.faults.fault import InjectedFault, Kind, When
from pipeline.simulator.identities import Identities, default_identities
from pipeline.simulator.ruling import Api, Decision
from pipeline.simulator.server import Simulator, client_config, load_faults, write_client_keys
from pipeline.simulator.state.journal import Entry, Journal

__all__ = [
    "Api",
    "Decision",
    "Entry",
    "Identities",
    "InjectedFault",
    "Journal",
    "Kind",
    "Simulator",
    "When",
    "client_config",
    "default_identities",
    "load_faults",
    "write_client_keys",
]
