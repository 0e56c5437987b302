"""Promises about states: no older one after a newer one, none is left out, and true reports."""

import json
from collections import defaultdict
from collections.abc import Iterator
from functools import reduce
from itertools import pairwise

from tests.simulation.contradictions import some_are_dated
from tests.simulation.evidence import (
    Age,
    Broken,
    Line,
    exports,
    is_resynced_between,
    lines_of_runs,
    read,
    reports,
    row_of,
    run_of,
)
from tests.simulation.history import CommandResult, Evidence
from tests.simulation.platform import Entry, state_identity

Object = tuple[str, str]

_CUT_OFF = frozenset({"deadline", "interrupted", "stopped"})


def check_states(evidence: Evidence) -> None:
    """Raise Broken for the first promise about states that the evidence contradicts."""
    _one_run_one_body(evidence)
    _one_number_at_a_time(evidence)
    _no_older_after_a_newer(evidence)
    _unchanged_is_held(evidence)
    _last_unchanged_is_held_last(evidence)
    _the_last_one_holds(evidence)
    _blocked_states_wait_for_an_open_one(evidence)
    _without_faults_nothing_is_sent_twice(evidence)


def _one_run_one_body(evidence: Evidence) -> None:
    """All requests of a run for one state have the same bytes, also after the mapping changed."""
    bodies: dict[tuple[str, str], str] = {}
    for entry in evidence.journal.entries:
        if bodies.setdefault((run_of(evidence, entry), entry.identity), entry.body) != entry.body:
            raise Broken(f"{entry.identity} was sent with two bodies by one run")


def _one_number_at_a_time(evidence: Evidence) -> None:
    """States of one number go one after another, also with different users and principals."""
    numbers: dict[tuple[int, str], list[Entry]] = defaultdict(list)
    for entry in sorted(evidence.journal.entries, key=lambda entry: entry.sent_at):
        numbers[entry.process, entry.key].append(entry)
    for entries in numbers.values():
        for before, after in pairwise(entries):
            if before.answered_at is not None and after.sent_at < before.answered_at:
                raise Broken(f"two states of one number at once: {before.identity} and {after.identity}")


def _no_older_after_a_newer(evidence: Evidence) -> None:
    """
    No state is applied after a later one of the same object, by the order of the exports.

    After a resync all states of an export are sent again, in order. What was unchanged before does not count then.
    """
    places = _places(evidence)
    unchanged = _unchanged(evidence)
    for thing, entries in _by_object(evidence).items():
        newest: Age | None = None
        last_sent_at = 0.0
        for entry in _changes(entries):
            if is_resynced_between(evidence, last_sent_at, entry.sent_at):
                newest = None
            last_sent_at = entry.sent_at
            for ended_at, place in unchanged[thing]:
                counts = ended_at <= entry.sent_at and not is_resynced_between(evidence, ended_at, entry.sent_at)
                if counts and newest is not None and newest.is_older(place):
                    newest = place
            found = [place for run in _possible_runs(evidence, entry) for place in places[run, entry.identity]]
            later = [place for place in found if newest is None or not place.is_older(newest)]
            if found and not later:
                raise Broken(f"object {thing}: {entry.identity} was applied after a later state")
            newest = reduce(_older, later) if later else newest


def _older(one: Age, other: Age) -> Age:
    return other if other.is_older(one) else one


def _unchanged(evidence: Evidence) -> dict[Object, list[tuple[float, Age]]]:
    """
    Return, by object, when a run ended that reported it as unchanged, and the age of that row.

    A run that ended while it read says only what the platform has. It knows neither the states before such a row nor
    rows that contradict it, so an earlier run may still send its states. A resume decides on all rows anew.
    """
    began = _order_of_runs(evidence)
    found: dict[Object, list[tuple[float, Age]]] = defaultdict(list)
    for result, lines in reports(evidence):
        if _ended_while_it_read(evidence, result, lines):
            continue
        for line in (line for line in lines if line["code"] == "unchanged" and result.run_id):
            row = row_of(evidence, line)
            place = Age(row["updated_at"], (began[str(result.run_id)], int(line["source_row"])))
            found[_object_of(row)].append((result.ended_at, place))
    return found


def _ended_while_it_read(evidence: Evidence, result: CommandResult, lines: list[Line]) -> bool:
    """Return whether a report lacks rows that its run was to read. A rerun copies rows, and reads none."""
    steps = [other.step for other in evidence.results if other.run_id == result.run_id]
    if not lines or any(step.verb == "rerun" for step in steps):
        return False
    rows = len(read(evidence.folder / lines[0]["source_file"]))
    return len(lines) < min([rows, *(step.limit for step in steps if step.limit is not None)])


