"""
Holding a history's evidence against the promises: inputs, reports and the platform's own journal.

It shares no code with the program; it reads the files as any user could.
"""

import json
import re
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

from pipeline.model import Api, Export
from tests.simulation.balances import check_balances
from tests.simulation.contradictions import check_contradictions
from tests.simulation.evidence import Broken, Line, export, lane_of, lines_of_runs, read, reports, row_of, run_of
from tests.simulation.history import AnswerContent, Evidence
from tests.simulation.holding import check_holding
from tests.simulation.losses import check_losses, is_excused, may_be_lost
from tests.simulation.options import check_options, family_of
from tests.simulation.platform import POISON, Entry, state_identity
from tests.simulation.states import check_states
from tests.simulation.variants import check_fixes


def check(evidence: Evidence) -> None:
    """Raise Broken with the first promise that the evidence contradicts."""
    _no_internal_error(evidence)
    _every_row_has_one_outcome(evidence)
    _the_quota_was_kept(evidence)
    if evidence.scenario.api is not Api.STATE:
        _one_key_one_body(evidence)
    _no_nonce_twice(evidence)
    _nothing_is_claimed_that_is_not_so(evidence)
    _all_that_could_be_delivered_was(evidence)
    _at_rest_nothing_is_sent(evidence)
    _refusal_of_the_caller_stops_the_run(evidence)
    _lanes_are_kept(evidence)
    _attempts_are_bounded(evidence)
    _rows_that_always_fail_stop_no_others(evidence)
    _a_short_outage_is_soon_over(evidence)
    check_options(evidence)
    check_contradictions(evidence)
    check_losses(evidence)
    check_holding(evidence)
    if evidence.scenario.fixes:
        check_fixes(evidence)
    if evidence.scenario.export is Export.ORDERS:
        _no_refund_before_its_payment(evidence)
    if evidence.scenario.export is Export.TASKS:
        _no_task_counts_in_two_forms(evidence)
    if evidence.scenario.api is Api.POINTS:
        check_balances(evidence)
    if evidence.scenario.api is Api.STATE:
        check_states(evidence)


def check_run(evidence: Evidence) -> None:
    """Raise Broken where one run by itself contradicts a promise: for histories that end with the run."""
    _no_internal_error(evidence)
    _every_row_has_one_outcome(evidence)
    _the_quota_was_kept(evidence)
    _no_nonce_twice(evidence)
    _lanes_are_kept(evidence)


_NOT_IN_PLACE = "deleted, moved or replaced"


def _no_internal_error(evidence: Evidence) -> None:
    """A command fails by itself only if it was held up, or the clock moved, until another run took its job."""
    steps = [reported.step for reported in evidence.reported]
    may_lose_its_job = any(step.frozen_after is not None or step.clock_step for step in steps)
    may_fail = [text for text, may in (("taken over", may_lose_its_job), (_NOT_IN_PLACE, evidence.losses)) if may]
    for reported in evidence.reported:
        if reported.exit_code == 1 and not any(text in (reported.error or "") for text in may_fail):
            raise Broken(f"a command failed: {reported.error}")


# What a fix makes of a key.
_FIXED = re.compile(r"(f\d+)+$")
# An outage of two seconds costs at most ten.
_LONGEST_PAUSE_AFTER_SHORT_OUTAGE = 8.0
_STATUSES = {"succeeded", "skipped", "invalid", "rejected", "unknown", "blocked", "unsent"}


def _every_row_has_one_outcome(evidence: Evidence) -> None:
    for reported, lines in reports(evidence):
        summary = _summary(reported)
        counts = summary["counts"]
        if sum(counts.values()) != summary["rows"] or summary["rows"] != len(lines):
            raise Broken(f"{reported.run_id}: counts {counts}, rows {summary['rows']}, lines {len(lines)}")
        numbers = [int(line["source_row"]) for line in lines]
        if numbers != sorted(set(numbers)):
            raise Broken(f"{reported.run_id}: a row has two outcomes, or the order is not the source's: {numbers}")
        if {line["status"] for line in lines} - _STATUSES:
            raise Broken(f"{reported.run_id}: a status that is none")
        expected = len(export(evidence, reported.step.job, reported.step.night)[: reported.step.limit])
        # Too many rows at fault end a run while it reads.
        has_read = reported.exit_code in (0, 3) or (reported.exit_code == 4 and reported.step.most_failures is None)
        if reported.step.verb == "run" and has_read and len(lines) != expected:
            raise Broken(f"{reported.run_id}: {len(lines)} outcomes of {expected} rows")


