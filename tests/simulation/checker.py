"""
Holding a history's evidence against the promises: inputs, reports and the platform's own journal.

It shares no code with the program; it reads the files as any user could.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from pipeline.model import Api, Export
from tests.simulation.history import Evidence, Told
from tests.simulation.platform import Entry


class Broken(AssertionError):
    """A promise is broken; the text says which, and where."""


def check(evidence: Evidence) -> None:
    """Raise Broken with the first promise that the evidence contradicts."""
    _no_internal_error(evidence)
    _every_row_has_one_outcome(evidence)
    _the_quota_was_kept(evidence)
    _one_key_one_body(evidence)
    _no_nonce_twice(evidence)
    _nothing_is_claimed_that_is_not_so(evidence)
    _all_that_could_be_delivered_was(evidence)
    _at_rest_nothing_is_sent(evidence)
    _refusal_of_the_caller_stops_the_run(evidence)
    _lanes_are_kept(evidence)
    if evidence.scenario.export is Export.ORDERS:
        _no_refund_before_its_payment(evidence)
    if evidence.scenario.api is Api.POINTS:
        _no_older_balance_after_a_newer_one(evidence)
        _the_last_balance_holds(evidence)


def check_run(evidence: Evidence) -> None:
    """Raise Broken where one run by itself contradicts a promise: for histories that end with the run."""
    _no_internal_error(evidence)
    _every_row_has_one_outcome(evidence)
    _the_quota_was_kept(evidence)
    _no_nonce_twice(evidence)
    _lanes_are_kept(evidence)


def _no_internal_error(evidence: Evidence) -> None:
    """A command fails by itself only if it was held up, or the clock moved, until another run took its job."""
    steps = [told.step for told in evidence.told]
    may_lose_its_job = any(step.frozen_after is not None or step.clock_step for step in steps)
    for told in evidence.told:
        if told.exit_code == 1 and not (may_lose_its_job and "taken over" in (told.error or "")):
            raise Broken(f"a command failed: {told.error}")


def _reports(evidence: Evidence) -> Iterator[tuple[Told, list[dict[str, str]], dict[str, object]]]:
    for told in evidence.told:
        if told.report is not None:
            yield told, _read(told.report / "outcome.csv"), json.loads((told.report / "summary.json").read_bytes())


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _input(evidence: Evidence, name: str) -> list[dict[str, str]]:
    return _read(evidence.folder / name)


def _inputs(evidence: Evidence, job: str) -> list[list[dict[str, str]]]:
    """Return the rows of a job's exports, night by night."""
    return [_input(evidence, f"{job}-{night}.csv") for night in range(1, evidence.scenario.nights + 1)]


def _row(evidence: Evidence, line: dict[str, str]) -> dict[str, str]:
    """Return the row of the export that an outcome is about."""
    return _input(evidence, line["source_file"])[int(line["source_row"]) - 1]


_STATUSES = {"succeeded", "skipped", "invalid", "rejected", "unknown", "blocked", "unsent"}


def _every_row_has_one_outcome(evidence: Evidence) -> None:
    for told, lines, summary in _reports(evidence):
        counts = summary["counts"]
        if not isinstance(counts, dict) or sum(counts.values()) != summary["rows"] or summary["rows"] != len(lines):
            raise Broken(f"{told.run_id}: counts {counts}, rows {summary['rows']}, lines {len(lines)}")
        numbers = [int(line["source_row"]) for line in lines]
        if numbers != sorted(set(numbers)):
            raise Broken(f"{told.run_id}: a row has two outcomes, or the order is not the source's: {numbers}")
        if {line["status"] for line in lines} - _STATUSES:
            raise Broken(f"{told.run_id}: a status that is none")
        read = len(_input(evidence, f"{told.step.job}-{told.step.night}.csv"))
        if told.step.verb == "run" and told.exit_code in (0, 3, 4) and len(lines) != read:
            raise Broken(f"{told.run_id}: {len(lines)} outcomes of {read} rows")


def _the_quota_was_kept(evidence: Evidence) -> None:
    limit = evidence.scenario.limit
    arrived = [entry.arrived_at for entry in evidence.journal.entries]
    for n, first in enumerate(arrived):
        last = n + int(limit or 0)
        if limit is not None and last < len(arrived) and arrived[last] < first + 1.0:
            raise Broken(f"{int(limit) + 1} requests within {arrived[last] - first:.4f} s at {first:.3f}")


def _one_key_one_body(evidence: Evidence) -> None:
    """A key keeps its body, unless that was refused for good and told so: then the row may come back mended."""
    bodies: dict[str, str] = {}
    for entry in sorted(evidence.journal.entries, key=lambda entry: entry.sent_at):
        body = bodies.setdefault(entry.identity, entry.body)
        if body != entry.body:
            if not _was_refused(evidence, entry.identity, body, entry.sent_at):
                raise Broken(f"key {entry.identity} was sent with two bodies, the second at {entry.sent_at}")
            bodies[entry.identity] = entry.body