def _possible_runs(evidence: Evidence, entry: Entry) -> Iterator[str]:
    """
    Yield the runs whose row a request may be for.

    A run that left the state unknown may have sent it, and so may one that was killed. The next request settles that
    doubt.
    """
    yield run_of(evidence, entry)
    for result in evidence.results:
        if result.run_id and result.ended_at <= entry.sent_at and _is_doubtful(evidence, result, entry):
            yield result.run_id


def _is_doubtful(evidence: Evidence, result: CommandResult, entry: Entry) -> bool:
    if result.was_killed or result.report is None:
        return result.was_killed
    lines = read(result.report / "outcome.csv")
    return any(line["status"] == "unknown" and _identity_of(row_of(evidence, line)) == entry.identity for line in lines)


def _unchanged_is_held(evidence: Evidence) -> None:
    """A state is `unchanged` only if the platform holds it at some time of the run."""
    things = _by_object(evidence)
    for result, lines in reports(evidence):
        began = min(other.began_at for other in evidence.results if other.run_id == result.run_id)
        for line in (line for line in lines if line["code"] == "unchanged"):
            row = row_of(evidence, line)
            changes = _changes(things[_object_of(row)])
            before = [change for change in changes if change.sent_at < began]
            held = before[-1:] + [change for change in changes if began <= change.sent_at <= result.ended_at]
            if _identity_of(row) not in {change.identity for change in held}:
                raise Broken(f"{result.run_id} row {line['source_row']}: unchanged, and the platform held {held}")


def _last_unchanged_is_held_last(evidence: Evidence) -> None:
    """If a run skips the last state of an object as unchanged, the platform holds that state when the run ends."""
    things = _by_object(evidence)
    # A resume or rerun may have decided on its rows before another run sent a later state.
    for result, lines in ((result, lines) for result, lines in reports(evidence) if result.step.verb == "run"):
        rows: dict[Object, list[tuple[Line, str]]] = defaultdict(list)
        for line in (line for line in lines if line["status"] != "invalid" and line["code"] != "duplicate_row"):
            row = row_of(evidence, line)
            rows[_object_of(row)].append((row, line["code"]))
        for thing, several in rows.items():
            if some_are_dated(row for row, _ in several):
                continue
            row, code = max(enumerate(several), key=lambda item: (item[1][0]["updated_at"], item[0]))[1]
            # Another command may send at the moment in which this one ends.
            changes = [change for change in _changes(things[thing]) if change.sent_at < result.ended_at]
            if code == "unchanged" and (not changes or changes[-1].identity != _identity_of(row)):
                raise Broken(f"{result.run_id}: object {thing} is unchanged, and the platform held {changes[-1:]} last")


def _the_last_one_holds(evidence: Evidence) -> None:
    """At the end the platform holds, for each object, the last state of the export."""
    things = _by_object(evidence)
    for job in evidence.scenario.jobs:
        for thing, rows in _rows_by_object(exports(evidence, job)[-1]).items():
            if thing[0] in evidence.scenario.refusals or some_are_dated(rows):
                continue
            last = _identity_of(max(enumerate(rows), key=lambda row: (row[1]["updated_at"], row[0]))[1])
            changes = _changes(things[thing])
            if not changes or changes[-1].identity != last:
                raise Broken(f"object {thing}: {changes[-1:]} was set last, not {last}")


def _blocked_states_wait_for_an_open_one(evidence: Evidence) -> None:
    """A state is blocked only behind an open one of its object, and not only by the end of its run."""
    doubtful_since = _doubtful_since(evidence)
    for result, lines in reports(evidence):
        for line in (line for line in lines if line["code"] == "earlier_state_open"):
            thing = _object_of(row_of(evidence, line))
            before = [
                other
                for other in lines
                if other is not line
                and other["status"] in ("unknown", "unsent", "blocked")
                and _object_of(row_of(evidence, other)) == thing
            ]
            is_behind = any(other["status"] == "unknown" or other["code"] not in _CUT_OFF for other in before)
            if not is_behind and doubtful_since.get(thing, float("inf")) > result.ended_at:
                raise Broken(f"{result.run_id} row {line['source_row']} is blocked, and nothing before it is open")