def _summary(reported: AnswerContent) -> dict[str, Any]:
    assert reported.report is not None
    summary: dict[str, Any] = json.loads((reported.report / "summary.json").read_bytes())
    return summary


def _the_quota_was_kept(evidence: Evidence) -> None:
    limit = evidence.scenario.limit
    arrived = [entry.arrived_at for entry in evidence.journal.entries]
    for n, first in enumerate(arrived):
        last = n + int(limit or 0)
        if limit is not None and last < len(arrived) and arrived[last] < first + 1.0:
            raise Broken(f"{int(limit) + 1} requests within {arrived[last] - first:.4f} s at {first:.3f}")


def _one_key_one_body(evidence: Evidence) -> None:
    """
    A key keeps its body, unless that was refused for good and told so: then the row may come back mended.

    A ledger that was lost can't tell that an export of another night says something else under the key.
    """
    bodies: dict[str, str] = {}
    for entry in sorted(evidence.journal.entries, key=lambda entry: entry.sent_at):
        body = bodies.setdefault(entry.identity, entry.body)
        if body != entry.body:
            if not _is_free_again(evidence, entry.identity, body, entry.sent_at):
                raise Broken(f"key {entry.identity} was sent with two bodies, the second at {entry.sent_at}")
            bodies[entry.identity] = entry.body


def _is_free_again(evidence: Evidence, identity: str, body: str, before: float) -> bool:
    # What is refused now may be taken later.
    sent = (e for e in evidence.journal.entries if e.sent_at <= before)
    same = [e for e in sent if e.identity == identity and e.body == body]
    reported = any(e.decided in ("refused", "conflict") and (e.answered_at or before) <= before for e in same)
    is_forgotten = all(may_be_lost(evidence, entry, before) for entry in same)
    return is_forgotten or (reported and all(entry.decided != "accepted" for entry in same))


def _no_nonce_twice(evidence: Evidence) -> None:
    nonces = [entry.nonce for entry in evidence.journal.entries]
    if len(nonces) != len(set(nonces)):
        raise Broken("a nonce was used twice")


def _nothing_is_claimed_that_is_not_so(evidence: Evidence) -> None:
    """Succeeded means applied; invalid, rejected, unsent and blocked mean that this run's request was not."""
    families: dict[str, list[Entry]] = defaultdict(list)
    for entry in evidence.journal.entries:
        families[family_of(entry.identity)].append(entry)
    for reported, lines in reports(evidence):
        for line in lines:
            for identity in _identities(evidence, line):
                _hold(evidence, reported, line, identity, families[family_of(identity)])


def _hold(evidence: Evidence, reported: AnswerContent, line: Line, identity: str, family: list[Entry]) -> None:
    """Hold a line against the requests under its key, and under those that this one led to, or came from."""
    entries = [e for e in family if e.identity == identity]
    accepted = [e for e in entries if e.decided == "accepted"]
    is_confirmed = any(e.answered for e in family if e.decided == "accepted")
    where = f"{reported.run_id} row {line['source_row']} ({identity}): "
    if line["status"] == "succeeded" and not is_confirmed:
        raise Broken(where + "succeeded, and the platform never confirmed it")
    if line["code"] == "already_succeeded" and not is_confirmed:
        raise Broken(where + "already succeeded, and the platform never confirmed it")
    if line["status"] in ("rejected", "unsent", "blocked") and evidence.scenario.api is not Api.STATE:
        # What was applied after this command ended is another run's doing, and after a refusal, which is final.
        asked = [e.sent_at for e in entries if run_of(evidence, e) == reported.run_id]
        last = max(asked) if asked and line["status"] == "rejected" else reported.ended_at
        mine = [e for e in accepted if e.sent_at < reported.ended_at and e.sent_at <= last]
        mine = [e for e in mine if not is_excused(evidence, e, reported, line["status"])]
        # The platform was asked for other content under this key, or answered so itself.
        if mine and not any(entry.decided == "conflict" for entry in entries):
            raise Broken(where + f"{line['status']} {line['code']}, and the platform applied it")


