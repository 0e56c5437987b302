"""What must hold of states: no object goes back, and the platform ends with the newest state that it took."""

from collections import defaultdict

from tests.simulation.evidence import Broken, lines_of_runs, place_of, row_of, run_of, that_took_effect
from tests.simulation.history import Evidence
from tests.simulation.platform import Entry

_NEVER = (0, 0)


def check_states(evidence: Evidence) -> None:
    """Raise Broken where a state took effect after one of the same object that the exports say later."""
    places = _places(evidence)
    for thing, entries in _by_thing(evidence).items():
        newest = _NEVER
        for entry in that_took_effect(entries):
            place = places.get((run_of(evidence, entry), entry.identity), newest)
            if place < newest:
                raise Broken(f"object {thing}: {entry.identity} was applied after a later state")
            newest = place


def _by_thing(evidence: Evidence) -> dict[str, list[Entry]]:
    things: dict[str, list[Entry]] = defaultdict(list)
    for entry in evidence.journal.entries:
        things[entry.key].append(entry)
    return things


def _places(evidence: Evidence) -> dict[tuple[str, str], tuple[int, int]]:
    """Return where in the exports a state stands that a run sends: the first row that was not left out."""
    places: dict[tuple[str, str], tuple[bool, tuple[int, int]]] = {}
    for run_id, lines in lines_of_runs(evidence).items():
        for line in (line for line in lines if line["status"] != "invalid"):
            key = run_id, f"{line['request_key']}/{row_of(evidence, line)['biz_state_code']}"
            place = (line["status"] == "skipped", place_of(line))
            places[key] = min(place, places.get(key, place))
    return {key: place for key, (_, place) in places.items()}
