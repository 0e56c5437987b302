"""What must hold of states: no object goes back, and the platform ends with the newest state that it took."""

from collections import defaultdict

from tests.simulation.evidence import Broken, Line, lines_of_runs, read, row_of, run_of, that_took_effect
from tests.simulation.history import Evidence, Told
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

    A run that left it unknown may have delivered it, and one that was killed may have meant to: whoever sends it then
    settles that doubt.
    """
    before = (told for told in evidence.told if told.ended_at <= entry.sent_at)
    doubtful = (told.run_id for told in before if told.run_id and _is_doubtful(evidence, told, entry))
    runs = (run_of(evidence, entry), *doubtful)
    return [places[run_id, entry.identity] for run_id in runs if (run_id, entry.identity) in places] or [newest]


def _is_doubtful(evidence: Evidence, told: Told, entry: Entry) -> bool:
    if told.was_killed or told.report is None:
        return told.was_killed
    lines = read(told.report / "outcome.csv")
    return any(line["status"] == "unknown" and _identity_of(evidence, line) == entry.identity for line in lines)


def _identity_of(evidence: Evidence, line: Line) -> str:
    return f"{line['request_key']}/{row_of(evidence, line)['biz_state_code']}"


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
        # As the run told of each row last: one that ended while it read may tell a row as unsent that is then left out.
        told_last = {line["source_row"]: line for line in lines}
        for line in (line for line in told_last.values() if line["status"] != "invalid"):
            key = run_id, _identity_of(evidence, line)
            place = (line["status"] == "skipped", (began[run_id], int(line["source_row"])))
            places[key] = min(place, places.get(key, place))
    return {key: place for key, (_, place) in places.items()}


def _order_of_runs(evidence: Evidence) -> dict[str, int]:
    """
    Return of each run which command staged its rows.

    One that was killed before it told its run's id is known by that of the `resume` that comes next.
    """
    order: dict[str, int] = {}
    last: dict[str, str] = {}
    unnamed: dict[str, int] = {}
    for number, told in enumerate(evidence.told):
        job = told.step.job
        staged_by = told.step.run_id or last.get(job)
        is_copy = told.step.verb == "rerun" and staged_by in order
        place = order[staged_by] if is_copy and staged_by else number
        if told.run_id is None:
            unnamed[job] = place
            continue
        order.setdefault(told.run_id, unnamed.get(job, place) if told.step.verb == "resume" else place)
        last[job] = told.run_id
    return order