def _identities(evidence: Evidence, line: Line) -> list[str]:
    key, row = line["request_key"], row_of(evidence, line)
    if evidence.scenario.export is Export.STATES:
        return [state_identity(row)]
    if evidence.scenario.export is Export.TASKS and row["times"] == "3":
        return [f"{key}-{n}" for n in (1, 2, 3)] if line["status"] == "succeeded" else []
    return [key] if key else []


def _all_that_could_be_delivered_was(evidence: Evidence) -> None:
    """In the end no row is left unknown or unsent, and what is left has its cause in the row or the platform."""
    for job in evidence.scenario.jobs:
        last = [reported for reported in evidence.reported if reported.step.job == job and reported.report is not None][
            -1
        ]
        assert last.report is not None
        for line in read(last.report / "outcome.csv"):
            if line["status"] in ("unknown", "unsent") and not _is_refused_in_doubt(evidence, line):
                raise Broken(f"{last.run_id} row {line['source_row']} is still {line['status']} {line['code']}")
            if line["status"] == "blocked" and not _has_cause(evidence, line):
                raise Broken(f"{last.run_id} row {line['source_row']} is blocked without cause")


def _is_refused_in_doubt(evidence: Evidence, line: Line) -> bool:
    """
    Return whether the platform refuses what it may have applied: then only a person can tell, and the row stays open.

    Rows that it always fails on stay open, too; where there are no others, a run may take that for an outage.
    """
    row = row_of(evidence, line)
    refusal = evidence.scenario.refusals.get(row[next(iter(row))])
    # A lost ledger can't tell that the key was delivered with what an export of another night says.
    is_contradiction = bool(evidence.losses) and line["code"] == "IDEMPOTENT_ERROR"
    if line["status"] == "unknown":
        return refusal is not None or is_contradiction
    return refusal == POISON


def _has_cause(evidence: Evidence, line: Line) -> bool:
    row = row_of(evidence, line)
    if evidence.scenario.export is Export.STATES:
        return row["out_biz_no"] in evidence.scenario.refusals
    paid = row.get("pay_out_biz_no", "")
    # A payment may stand under another key that was lost: that it is refused then leaves it in doubt.
    is_in_doubt = bool(evidence.losses) and paid in evidence.scenario.refusals
    return is_in_doubt or paid not in map(family_of, evidence.journal.applied)


def _at_rest_nothing_is_sent(evidence: Evidence) -> None:
    if evidence.scenario.api is Api.STATE:
        # An object whose states come back within one export goes through them again: the last one decides.
        return
    for job in evidence.scenario.jobs:
        last = [reported for reported in evidence.reported if reported.step.job == job][-1]
        fresh = evidence.journal.entries[last.requests_before : last.requests_after]
        repeated = [entry for entry in fresh if entry.decided not in ("refused", "conflict", "poisoned")]
        if repeated:
            raise Broken(f"{last.run_id}: all was delivered, and {len(repeated)} requests were sent again")


def _refusal_of_the_caller_stops_the_run(evidence: Evidence) -> None:
    by_process: dict[int, list[Entry]] = defaultdict(list)
    for entry in evidence.journal.entries:
        by_process[entry.process].append(entry)
    for entries in by_process.values():
        refused = [entry for entry in entries if entry.decided == "caller_refused"]
        first = entries.index(refused[0]) if refused else 0
        if len(refused) > (3 if first == 0 else evidence.scenario.concurrency + 2):
            raise Broken(f"the caller was refused {len(refused)} times in one run")


def _attempts_are_bounded(evidence: Evidence) -> None:
    """No command sends a row more often than the job allows, also while it probes."""
    if evidence.scenario.api is Api.STATE:
        # A state may come back, and is then sent again.
        return
    made = Counter((entry.process, entry.identity) for entry in evidence.journal.entries)
    for (_, identity), attempts in made.items():
        if attempts > evidence.scenario.max_attempts:
            raise Broken(f"{identity} was sent {attempts} times by one command")


