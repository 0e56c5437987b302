"""What a history left behind, as any user could read it: exports, reports, and the platform's own journal."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.model import Api
from tests.simulation.history import AnswerContent, Evidence
from tests.simulation.platform import Entry

Line = dict[str, str]


@dataclass(frozen=True, slots=True)
class Age:
    """How new a row is: when the export says that it changed, and where it stands, such as in which night and row."""

    changed_at: str
    place: tuple[int, int]

    def is_older(self, other: "Age") -> bool:
        """Return whether the other one is newer: by the export's own time where both have one."""
        if self.changed_at and other.changed_at and self.changed_at != other.changed_at:
            return self.changed_at < other.changed_at
        return self.place < other.place


class Broken(AssertionError):
    """A promise is broken; the text says which, and where."""


def reports(evidence: Evidence) -> Iterator[tuple[AnswerContent, list[Line]]]:
    """Yield the commands that left a report, and its lines."""
    for reported in evidence.reported:
        if reported.report is not None:
            yield reported, read(reported.report / "outcome.csv")


# The files of one history, all written by the time they are read.
@lru_cache(maxsize=64)
def read(path: Path) -> list[Line]:
    """Return the lines of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def export(evidence: Evidence, job: str, night: int) -> list[Line]:
    """Return the rows of the export of a job's night."""
    return read(evidence.folder / f"{job}-{night}.csv")


def exports(evidence: Evidence, job: str) -> list[list[Line]]:
    """Return the rows of a job's exports, night by night."""
    return [export(evidence, job, night) for night in range(1, evidence.scenario.nights + 1)]


def row_of(evidence: Evidence, line: Line) -> Line:
    """Return the row of the export that an outcome is about."""
    return read(evidence.folder / line["source_file"])[int(line["source_row"]) - 1]


def place_of(line: Line) -> tuple[int, int]:
    """Return the night and the row that an outcome is about: of one job, what comes later is newer."""
    return int(line["source_file"].rpartition("-")[2].removesuffix(".csv")), int(line["source_row"])


def lane_of(evidence: Evidence, entry: Entry) -> tuple[str, ...]:
    """Return what makes the lane of a request."""
    fields = json.loads(entry.body)
    names = {
        Api.CUMULATION: ("agreement_no", "user_id"),
        Api.STATE: ("user_id", "out_principal_id"),
        Api.POINTS: ("card_id", "user_card_code"),
    }[evidence.scenario.api]
    return tuple(str(fields.get(name)) for name in names)


def run_of(evidence: Evidence, entry: Entry) -> str:
    """Return the run that a request was sent for."""
    run_id = evidence.reported[entry.process - 1].run_id
    assert run_id is not None
    return run_id


def lines_of_runs(evidence: Evidence) -> dict[str, list[Line]]:
    """Return what all reports of each run say of its rows."""
    lines: dict[str, list[Line]] = {}
    for reported, told_lines in reports(evidence):
        if reported.run_id is not None:
            lines.setdefault(reported.run_id, []).extend(told_lines)
    return lines


def is_resynced_between(evidence: Evidence, begins: float, ends: float) -> bool:
    """Return whether the ledger was resynced between two moments."""
    resyncs = (
        reported.began_at for reported in evidence.reported if reported.step.resync and reported.run_id is not None
    )
    return any(begins <= resync <= ends for resync in resyncs)


def read_in_part(evidence: Evidence) -> set[str]:
    """Return the runs that read only the first rows of an export: of what comes behind them they know nothing."""
    return {
        reported.run_id
        for reported, lines in reports(evidence)
        if reported.run_id is not None
        and reported.step.verb != "rerun"
        and len(lines)
        < len(export(evidence, reported.step.job, place_of(lines[0])[0] if lines else reported.step.night))
    }


def that_took_effect(entries: list[Entry]) -> list[Entry]:
    """Return the requests that changed something: the platform acts on an identity once, however often it comes."""
    acted: set[str] = set()
    effective = []
    for entry in sorted(entries, key=lambda entry: entry.sent_at):
        if entry.decided == "accepted" and entry.identity not in acted:
            acted.add(entry.identity)
            effective.append(entry)
    return effective
