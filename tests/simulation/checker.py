"""
Checks the evidence of a history against the promises: inputs, reports and the platform's journal.

It shares no code with the program, and reads the files as a user could.
"""

import json
import re
from collections import Counter, defaultdict
from itertools import groupby, pairwise

from pipeline.model import Api, Export
from tests.simulation.balances import check_balances
from tests.simulation.contradictions import check_contradictions
from tests.simulation.evidence import (
    Broken,
    Line,
    export,
    joined_lanes,
    lane_of,
    lines_of_runs,
    read,
    reports,
    row_of,
    run_of,
    summary_of,
)
from tests.simulation.history import CommandResult, Evidence
from tests.simulation.leases import check_leases
from tests.simulation.losses import check_losses, is_excused, may_be_lost
from tests.simulation.options import check_options, family_of
from tests.simulation.platform import POISON, Entry, state_identity
from tests.simulation.prunes import check_prunes
from tests.simulation.states import check_states
from tests.simulation.totals import check_totals
from tests.simulation.variants import check_fixes, says


def check(evidence: Evidence) -> None:
    """Raise Broken for the first promise that the evidence contradicts."""
    _no_internal_error(evidence)
    _every_row_has_one_outcome(evidence)
    _the_quota_was_kept(evidence)
    if evidence.scenario.api is not Api.STATE:
        _one_key_one_body(evidence)
    _no_nonce_twice(evidence)
    _reported_statuses_are_true(evidence)
    _all_deliverable_rows_are_delivered(evidence)
    _at_rest_nothing_is_sent(evidence)
    _refusal_of_the_caller_stops_the_run(evidence)
    _lanes_are_kept(evidence)
    _attempts_are_bounded(evidence)
    _failing_rows_stop_no_others(evidence)
    _a_probe_is_of_another_row(evidence)
    _a_short_outage_is_soon_over(evidence)
    check_options(evidence)
    check_contradictions(evidence)
    check_losses(evidence)
    check_leases(evidence)
    check_prunes(evidence)
    if evidence.scenario.fixes:
        check_fixes(evidence)
    if evidence.scenario.api is Api.CUMULATION:
        check_totals(evidence)
    if evidence.scenario.export is Export.ORDERS:
        _no_refund_before_its_payment(evidence)
    if evidence.scenario.export is Export.TASKS:
        _no_task_counts_in_two_forms(evidence)
    if evidence.scenario.api.sends_balances:
        check_balances(evidence)
    if evidence.scenario.api is Api.STATE:
        check_states(evidence)


def check_run(evidence: Evidence) -> None:
    """Raise Broken if one run breaks a promise, for histories that end with the run."""
    _no_internal_error(evidence)
    _every_row_has_one_outcome(evidence)
    _the_quota_was_kept(evidence)
    _no_nonce_twice(evidence)
    _lanes_are_kept(evidence)


# Errors of a run that lost its job, and of one whose ledger is another one: in a file, and on a server.
_OF_TAKEOVERS = ("taken over", "held up for longer than its lease")
_OF_LOSSES = ("deleted, moved or replaced", "it was overwritten", "has lost commits", *_OF_TAKEOVERS)


def _no_internal_error(evidence: Evidence) -> None:
    """A command fails only if it lost its job while it was held up, or its clock moved, or its ledger was lost."""
    steps = [result.step for result in evidence.results]
    may_lose_its_job = any(step.frozen_after is not None or step.clock_step for step in steps)
    may_fail = [*(_OF_LOSSES if evidence.losses else ()), *(_OF_TAKEOVERS if may_lose_its_job else ())]
    for result in evidence.results:
        if result.exit_code == 1 and not any(text in (result.error or "") for text in may_fail):
            raise Broken(f"a command failed: {result.error}")


# The suffix that a fix adds to a key.
_FIXED = re.compile(r"(f\d+)+$")
# Seconds without a request after an outage of up to 2 s.
_LONGEST_PAUSE_AFTER_SHORT_OUTAGE = 8.0
_STATUSES = {"succeeded", "skipped", "invalid", "rejected", "unknown", "blocked", "unsent"}


