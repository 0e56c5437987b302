"""What must hold of `--limit`, `--max-failures`, `--max-invalid` and `--new-keys`."""

import re

from pipeline.model import DEFAULT_MAX_INVALID, RowLimit
from tests.simulation.evidence import Broken, Line, export, reports
from tests.simulation.history import AnswerContent, Evidence
from tests.simulation.platform import Entry
from tests.simulation.rows import SPOILT, SPOILT_COLUMNS
from tests.simulation.scenario import Step

_NEW_KEY = re.compile(r"-k\d+$")
_NEW_KEYS = re.compile(r"(-k\d+)+$")
_FAILED = frozenset({"invalid", "rejected", "unknown"})


def family_of(identity: str) -> str:
    """Return the key that a row had before the platform asked for another one."""
    return _NEW_KEYS.sub("", identity)


def check_options(evidence: Evidence) -> None:
    """Raise Broken with the first promise about an option that the evidence contradicts."""
    begun: dict[str, Step] = {}
    for reported in evidence.reported:
        if reported.run_id is not None:
            begun.setdefault(reported.run_id, reported.step)
    for reported, lines in reports(evidence):
        if reported.run_id is not None:
            _only_the_first_rows(reported.run_id, begun[reported.run_id], lines)
        _not_too_many_failures(evidence, reported, lines)
    _a_wrong_batch_is_not_sent(evidence)
    _a_new_key_only_where_one_was_asked_for(evidence)
    if evidence.scenario.new_keys:
        _nobody_is_still_asked_for_a_new_key(evidence)


def _only_the_first_rows(run_id: str, begun: Step, lines: list[Line]) -> None:
    """A run handles as many rows as it was begun for, also when resumed; one that reads a file, the first ones."""
    if begun.limit is None:
        return
    numbers = [int(line["source_row"]) for line in lines]
    if len(lines) > begun.limit or (begun.verb == "run" and numbers != list(range(1, len(lines) + 1))):
        raise Broken(f"{run_id}: --limit {begun.limit} took the rows {numbers}")


def _not_too_many_failures(evidence: Evidence, reported: AnswerContent, lines: list[Line]) -> None:
    """A run that comes to its end had no more failures than it may have; one that stops lets none begin any more."""
    allowed = reported.step.most_failures
    if allowed is None or reported.step.verb == "resume":
        return
    most = allowed.number * len(lines) / 100 if allowed.in_percent else allowed.number
    failed = sum(line["status"] in _FAILED for line in lines)
    # Whatever fails while a run drains that was told to end stops it no more.
    is_told_to_end = reported.step.signal_after is not None or reported.step.until_after is not None
    if reported.exit_code in (0, 3) and failed > most and not is_told_to_end:
        raise Broken(f"{reported.run_id}: {failed} rows failed, {most} may, and the run went on")
    sent = sum(line["status"] in _FAILED and line["attempts"] != "0" for line in lines)
    if sent > most + evidence.scenario.concurrency:
        raise Broken(f"{reported.run_id}: {sent} requests failed, {most} may")


def _a_wrong_batch_is_not_sent(evidence: Evidence) -> None:
    """
    Of a run with too many invalid rows no request leaves, whoever carries it, until a resume allows as many.

    A resume that is killed may have said how many or not: so all that was said of the run counts.
    """
    allowed: dict[str, list[RowLimit]] = {}
    begun: dict[str, Step] = {}
    for number, reported in enumerate(evidence.reported, 1):
        if reported.run_id is None:
            continue
        first = begun.setdefault(reported.run_id, reported.step)
        said = allowed.setdefault(reported.run_id, [reported.step.max_invalid or DEFAULT_MAX_INVALID])
        if reported.step.max_invalid is not None:
            said.append(reported.step.max_invalid)
        if first.verb == "run" and all(_is_wrong(evidence, first, limit) for limit in said):
            sent = [entry for entry in evidence.journal.entries if entry.process == number]
            if sent:
                raise Broken(f"{reported.run_id}: too many rows are invalid, and {len(sent)} requests were sent")


def _is_wrong(evidence: Evidence, begun: Step, limit: RowLimit) -> bool:
    """Tell whether more of the rows are spoilt than may be; of others the ledger may know that they are invalid."""
    rows = export(evidence, begun.job, begun.night)[: begun.limit]
    spoilt = sum(not SPOILT.isdisjoint(row[column] for column in SPOILT_COLUMNS if column in row) for row in rows)
    most = limit.number * len(rows) / 100 if limit.in_percent else limit.number
    return spoilt > most and (spoilt >= 20 or not limit.in_percent)


def _a_new_key_only_where_one_was_asked_for(evidence: Evidence) -> None:
    """A row goes out under another key only after it was refused under the one before, and never applied there."""
    for entry in evidence.journal.entries:
        before = _NEW_KEY.sub("", entry.identity)
        if before == entry.identity:
            continue
        earlier = [other for other in evidence.journal.entries if other.identity == before]
        if any(other.decided == "accepted" for other in earlier):
            raise Broken(f"{entry.identity} was sent, and {before} was applied")
        if not any(_was_told_to_take_another(other, entry.sent_at) for other in earlier):
            raise Broken(f"{entry.identity} was sent, and nobody had asked for another key than {before}")


def _was_told_to_take_another(entry: Entry, before: float) -> bool:
    return entry.decided in ("refused", "conflict") and entry.answered_at is not None and entry.answered_at <= before


def _nobody_is_still_asked_for_a_new_key(evidence: Evidence) -> None:
    """In the end every row that was refused for its key was delivered under another one."""
    for job in evidence.scenario.jobs:
        reported, lines = [(reported, lines) for reported, lines in reports(evidence) if reported.step.job == job][-1]
        refused = (line for line in lines if line["status"] == "rejected")
        asked = [line["request_key"] for line in refused if line["code"] == "IDEMPOTENT_ERROR"]
        if asked:
            raise Broken(f"{reported.run_id}: the platform still asks for other keys than {asked}")
