"""What a history leaves behind, as a user could read it: exports, reports, and the platform's journal."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.model import Api
from tests.simulation.history import CommandResult, Evidence
from tests.simulation.platform import Entry

Line = dict[str, str]


@dataclass(frozen=True, slots=True)
class Age:
    """How new a row is: its time of change in the export, and its place, for example day and row."""

    changed_at: str
    place: tuple[int, int]

    def is_older(self, other: "Age") -> bool:
        """Return whether the other one is newer: by the time of change if both have one, else by place."""
        if self.changed_at and other.changed_at and self.changed_at != other.changed_at:
            return self.changed_at < other.changed_at
        return self.place < other.place


class Broken(AssertionError):
    """A promise is broken; the text says which, and where."""


def reports(evidence: Evidence) -> Iterator[tuple[CommandResult, list[Line]]]:
    """Yield each command that left a report, and its lines."""
    for result in evidence.results:
        if result.report is not None:
            yield result, read(result.report / "outcome.csv")


def summary_of(result: CommandResult) -> dict[str, Any]:
    """Return the summary in the report of a command."""
    assert result.report is not None
    summary: dict[str, Any] = json.loads((result.report / "summary.json").read_bytes())
    return summary


# All files of a history are written before they are read.
@lru_cache(maxsize=64)
def read(path: Path) -> list[Line]:
    """Return the lines of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def export(evidence: Evidence, job: str, day: int) -> list[Line]:
    """Return the rows of a job's export of one day."""
    return read(evidence.folder / f"{job}-{day}.csv")


def exports(evidence: Evidence, job: str) -> list[list[Line]]:
    """Return the rows of a job's exports, day by day."""
    return [export(evidence, job, day) for day in range(1, evidence.scenario.days + 1)]


def row_of(evidence: Evidence, line: Line) -> Line:
    """Return the row of the export that an outcome is about."""
    return read(evidence.folder / line["source_file"])[int(line["source_row"]) - 1]


def place_of(line: Line) -> tuple[int, int]:
    """Return day and row of an outcome."""
    return int(line["source_file"].rpartition("-")[2].removesuffix(".csv")), int(line["source_row"])


def lane_of(evidence: Evidence, entry: Entry) -> tuple[str, ...]:
    """Return the fields of a request that define its lane."""
    fields = json.loads(entry.body)
    names = {
        Api.CUMULATION: ("agreement_no", "user_id"),
        Api.STATE: ("user_id", "out_principal_id"),
        Api.POINTS: ("card_id", "user_card_code"),
        Api.BRAND_POINTS: ("card_id", "user_card_code"),
    }[evidence.scenario.api]
    return tuple(str(fields.get(name)) for name in names)


def joined_lanes(evidence: Evidence, run_id: str, lanes: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Return some lanes of a run, with all that are one with them: states of one number go one after another."""
    if evidence.scenario.api is not Api.STATE:
        return lanes
    lanes_of: dict[str, set[tuple[str, ...]]] = {}
    for line in lines_of_runs(evidence).get(run_id, []):
        # An invalid row is in no lane.
        if line["status"] != "invalid":
            row = row_of(evidence, line)
            lanes_of.setdefault(row["out_biz_no"], set()).add((row["user_id"], row["out_principal_id"]))
    while joined := set().union(*(each for each in lanes_of.values() if each & lanes)) - lanes:
        lanes = lanes | joined
    return lanes


def run_of(evidence: Evidence, entry: Entry) -> str:
    """Return the run that sent a request."""
    run_id = evidence.results[entry.process - 1].run_id
    assert run_id is not None
    return run_id


def lines_of_runs(evidence: Evidence) -> dict[str, list[Line]]:
    """Return the outcomes of each run, from all its reports."""
    lines: dict[str, list[Line]] = {}
    for result, of_report in reports(evidence):
        if result.run_id is not None:
            lines.setdefault(result.run_id, []).extend(of_report)
    return lines


def is_resynced_between(evidence: Evidence, begins: float, ends: float) -> bool:
    """Return whether the ledger was resynced between two times."""
    resyncs = (result.began_at for result in evidence.results if result.step.resync and result.run_id is not None)
    return any(begins <= resync <= ends for resync in resyncs)


def read_in_part(evidence: Evidence) -> set[str]:
    """Return the runs that read only the first rows of an export, and the reruns of these: they have no other rows."""
    in_part: set[str] = set()
    parents: dict[str, str] = {}
    for result, lines in reports(evidence):
        if result.run_id is None:
            continue
        # A rerun has some rows of its parent. It may be resumed, so its command does not show what it is.
        parent = summary_of(result)["parent"]
        if parent is not None:
            parents[result.run_id] = parent
        elif len(lines) < len(export(evidence, result.step.job, place_of(lines[0])[0] if lines else result.step.day)):
            in_part.add(result.run_id)
    return in_part | {run_id for run_id in parents if _first_run(run_id, parents) in in_part}


def _first_run(run_id: str, parents: dict[str, str]) -> str:
    """Return the run that read the rows of a rerun from an export; a rerun may itself be rerun."""
    while run_id in parents:
        run_id = parents[run_id]
    return run_id


def effective_requests(entries: list[Entry]) -> list[Entry]:
    """Return the requests that changed something: the platform applies an identity once."""
    acted: set[str] = set()
    effective = []
    for entry in sorted(entries, key=lambda entry: entry.sent_at):
        if entry.decided == "accepted" and entry.identity not in acted:
            acted.add(entry.identity)
            effective.append(entry)
    return effective