def _every_row_has_one_outcome(evidence: Evidence) -> None:
    for result, lines in reports(evidence):
        summary = summary_of(result)
        counts = summary["counts"]
        if sum(counts.values()) != summary["rows"] or summary["rows"] != len(lines):
            raise Broken(f"{result.run_id}: counts {counts}, rows {summary['rows']}, lines {len(lines)}")
        numbers = [int(line["source_row"]) for line in lines]
        if numbers != sorted(set(numbers)):
            raise Broken(f"{result.run_id}: a row has two outcomes, or the order is not the source's: {numbers}")
        if {line["status"] for line in lines} - _STATUSES:
            raise Broken(f"{result.run_id}: an unknown status")
        expected = len(export(evidence, result.step.job, result.step.day)[: result.step.limit])
        # A run with too many failures may end while it reads.
        has_read = result.exit_code in (0, 3) or (result.exit_code == 4 and result.step.most_failures is None)
        if result.step.verb == "run" and has_read and len(lines) != expected:
            raise Broken(f"{result.run_id}: {len(lines)} outcomes of {expected} rows")


def _the_quota_was_kept(evidence: Evidence) -> None:
    """Requests never exceed the program's share of the quota; with a share they leave the rest to the online system."""
    scenario = evidence.scenario
    limit = None if scenario.limit is None else round(scenario.limit * scenario.share, 6)
    if scenario.share < 1 and evidence.journal.over_quota:
        raise Broken(f"{evidence.journal.over_quota} requests were throttled with a share of {scenario.share}")
    arrived = sorted([*(entry.arrived_at for entry in evidence.journal.entries), *evidence.journal.queried])
    for n, first in enumerate(arrived):
        last = n + int(limit or 0)
        if limit is not None and last < len(arrived) and arrived[last] < first + 1.0:
            raise Broken(f"{int(limit) + 1} requests within {arrived[last] - first:.4f} s at {first:.3f}")


def _one_key_one_body(evidence: Evidence) -> None:
    """
    A key keeps its body until it is refused and the refusal was received. Then the row may be fixed.

    A lost ledger cannot notice that an export of another day has other content under the key.
    """
    bodies: dict[str, str] = {}
    for entry in sorted(evidence.journal.entries, key=lambda entry: entry.sent_at):
        body = bodies.setdefault(entry.identity, entry.body)
        if body != entry.body:
            if not _is_free_again(evidence, entry.identity, body, entry.sent_at):
                raise Broken(f"key {entry.identity} was sent with two bodies, the second at {entry.sent_at}")
            bodies[entry.identity] = entry.body


def _is_free_again(evidence: Evidence, identity: str, body: str, before: float) -> bool:
    # A request that is refused now may be accepted later.
    sent = (e for e in evidence.journal.entries if e.sent_at <= before)
    same = [e for e in sent if e.identity == identity and e.body == body]
    was_refused = any(e.decided in ("refused", "conflict") and (e.answered_at or before) <= before for e in same)
    is_forgotten = all(may_be_lost(evidence, entry, before) for entry in same)
    return is_forgotten or (was_refused and all(entry.decided != "accepted" for entry in same))


def _no_nonce_twice(evidence: Evidence) -> None:
    nonces = [entry.nonce for entry in evidence.journal.entries]
    if len(nonces) != len(set(nonces)):
        raise Broken("a nonce was used twice")


def _reported_statuses_are_true(evidence: Evidence) -> None:
    """`succeeded` means applied; `invalid`, `rejected`, `unsent` and `blocked` mean not applied by this run."""
    families: dict[str, list[Entry]] = defaultdict(list)
    for entry in evidence.journal.entries:
        families[family_of(entry.identity)].append(entry)
    for result, lines in reports(evidence):
        for line in lines:
            for identity in _identities(evidence, line):
                _check_line(evidence, result, line, identity, families[family_of(identity)])


