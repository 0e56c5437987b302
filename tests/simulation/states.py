"""What must hold of states: no object goes back, and the platform ends with the newest state that it took."""

from collections import defaultdict

from tests.simulation.evidence import Broken, lines_of_runs, row_of, run_of, that_took_effect
from tests.simulation.history import Evidence
from tests.simulation.platform import Entry

_NEVER = (0, 0)


def check_states(evidence: Evidence) -> None:
    """Raise Broken where a state took effect after one of the same object that the exports say later."""
    places = _places(evidence)
    for thing, entries in _by_thing(evidence).items():
        newest = _NEVER
        for entry in that_took_effect(entries):
            later = [place for place in _may_stand_at(evidence, places, entry, newest) if place >= newest]
            if not later:
                raise Broken(f"object {thing}: {entry.identity} was applied after a later state")
            newest = min(later)


def _may_stand_at(
    evidence: Evidence, places: dict[tuple[str, str], tuple[int, int]], entry: Entry, newest: tuple[int, int]
) -> list[tuple[int, int]]:
    """
    Return where in the exports a state may stand that was sent.

    A run that was killed may have meant to send it, and not come to it: whoever sends it then settles that doubt.
    """
    killed = (t.run_id for t in evidence.told if t.was_killed and t.run_id and t.ended_at <= entry.sent_at)
    sender = run_of(evidence, entry)
    found = [places[run_id, entry.identity] for run_id in (sender, *killed) if (run_id, entry.identity) in places]
    return found or [newest]


def _by_thing(evidence: Evidence) -> dict[str, list[Entry]]:
    things: dict[str, list[Entry]] = defaultdict(list)
    for entry in evidence.journal.entries:
        things[entry.key].append(entry)
    return things


def _places(evidence: Evidence) -> dict[tuple[str, str], tuple[int, int]]:
    """
    Return where a state stands that a run sends: the first row that was not left out, in a run that began so late.

    A rerun sends what another run staged. An old file that is run again counts as new.
    """
    began = _order_of_runs(evidence)
    places: dict[tuple[str, str], tuple[bool, tuple[int, int]]] = {}
    for run_id, lines in lines_of_runs(evidence).items():
        for line in (line for line in lines if line["status"] != "invalid"):
            key = run_id, f"{line['request_key']}/{row_of(evidence, line)['biz_state_code']}"
            place = (line["status"] == "skipped", (began[run_id], int(line["source_row"])))
            places[key] = min(place, places.get(key, place))
    return {key: place for key, (_, place) in places.items()}


def _order_of_runs(evidence: Evidence) -> dict[str, int]:
    """Return of each run which command staged its rows."""
    order: dict[str, int] = {}
    last: dict[str, str] = {}
    for number, told in enumerate(evidence.told):
        if told.run_id is None:
            continue
        staged_by = told.step.run_id or last.get(told.step.job)
        is_copy = told.step.verb == "rerun" and staged_by in order
        order.setdefault(told.run_id, order[staged_by] if is_copy and staged_by else number)
        last[told.step.job] = told.run_id
    return order