def _rows_that_always_fail_stop_no_others(evidence: Evidence) -> None:
    """In calm weather a run stops only where all rows that it leaves unsent are such that the platform always fails."""
    for reported, lines in reports(evidence):
        if reported.began_at < evidence.calm_since or reported.exit_code != 4:
            continue
        for line in (line for line in lines if line["status"] == "unsent"):
            row = row_of(evidence, line)
            if evidence.scenario.refusals.get(row[next(iter(row))]) != POISON:
                raise Broken(f"{reported.run_id} row {line['source_row']} is unsent, since other rows failed")


def _a_short_outage_is_soon_over(evidence: Evidence) -> None:
    """A run at full speed goes on within some seconds of the end of a short outage."""
    if evidence.scenario.other_rate is None:
        return
    for storm in evidence.scenario.storms:
        after = [entry.arrived_at for entry in evidence.journal.entries if entry.arrived_at >= storm.ends]
        if after and after[0] > storm.ends + _LONGEST_PAUSE_AFTER_SHORT_OUTAGE:
            raise Broken(
                f"an outage of {storm.ends - storm.begins:.1f} s was followed by {after[0] - storm.ends:.1f} s"
            )


def _lanes_are_kept(evidence: Evidence) -> None:
    """Of one lane a process has one request under way at a time."""
    lanes: dict[tuple[object, ...], list[Entry]] = defaultdict(list)
    for entry in evidence.journal.entries:
        lanes[(entry.process, *lane_of(evidence, entry))].append(entry)
    for lane in lanes.values():
        lane.sort(key=lambda entry: entry.sent_at)
        for before, after in pairwise(lane):
            if before.answered_at is not None and after.sent_at < before.answered_at:
                raise Broken(f"two requests of one lane at once: {before.identity} and {after.identity}")


def _no_refund_before_its_payment(evidence: Evidence) -> None:
    entries = evidence.journal.entries
    known_at = _known_keys(evidence)
    for entry in entries:
        fields = json.loads(entry.body)
        paid = fields.get("pay_out_biz_no", "")
        known = known_at.get(family_of(paid), float("inf")) <= entry.sent_at
        if fields["biz_action"] == "ORDER_REFUND" and known:
            # A payment may be fixed under another key; its refund is then refused, since it names the first one.
            confirmed = [
                e for e in entries if _FIXED.sub("", e.identity) == paid and e.decided == "accepted" and e.answered
            ]
            if not any(e.answered_at is not None and e.answered_at <= entry.sent_at for e in confirmed):
                raise Broken(f"refund {entry.key} was sent before its payment {paid} was confirmed")


def _known_keys(evidence: Evidence) -> dict[str, float]:
    """
    Return since when each key is known, in virtual seconds: since a run with that row had read all of its rows.

    A run that sent something had, since nothing leaves before, and one that came to its end. One that was refused has
    read nothing, and one that ended while it read keeps none of its rows.
    """
    read_at: dict[str, float] = {}
    for entry in evidence.journal.entries:
        _note_earlier(read_at, run_of(evidence, entry), entry.sent_at)
    for reported in evidence.reported:
        if reported.run_id is not None and reported.exit_code in (0, 3):
            _note_earlier(read_at, reported.run_id, reported.ended_at)
    known_at: dict[str, float] = {}
    for run_id, lines in lines_of_runs(evidence).items():
        for line in lines:
            _note_earlier(known_at, row_of(evidence, line)["out_biz_no"], read_at.get(run_id, float("inf")))
    return known_at


def _note_earlier(moments: dict[str, float], name: str, moment: float) -> None:
    moments[name] = min(moment, moments.get(name, moment))


def _no_task_counts_in_two_forms(evidence: Evidence) -> None:
    """A task is applied under its key, or under numbered ones, and not under both, as far as the ledger knows."""
    end = float("inf")
    lost = {entry.identity for entry in evidence.journal.entries if may_be_lost(evidence, entry, end)}
    applied = evidence.journal.applied.keys() - lost
    for numbered in (identity for identity in applied if "-" in identity):
        if numbered.rpartition("-")[0] in applied:
            raise Broken(f"{numbered} was applied, and so was the key that it is a number of")