def _check_line(evidence: Evidence, result: CommandResult, line: Line, identity: str, family: list[Entry]) -> None:
    """Check an outcome against the requests under its key, and under keys made from it or that it was made from."""
    entries = [e for e in family if e.identity == identity]
    accepted = [e for e in entries if e.decided == "accepted"]
    listed = evidence.journal.listed
    is_confirmed = any(e.answered or e.identity in listed for e in family if e.decided == "accepted")
    where = f"{result.run_id} row {line['source_row']} ({identity}): "
    if line["status"] == "succeeded" and not is_confirmed:
        raise Broken(where + "succeeded, and the platform never confirmed it")
    if line["code"] == "reconciled" and evidence.journal.applied.get(identity) not in {e.body for e in accepted}:
        raise Broken(where + "reconciled, and the platform never applied it with this body")
    if line["code"] == "already_succeeded" and not is_confirmed:
        raise Broken(where + "already succeeded, and the platform never confirmed it")
    if line["status"] in ("rejected", "unsent", "blocked") and evidence.scenario.api is not Api.STATE:
        # Requests after this command ended, or after a final refusal, are of another run.
        sent_at = [e.sent_at for e in entries if run_of(evidence, e) == result.run_id]
        ended_at = _sent_until(evidence, result)
        last = max(sent_at) if sent_at and line["status"] == "rejected" else ended_at
        mine = [e for e in accepted if e.sent_at < ended_at and e.sent_at <= last]
        mine = [e for e in mine if not is_excused(evidence, e, result, line["status"])]
        if line["code"] == "fix_open" or (evidence.scenario.fixes and line["code"] == "too_many_invalid"):
            # A person may fix a row under its key, also twice. The row or fix that waits was not sent. What the
            # platform applied under the key is the other one, unless it says the same in the same bytes.
            row = row_of(evidence, line)
            mine = [e for e in mine if says(e, row) and not _may_be_mapped_otherwise(evidence, result, e)]
        # The platform saw other content under this key, or says so.
        if mine and not any(entry.decided == "conflict" for entry in entries):
            raise Broken(where + f"{line['status']} {line['code']}, and the platform applied it")


def _may_be_mapped_otherwise(evidence: Evidence, result: CommandResult, entry: Entry) -> bool:
    """Return whether a run may have mapped its rows with other constants than a request has. A rerun copies rows."""
    of_run = [each.step for each in evidence.results if each.run_id == result.run_id]
    steps = [each.step for each in evidence.results] if of_run[0].verb == "rerun" else of_run
    return {step.changed_mapping for step in steps} != {'"name":"changed"' in entry.body}


def _sent_until(evidence: Evidence, result: CommandResult) -> float:
    """Return when the last command ended that could send for a report's run: a reconciliation sends nothing."""
    if result.step.verb != "reconcile":
        return result.ended_at
    of_run = (each for each in evidence.results if each.run_id == result.run_id and each.step.verb != "reconcile")
    # A command that was frozen may end later, and sends nothing after it lost its job.
    return max((each.ended_at for each in of_run if each.ended_at <= result.ended_at), default=result.ended_at)


def _identities(evidence: Evidence, line: Line) -> list[str]:
    key, row = line["request_key"], row_of(evidence, line)
    if evidence.scenario.export is Export.STATES:
        return [state_identity(row)]
    if evidence.scenario.export is Export.TASKS and row["times"] == "3":
        return [f"{key}-{n}" for n in (1, 2, 3)] if line["status"] == "succeeded" else []
    return [key] if key else []