def _doubtful_since(evidence: Evidence) -> dict[Object, float]:
    """Return since when an object may be in doubt: a run was killed, lost its job, or left a state of it unknown."""
    since: dict[Object, float] = defaultdict(lambda: float("inf"))
    # A run that was held up until another took its job reports nothing. Its states were open for that other one.
    ends = [result.ended_at for result in evidence.results if result.was_killed]
    ends += [r.began_at for r in evidence.results if r.run_id and r.report is None and r.step.frozen_after is not None]
    killed = min(ends, default=float("inf"))
    for result, lines in reports(evidence):
        for line in (line for line in lines if line["status"] == "unknown"):
            thing = _object_of(row_of(evidence, line))
            since[thing] = min(since[thing], result.ended_at)
    return {thing: min(killed, since[thing]) for thing in _by_object(evidence)}


def _without_faults_nothing_is_sent_twice(evidence: Evidence) -> None:
    """Without faults and kills, no object is sent the state that it already has."""
    steps = [result.step for result in evidence.results]
    has_no_faults = not (evidence.scenario.fault_periods or evidence.scenario.refusals or evidence.losses)
    if has_no_faults and not any(step.dies_after or step.frozen_after or step.changed_mapping for step in steps):
        for thing, entries in _by_object(evidence).items():
            for before, after in pairwise(entry for entry in entries if entry.decided == "accepted"):
                if before.body == after.body:
                    raise Broken(f"object {thing}: {after.identity} was sent twice")


def _changes(entries: list[Entry]) -> list[Entry]:
    """Return the accepted requests that changed an object."""
    changes: list[Entry] = []
    for entry in sorted(entries, key=lambda entry: entry.sent_at):
        if entry.decided == "accepted" and (not changes or changes[-1].body != entry.body):
            changes.append(entry)
    return changes


def _by_object(evidence: Evidence) -> dict[Object, list[Entry]]:
    things: dict[Object, list[Entry]] = defaultdict(list)
    for entry in sorted(evidence.journal.entries, key=lambda entry: entry.sent_at):
        things[_object_of(json.loads(entry.body))].append(entry)
    return things


def _rows_by_object(rows: list[Line]) -> dict[Object, list[Line]]:
    things: dict[Object, list[Line]] = defaultdict(list)
    for row in rows:
        if is_sendable(row):
            things[_object_of(row)].append(row)
    return things


def _object_of(fields: Line) -> Object:
    return fields["out_biz_no"], fields["out_principal_id"]


def _identity_of(row: Line) -> str:
    return state_identity(row)


def is_sendable(row: Line) -> bool:
    """Return whether a row is valid by itself."""
    return bool(row["user_id"]) and all(value.isprintable() for value in row.values())


def _places(evidence: Evidence) -> dict[tuple[str, str], list[Age]]:
    """
    Return the ages of the states that a run sends: of rows that were not skipped, if there are any.

    A rerun sends rows that another run staged. An old file that runs again counts as new. A state that following rows
    repeat counts as new as the last of them.
    """
    began = _order_of_runs(evidence)
    places: dict[tuple[str, str], list[tuple[bool, Age]]] = defaultdict(list)
    for run_id, lines in lines_of_runs(evidence).items():
        # The last report of a row counts: it may be unsent where a run ended while it read, and skipped later.
        last_lines = {line["source_row"]: line for line in lines}
        for line in (line for line in last_lines.values() if line["status"] != "invalid"):
            row = row_of(evidence, line)
            place = Age(row["updated_at"], (began[run_id], int(line["source_row"])))
            is_left_out = line["status"] == "skipped" and line["code"] != "duplicate_row"
            places[run_id, _identity_of(row)].append((is_left_out, place))
    found: dict[tuple[str, str], list[Age]] = defaultdict(list)
    for key, several in places.items():
        least = min(is_left_out for is_left_out, _ in several)
        found[key] = [place for is_left_out, place in several if is_left_out == least]
    return found


def _order_of_runs(evidence: Evidence) -> dict[str, int]:
    """
    Return the number of the command that staged the rows of each run.

    A run that was killed before its id was known is identified by the next `resume`.
    """
    order: dict[str, int] = {}
    last: dict[str, str] = {}
    unnamed: dict[str, int] = {}
    for number, result in enumerate(evidence.results):
        job = result.step.job
        staged_by = result.step.run_id or last.get(job)
        is_copy = result.step.verb == "rerun" and staged_by in order
        place = order[staged_by] if is_copy and staged_by else number
        if result.run_id is None:
            unnamed[job] = place
            continue
        order.setdefault(result.run_id, unnamed.get(job, place) if result.step.verb == "resume" else place)
        last[job] = result.run_id
    return order
