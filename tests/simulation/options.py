"""Promises about `--limit`, `--max-failures`, `--max-invalid` and `--new-keys`."""

import re

from pipeline.model import DEFAULT_MAX_INVALID, RowLimit
from tests.simulation.evidence import Broken, Line, export, read, reports
from tests.simulation.history import CommandResult, Evidence
from tests.simulation.platform import Entry
from tests.simulation.rows import SPOILT, SPOILT_COLUMNS
from tests.simulation.scenario import Step

_NEW_KEY = re.compile(r"-k\d+$")
_NEW_KEYS = re.compile(r"(-k\d+)+$")
_FAILED = frozenset({"invalid", "rejected", "unknown"})


def family_of(identity: str) -> str:
    """Return the first key of a row, before any new key."""
    return _NEW_KEYS.sub("", identity)


def check_options(evidence: Evidence) -> None:
    """Raise Broken for the first promise about an option that the evidence contradicts."""
    begun: dict[str, Step] = {}
    for result in evidence.results:
        if result.run_id is not None:
            begun.setdefault(result.run_id, result.step)
    for result, lines in reports(evidence):
        if result.run_id is not None:
            _only_the_first_rows(result.run_id, begun[result.run_id], lines)
        _not_too_many_failures(evidence, result, lines)
    _a_wrong_batch_is_not_sent(evidence)
    _new_keys_only_on_request(evidence)
    if evidence.scenario.new_keys:
        _no_request_for_a_new_key_is_left(evidence)


def _only_the_first_rows(run_id: str, begun: Step, lines: list[Line]) -> None:
    """A run handles at most `--limit` rows, also when resumed; a run over a file handles the first ones."""
    if begun.limit is None:
        return
    numbers = [int(line["source_row"]) for line in lines]
    if len(lines) > begun.limit or (begun.verb == "run" and numbers != list(range(1, len(lines) + 1))):
        raise Broken(f"{run_id}: --limit {begun.limit} took the rows {numbers}")


def _not_too_many_failures(evidence: Evidence, result: CommandResult, lines: list[Line]) -> None:
    """A completed run has no more failures than allowed. A stopping run starts no new requests."""
    allowed = result.step.most_failures
    if allowed is None or result.step.verb == "resume":
        return
    most = allowed.number * len(lines) / 100 if allowed.in_percent else allowed.number
    failed = sum(line["status"] in _FAILED for line in lines)
    # Failures while a run drains do not stop it again.
    ends_early = result.step.signal_after is not None or result.step.until_after is not None
    if result.exit_code in (0, 3) and failed > most and not ends_early:
        raise Broken(f"{result.run_id}: {failed} rows failed, {most} may, and the run went on")
    sent = [line for line in lines if line["status"] in _FAILED and line["attempts"] != "0"]
    ended = sum(not _is_cut_short(evidence, line) for line in sent)
    if ended > most + evidence.scenario.concurrency:
        raise Broken(f"{result.run_id}: {ended} requests failed, {most} may")


def _is_cut_short(evidence: Evidence, line: Line) -> bool:
    """
    Return whether a row had attempts left when its run ended.

    In an outage each probe may be of another row. None of them has failed while it may still be delivered, so there may
    be more of them than failures are allowed.
    """
    return line["status"] == "unknown" and int(line["attempts"]) < evidence.scenario.max_attempts


def _a_wrong_batch_is_not_sent(evidence: Evidence) -> None:
    """
    No request leaves for a run with too many invalid rows, until a resume allows as many.

    A killed resume may or may not have stored its limit, so all limits given for the run count.
    """
    allowed: dict[str, list[RowLimit]] = {}
    begun: dict[str, Step] = {}
    for number, result in enumerate(evidence.results, 1):
        if result.run_id is None:
            continue
        first = begun.setdefault(result.run_id, result.step)
        said = allowed.setdefault(result.run_id, [result.step.max_invalid or DEFAULT_MAX_INVALID])
        if result.step.max_invalid is not None:
            said.append(result.step.max_invalid)
        if first.verb == "run" and all(_is_wrong(evidence, first, limit) for limit in said):
            sent = [entry for entry in evidence.journal.entries if entry.process == number]
            if sent and not _has_fixed_rows(result):
                raise Broken(f"{result.run_id}: too many rows are invalid, and {len(sent)} requests were sent")


def _has_fixed_rows(result: CommandResult) -> bool:
    """Return whether a run skipped rows whose fix was delivered: these are not invalid, whatever they say."""
    return result.report is not None and any(
        line["code"] == "fixed_already" for line in read(result.report / "outcome.csv")
    )


def _is_wrong(evidence: Evidence, begun: Step, limit: RowLimit) -> bool:
    """Return whether more rows are spoilt than allowed; the ledger may know of further invalid ones."""
    rows = export(evidence, begun.job, begun.day)[: begun.limit]
    spoilt = sum(not SPOILT.isdisjoint(row[column] for column in SPOILT_COLUMNS if column in row) for row in rows)
    most = limit.number * len(rows) / 100 if limit.in_percent else limit.number
    return spoilt > most and (spoilt >= 20 or not limit.in_percent)


def _new_keys_only_on_request(evidence: Evidence) -> None:
    """A row is sent under another key only after it was refused under the one before, and never applied there."""
    for entry in evidence.journal.entries:
        before = _NEW_KEY.sub("", entry.identity)
        if before == entry.identity:
            continue
        earlier = [other for other in evidence.journal.entries if other.identity == before]
        if any(other.decided == "accepted" for other in earlier):
            raise Broken(f"{entry.identity} was sent, and {before} was applied")
        if not any(_was_refused_for_its_key(other, entry.sent_at) for other in earlier):
            raise Broken(f"{entry.identity} was sent, and the platform had not asked for another key than {before}")


def _was_refused_for_its_key(entry: Entry, before: float) -> bool:
    return entry.decided in ("refused", "conflict") and entry.answered_at is not None and entry.answered_at <= before


def _no_request_for_a_new_key_is_left(evidence: Evidence) -> None:
    """At the end each row that was refused for its key was delivered under another one."""
    for job in evidence.scenario.jobs:
        result, lines = [(result, lines) for result, lines in reports(evidence) if result.step.job == job][-1]
        refused = (line for line in lines if line["status"] == "rejected")
        refused_keys = [line["request_key"] for line in refused if line["code"] == "IDEMPOTENT_ERROR"]
        if refused_keys:
            raise Broken(f"{result.run_id}: the platform still asks for other keys than {refused_keys}")