def _all_deliverable_rows_are_delivered(evidence: Evidence) -> None:
    """At the end no row is unknown or unsent, and a blocked row has its cause in the row or the platform."""
    for job in evidence.scenario.jobs:
        last = [result for result in evidence.results if result.step.job == job and result.report is not None][-1]
        assert last.report is not None
        for line in read(last.report / "outcome.csv"):
            if line["status"] in ("unknown", "unsent") and not _is_refused_in_doubt(evidence, line):
                raise Broken(f"{last.run_id} row {line['source_row']} is still {line['status']} {line['code']}")
            if line["status"] == "blocked" and not _has_cause(evidence, line):
                raise Broken(f"{last.run_id} row {line['source_row']} is blocked without cause")


def _is_refused_in_doubt(evidence: Evidence, line: Line) -> bool:
    """
    Return whether the platform refuses a request that it may have applied: the row stays open for a person.

    Rows that always fail stay open as well. Without other rows, a run may take them for an outage.
    """
    row = row_of(evidence, line)
    refusal = evidence.scenario.refusals.get(row[next(iter(row))])
    # A lost ledger cannot know that the key was delivered with the content of another day's export.
    is_contradiction = bool(evidence.losses) and line["code"] == "IDEMPOTENT_ERROR"
    if line["status"] == "unknown":
        return refusal is not None or is_contradiction
    return refusal == POISON


def _has_cause(evidence: Evidence, line: Line) -> bool:
    row = row_of(evidence, line)
    if evidence.scenario.export is Export.STATES:
        return row["out_biz_no"] in evidence.scenario.refusals
    if line["code"] == "fix_open" and _FIXED.sub("", row[next(iter(row))]) in evidence.scenario.refusals:
        # The platform may refuse the other variant while that is in doubt.
        return True
    paid = row.get("pay_out_biz_no", "")
    # A payment may be applied under a key that was lost: its refusal then leaves it in doubt.
    is_in_doubt = bool(evidence.losses) and paid in evidence.scenario.refusals
    # A lost ledger forgets a delivered payment. Its row is then refused again, and not sent again under its key, if it
    # contradicts other rows, and may be fixed under another key, or not at all.
    accepted = [e for e in evidence.journal.entries if e.decided == "accepted" and family_of(e.identity) == paid]
    return is_in_doubt or all(may_be_lost(evidence, entry, float("inf")) for entry in accepted)


def _at_rest_nothing_is_sent(evidence: Evidence) -> None:
    if evidence.scenario.trusted_for is not None:
        # Balances that others send too are sent each time.
        return
    for job in evidence.scenario.jobs:
        before, last = [result for result in evidence.results if result.step.job == job][-2:]
        if evidence.scenario.api is Api.STATE and before.exit_code != 0:
            # A state behind one that was refused may be sent again.
            continue
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
    """No command sends a row more often than `max_attempts`, also while it probes."""
    if evidence.scenario.api is Api.STATE:
        # A state may come back, and is then sent again.
        return
    made = Counter((entry.process, entry.identity) for entry in evidence.journal.entries)
    for (_, identity), attempts in made.items():
        if attempts > evidence.scenario.max_attempts:
            raise Broken(f"{identity} was sent {attempts} times by one command")


def _failing_rows_stop_no_others(evidence: Evidence) -> None:
    """Without faults a run stops only if all its unsent rows always fail."""
    for result, lines in reports(evidence):
        if result.began_at < evidence.faults_ended_at or result.exit_code != 4:
            continue
        # A run with too many invalid rows sends nothing.
        for line in (line for line in lines if line["status"] == "unsent" and line["code"] != "too_many_invalid"):
            row = row_of(evidence, line)
            if evidence.scenario.refusals.get(row[next(iter(row))]) != POISON:
                raise Broken(f"{result.run_id} row {line['source_row']} is unsent, since other rows failed")