def _was_refused(evidence: Evidence, identity: str, body: str, before: float) -> bool:
    same = [e for e in evidence.journal.entries if e.identity == identity and e.body == body]
    told = any(e.decided in ("refused", "conflict") and (e.answered_at or before) <= before for e in same)
    return told and all(entry.decided != "accepted" for entry in same)


def _no_nonce_twice(evidence: Evidence) -> None:
    nonces = [entry.nonce for entry in evidence.journal.entries]
    if len(nonces) != len(set(nonces)):
        raise Broken("a nonce was used twice")


def _nothing_is_claimed_that_is_not_so(evidence: Evidence) -> None:
    """Succeeded means applied; invalid, rejected, unsent and blocked mean that this run's request was not."""
    for told, lines, _ in _reports(evidence):
        for line in lines:
            for identity in _identities(evidence, line):
                entries = [e for e in evidence.journal.entries if e.identity == identity]
                _hold(told, line, identity, entries)


def _hold(told: Told, line: dict[str, str], identity: str, entries: list[Entry]) -> None:
    accepted = [e for e in entries if e.decided == "accepted"]
    where = f"{told.run_id} row {line['source_row']} ({identity}): "
    if line["status"] == "succeeded" and not any(e.answered for e in accepted):
        raise Broken(where + "succeeded, and the platform never confirmed it")
    if line["code"] == "already_succeeded" and not any(e.answered for e in accepted):
        raise Broken(where + "already succeeded, and the platform never confirmed it")
    if line["status"] in ("rejected", "unsent", "blocked"):
        # What was applied after this command ended is another run's doing.
        mine = [e for e in accepted if e.sent_at < told.ended_at]
        if mine and not _was_told_before(told, line, entries):
            raise Broken(where + f"{line['status']} {line['code']}, and the platform applied it")


def _was_told_before(told: Told, line: dict[str, str], entries: list[Entry]) -> bool:
    # The platform was asked for other content under this key, or answered so itself.
    return any(entry.decided == "conflict" for entry in entries)


def _identities(evidence: Evidence, line: dict[str, str]) -> list[str]:
    key, row = line["request_key"], _row(evidence, line)
    if evidence.scenario.export is Export.STATES:
        return [f"{key}/{row['biz_state_code']}"]
    if evidence.scenario.export is Export.TASKS and row["times"] == "3":
        return [f"{key}-{n}" for n in (1, 2, 3)] if line["status"] == "succeeded" else []
    return [key] if key else []


def _all_that_could_be_delivered_was(evidence: Evidence) -> None:
    """In the end no row is left unknown or unsent, and what is left has its cause in the row or the platform."""
    for job in evidence.scenario.jobs:
        last = [told for told in evidence.told if told.step.job == job and told.report is not None][-1]
        assert last.report is not None
        for line in _read(last.report / "outcome.csv"):
            if line["status"] in ("unknown", "unsent") and not _is_refused_in_doubt(evidence, line):
                raise Broken(f"{last.run_id} row {line['source_row']} is still {line['status']} {line['code']}")
            if line["status"] == "blocked" and not _has_cause(evidence, line):
                raise Broken(f"{last.run_id} row {line['source_row']} is blocked without cause")


def _is_refused_in_doubt(evidence: Evidence, line: dict[str, str]) -> bool:
    """
    Return whether the platform refuses what it may have applied: then only a person can tell, and the row stays open.
    """
    row = _row(evidence, line)
    return line["status"] == "unknown" and row[next(iter(row))] in evidence.scenario.refusals


def _has_cause(evidence: Evidence, line: dict[str, str]) -> bool:
    row = _row(evidence, line)
    if evidence.scenario.export is Export.STATES:
        return row["out_biz_no"] in evidence.scenario.refusals
    return row.get("pay_out_biz_no", "") not in evidence.journal.applied


def _at_rest_nothing_is_sent(evidence: Evidence) -> None:
    for job in evidence.scenario.jobs:
        last = [told for told in evidence.told if told.step.job == job][-1]
        fresh = evidence.journal.entries[last.requests_before : last.requests_after]
        repeated = [entry for entry in fresh if entry.decided not in ("refused", "conflict")]
        if repeated:
            raise Broken(f"{last.run_id}: all was delivered, and {len(repeated)} requests were sent again")


def _refusal_of_the_caller_stops_the_run(evidence: Evidence) -> None:
    by_process: dict[int, list[Entry]] = defaultdict(list)
    for entry in evidence.journal.entries:
        by_process[entry.run].append(entry)
    for entries in by_process.values():
        refused = [entry for entry in entries if entry.decided == "caller_refused"]
        first = entries.index(refused[0]) if refused else 0
        if len(refused) > (3 if first == 0 else evidence.scenario.concurrency + 2):
            raise Broken(f"the caller was refused {len(refused)} times in one run")