def _a_probe_is_of_another_row(evidence: Evidence) -> None:
    """
    Without faults, rows that always fail do not hold up a row of another lane.

    Five failures, of three rows, open the circuit while other requests are in flight. Then only rows probe that have
    not failed yet.
    """
    by_process: dict[int, list[Entry]] = defaultdict(list)
    for entry in evidence.journal.entries:
        by_process[entry.process].append(entry)
    for entries in by_process.values():
        if entries[0].sent_at < evidence.faults_ended_at:
            continue
        end = 0
        for decided, group in groupby(entries, key=lambda entry: entry.decided):
            streak = list(group)
            end += len(streak)
            rows = list(dict.fromkeys(entry.identity for entry in streak))
            third = [entry.identity for entry in streak].index(rows[2]) if len(rows) > 2 else len(streak)
            opened = max(5, third + 1)
            new = {entry.identity for entry in streak[opened:]} - {entry.identity for entry in streak[:opened]}
            most = opened + evidence.scenario.concurrency + len(new)
            if decided != "poisoned" or len(streak) <= most:
                continue
            failing = {lane_of(evidence, entry) for entry in streak}
            lanes = joined_lanes(evidence, run_of(evidence, streak[0]), failing)
            others = (entry for entry in entries[end:] if lane_of(evidence, entry) not in lanes)
            if any(entry.decided != "poisoned" for entry in others):
                raise Broken(f"{len(streak)} requests in a row were for rows that always fail; others had to wait")


def _a_short_outage_is_soon_over(evidence: Evidence) -> None:
    """A run at full speed sends again within seconds of the end of a short outage."""
    if evidence.scenario.other_rate is None:
        return
    for period in evidence.scenario.fault_periods:
        after = [entry.arrived_at for entry in evidence.journal.entries if entry.arrived_at >= period.ends]
        if after and after[0] > period.ends + _LONGEST_PAUSE_AFTER_SHORT_OUTAGE:
            raise Broken(
                f"an outage of {period.ends - period.begins:.1f} s was followed by {after[0] - period.ends:.1f} s"
            )


def _lanes_are_kept(evidence: Evidence) -> None:
    """A process has one request of a lane in flight at a time."""
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
            # A payment may be fixed under another key. Its refund names the first key, and is refused.
            paid_entries = [e for e in entries if _FIXED.sub("", e.identity) == paid and e.decided == "accepted"]
            confirmed = [e for e in paid_entries if e.answered]
            since = [e.answered_at for e in confirmed if e.answered_at is not None]
            since += [
                evidence.journal.listed[e.identity] for e in paid_entries if e.identity in evidence.journal.listed
            ]
            if not any(at <= entry.sent_at for at in since):
                raise Broken(f"refund {entry.key} was sent before its payment {paid} was confirmed")


def _known_keys(evidence: Evidence) -> dict[str, float]:
    """
    Return since when each key is known, in virtual seconds: when a run with that row had read all its rows.

    A run that sent a request had read all, and so had one that completed. Other runs keep none of their rows. A
    reconciliation reads none.
    """
    read_at: dict[str, float] = {}
    for entry in evidence.journal.entries:
        _note_earlier(read_at, run_of(evidence, entry), entry.sent_at)
    for result in evidence.results:
        if result.run_id is not None and result.exit_code in (0, 3) and result.step.verb != "reconcile":
            _note_earlier(read_at, result.run_id, result.ended_at)
    known_at: dict[str, float] = {}
    for run_id, lines in lines_of_runs(evidence).items():
        for line in lines:
            _note_earlier(known_at, row_of(evidence, line)["out_biz_no"], read_at.get(run_id, float("inf")))
    return known_at


def _note_earlier(moments: dict[str, float], name: str, moment: float) -> None:
    moments[name] = min(moment, moments.get(name, moment))


def _no_task_counts_in_two_forms(evidence: Evidence) -> None:
    """A task is applied under its key or under numbered keys, not both, as far as the ledger knows."""
    end = float("inf")
    lost = {entry.identity for entry in evidence.journal.entries if may_be_lost(evidence, entry, end)}
    applied = evidence.journal.applied.keys() - lost
    for numbered in (identity for identity in applied if "-" in identity):
        if numbered.rpartition("-")[0] in applied:
            raise Broken(f"{numbered} was applied, and so was the key that it is a number of")