def _lane(evidence: Evidence, entry: Entry) -> tuple[str, ...]:
    fields = json.loads(entry.body)
    names = {
        Api.CUMULATION: ("agreement_no", "user_id"),
        Api.STATE: ("user_id", "out_principal_id"),
        Api.POINTS: ("card_id", "user_card_code"),
    }[evidence.scenario.api]
    return tuple(str(fields.get(name)) for name in names)


def _lanes_are_kept(evidence: Evidence) -> None:
    """Of one lane a process has one request under way at a time."""
    lanes: dict[tuple[object, ...], list[Entry]] = defaultdict(list)
    for entry in evidence.journal.entries:
        lanes[(entry.run, *_lane(evidence, entry))].append(entry)
    for lane in lanes.values():
        lane.sort(key=lambda entry: entry.sent_at)
        for before, after in pairwise(lane):
            if before.answered_at is not None and after.sent_at < before.answered_at:
                raise Broken(f"two requests of one lane at once: {before.identity} and {after.identity}")


def _no_refund_before_its_payment(evidence: Evidence) -> None:
    entries = evidence.journal.entries
    known = {row["out_biz_no"] for job in evidence.scenario.jobs for rows in _inputs(evidence, job) for row in rows}
    for entry in entries:
        fields = json.loads(entry.body)
        paid = fields.get("pay_out_biz_no")
        if fields["biz_action"] == "ORDER_REFUND" and paid in known:
            confirmed = [e for e in entries if e.identity == paid and e.decided == "accepted" and e.answered]
            if not any(e.answered_at is not None and e.answered_at <= entry.sent_at for e in confirmed):
                raise Broken(f"refund {entry.key} was sent before its payment {paid} was confirmed")


def _newest(evidence: Evidence) -> Iterator[tuple[tuple[str, ...], list[tuple[float, str, int, Entry]]]]:
    cards: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for entry in evidence.journal.entries:
        cards[_lane(evidence, entry)].append(entry)
    for card, entries in cards.items():
        yield card, [(e.sent_at, e.identity, json.loads(e.body)["point_balance"], e) for e in entries]


def _no_older_balance_after_a_newer_one(evidence: Evidence) -> None:
    """Once a balance of a card may have been applied, none that the exports say before it is sent any more."""
    ages = _ages(evidence)
    newest: dict[tuple[str, ...], tuple[str, int, int]] = {}
    for entry in sorted(evidence.journal.entries, key=lambda entry: entry.sent_at):
        card = _lane(evidence, entry)
        age = ages.get(entry.key)
        if age is None:
            continue
        if card in newest and age < newest[card]:
            raise Broken(f"card {card}: {entry.key} was sent after a newer balance")
        if entry.decided == "accepted":
            newest[card] = max(age, newest.get(card, age))


def _ages(evidence: Evidence) -> dict[str, tuple[str, int, int]]:
    """Return, for each request key, how late the exports say its balance: time of change, night, row."""
    ages: dict[str, tuple[str, int, int]] = {}
    for _, lines, _ in _reports(evidence):
        for line in (line for line in lines if line["status"] not in ("skipped", "invalid")):
            row = _row(evidence, line)
            night = int(line["source_file"].rpartition("-")[2].removesuffix(".csv"))
            age = (row["updated_at"] if row["updated_at"].isprintable() else "", night, int(line["source_row"]))
            ages[line["request_key"]] = max(age, ages.get(line["request_key"], age))
    return ages


def _the_last_balance_holds(evidence: Evidence) -> None:
    """In the end the platform holds, for each card, the balance that the export says last."""
    for job in evidence.scenario.jobs:
        wanted: dict[str, tuple[tuple[bool, str, int], str, str]] = {}
        rows = _inputs(evidence, job)[-1]
        for n, row in enumerate(rows):
            if not _is_sendable(row):
                continue
            age = (bool(row["updated_at"]), row["updated_at"], n)
            if row["user_card_code"] not in wanted or age > wanted[row["user_card_code"]][0]:
                wanted[row["user_card_code"]] = (age, row["point_balance"], row["out_request_no"])
        for card, (_, balance, key) in wanted.items():
            sent = [e for e in evidence.journal.entries if json.loads(e.body)["user_card_code"] == card]
            accepted = [e for e in sent if e.decided == "accepted"]
            if key in evidence.scenario.refusals or any(e.decided in ("refused", "conflict") for e in sent):
                continue
            if not accepted:
                raise Broken(f"card {card}: nothing was ever accepted, and {balance} is due")
            last = max(accepted, key=lambda entry: entry.sent_at)
            if str(json.loads(last.body)["point_balance"]) != balance:
                raise Broken(f"card {card}: {json.loads(last.body)['point_balance']} was sent last, not {balance}")


def _is_sendable(row: dict[str, str]) -> bool:
    return all(value.isprintable() for value in row.values()) and bool(row["openid"])
