"""
`python -m tests.simulation.mutations`: deliberate faults in the code, each of which the simulation has to find.

Each fault is made in a copy of the tree. A fault that a thousand histories do not find is a hole in the checker.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.simulation.code_change import Body, Change, Code, PlaceNotFound, Text, changed_files

ROOT = Path(__file__).parents[2]

# By the name of the fault, the changes that make it.
MUTATIONS: dict[str, tuple[Change, ...]] = {
    "the intent is not written": (
        Body("pipeline.ledger.delivering.sending:SendingLedger.intend", "return [Go(doubt=False) for _ in dues]"),
    ),
    "the intent is written after the answer at the earliest": (
        Code("pipeline.ledger.delivering.deliveries:_intend", "DeliveryState.SENDING", "DeliveryState.REJECTED"),
    ),
    "one permit serves all attempts of a row": (
        Code(
            "pipeline.write.delivery:Delivery._exchange",
            "AttemptPermit(services.quota, services.clock, self._check_running)",
            "AttemptPermit(services.quota, services.clock, self._check_running) if not self._history.attempts else "
            "type('Turn', (), {'permit': None, 'depart': lambda self: None})()",
        ),
        Code(
            "pipeline.write.delivery:Delivery._exchange",
            "services.quota.give_back",
            "(services.quota.give_back if current.permit else lambda *_: None)",
        ),
    ),
    "all attempts of a row have one nonce": (
        Code(
            "pipeline.write.delivery:Delivery._exchange",
            "f'{services.chance.getrandbits(128):032x}'",
            "f'{self._due.due_no:032x}'",
        ),
    ),
    "a restart forgets the quota": (
        Body(
            "pipeline.ledger.store.quotas:QuotaStore.change",
            "states = self.__dict__.setdefault('states', {})\n"
            "states[name], reported = step(states.get(name))\n"
            "return reported",
        ),
        Body(
            "pipeline.ledger.store.postgresql.quotas:ServerQuotaStore.change",
            "states = self.__dict__.setdefault('states', {})\n"
            "states[name], reported = step(states.get(name))\n"
            "return reported",
        ),
    ),
    "the quota's window is a little short": (
        Code(
            "pipeline.limits.window:next_start",
            "_seen_by(window, oldest, now) + period",
            "_seen_by(window, oldest, now) + period * 0.97",
        ),
    ),
    "the quota counts one request too few": (
        Code("pipeline.limits.window:next_start", "max(1.0, limit) - size", "max(1.0, limit) - size + 1"),
    ),
    "the quota counts slots instead of permits": (
        Code(
            "pipeline.limits.window:next_start",
            "_newest_slots(window.slots, max(1.0, limit) - size)",
            "_newest_slots(tuple(replace(slot, permits=size) for slot in window.slots), max(1.0, limit) - size)",
        ),
    ),
    "a request counts as seen when it is sent": (
        Code(
            "pipeline.limits.window:next_start",
            "_seen_by(window, oldest, now) + period",
            "oldest.sent_at + period",
        ),
    ),
    "a throttled attempt removes doubt": (
        Code("pipeline.write.settlement:DeliveryHistory.after", "history.doubt or may_have_acted", "may_have_acted"),
    ),
    "a lost answer proves that nothing was applied": (
        Code(
            "pipeline.write.settlement:DeliveryHistory.after",
            "isinstance(verdict, TryAgain | Halt) and verdict.may_have_acted",
            "isinstance(verdict, Halt)",
        ),
    ),
    "doubt of an earlier run is ignored": (
        Code("pipeline.ledger.rules.admission:admit", "known.state is not DeliveryState.UNSENT", "False"),
    ),
    "an answer counts without its signature": (
        Code(
            "pipeline.write.answers.judge:judge",
            "diagnose(sent, answer, opened)",
            "diagnose(sent, answer, opened and replace(opened, trust=type(opened.trust).VERIFIED))",
        ),
    ),
    "an answer over a kept connection counts without an echo": (
        Code("pipeline.write.answers.judge:judge", "not answer.is_fresh", "False"),
    ),
    "a refund ignores its payment": (
        Code("pipeline.ledger.rules.dependencies:payment_of", "state in (None, DeliveryState.SUCCEEDED)", "state"),
    ),
    "a lane is not kept in order": (Code("pipeline.ledger.delivering.queue:_read_order", "_LANE", "'d.due_no'"),),
    "other content may go out under a key in doubt": (
        Code(
            "pipeline.ledger.rules.admission:admit",
            "known.digest != digest",
            "known.digest != digest and known.state is DeliveryState.SUCCEEDED",
        ),
    ),
    "what was delivered is sent again": (
        Code(
            "pipeline.ledger.delivering.deliveries:_settle_deliveries",
            "state is None",
            "state in (None, DeliveryState.SUCCEEDED)",
        ),
    ),
    "an older balance is sent after a newer one": (
        Code("pipeline.ledger.rules.admission:is_overtaken", "position < card.newest_position", "False"),
    ),
    "of several balances the oldest is sent": (
        Code(
            "pipeline.ledger.staging.duplicates.deduplicate:_newest_first",
            "_BY_CARD(entries)[::-1]",
            "_BY_CARD(entries)",
        ),
    ),
    "a balance in doubt counts as confirmed": (
        Code("pipeline.ledger.rules.admission:is_unchanged", "not card.unsettled", "True"),
    ),
    "a state is sent after a later one": (
        Code(
            "pipeline.ledger.rules.dependencies:sequence_of_states",
            "newest.is_later(due.state.version, due.position)",
            "False",
        ),
    ),
    "a state does not wait for an earlier one in doubt": (
        Code(
            "pipeline.ledger.rules.dependencies:sequence_of_states",
            "if newest.unsettled:\n    return _earlier_state()",
            "pass",
        ),
    ),
    "balances of a brand are sent like reports": (
        Code("pipeline.model:Api.sends_balances", "(Api.POINTS, Api.BRAND_POINTS)", "(Api.POINTS,)"),
    ),
    "states of one number do not share a lane": (
        Code("pipeline.ledger.delivering.queue:_LANES_TO_JOIN", "Api.STATE", "Api.POINTS"),
    ),
    "a state that comes back counts as unchanged": (
        Code("pipeline.ledger.staging.sequence:Sequence.decide", "at == 0", "True"),
    ),
    "agreements of several users are sent": (
        Code(
            "pipeline.ledger.staging.duplicates.find:DuplicateFinder._rule_on_users",
            "contradicting_lanes(self._agreements)",
            "contradicting_lanes([])",
        ),
    ),
    "cards of several users are sent": (
        Code(
            "pipeline.ledger.staging.duplicates.find:DuplicateFinder.find",
            "rule_on_openids(self.balances, rulings)",
            "None",
        ),
    ),
    "objects are sent of which only some rows have a time": (
        Code(
            "pipeline.ledger.staging.states:StagedStates._rule",
            "0 < obj.dated < obj.rows",
            "obj.dated > obj.rows",
        ),
    ),
    "cards are sent of which only some rows have a time": (
        Code(
            "pipeline.ledger.staging.duplicates.find:DuplicateFinder.find",
            "rule_on_times(self.balances, rulings)",
            "None",
        ),
    ),
    "a row that came back unfixed is forgotten": (
        Code(
            "pipeline.ledger.staging.recognition:Recognition.judge",
            "chunk.note_unchanged(at, origin)",
            "None",
        ),
    ),
    "a file of states that runs again is new": (
        Code("pipeline.ledger.staging.sequence:overlap", "later == last", "later == last and count < 2"),
    ),
    "the form of a task is checked only when it is staged": (
        Code(
            "pipeline.ledger.rules.tasks:form_conflict",
            "sent_otherwise(connection, run, [(key, key == due.identity)])",
            "None",
        ),
    ),
    "rows that the run did not reach count as done": (
        Text("pipeline.ledger.history.dues:UNREACHED", "ELSE 'unsent'", "ELSE 'skipped'"),
    ),
    "a resume leaves out unsent rows": (
        Text("pipeline.ledger.history.dues:LEFT_OPEN", "status IN ('unsent', 'blocked')", "status IN ('blocked')"),
    ),
    "a refused caller does not stop the run": (
        Code(
            "pipeline.write.delivery:Delivery.carry_out",
            "control.drain(Ending.STOPPED, halt.text, halt_code=halt.code)",
            "None",
        ),
    ),
    "probes use up no attempts": (
        Code(
            "pipeline.write.delivery:Delivery.carry_out",
            "services.policy.after(self._history.attempts)",
            "services.policy",
        ),
    ),
    "a probe is the row that failed": (
        Code(
            "pipeline.write.delivery:Delivery._defer_if_failed",
            "self._has_failed and self._services.breaker.is_open",
            "False",
        ),
    ),
    "each failure under way makes the pause longer": (
        Code(
            "pipeline.write.brakes.circuit_breaker:CircuitBreaker._failed",
            "self._probe_in(min(longest, self._pause * 2), verdict, now) if clearance.probing else None",
            "self._probe_in(min(60.0, self._pause * 2), verdict, now)",
        ),
    ),
    "the fence is ignored": (
        Code("pipeline.ledger.store.lease:Lease.check", "line is None or line[-1] != self.fence", "line is None"),
        Text("pipeline.ledger.store.lease:_LOCK", "AND fence = ?", "AND fence > 0 * ?"),
        Body(
            "pipeline.ledger.store.sender_lease:SenderLease._number",
            "import time\n"
            "line = connection.execute(sql, (self.sender_no,)).fetchone()\n"
            "return int(line[0]) if line else time.monotonic_ns()",
        ),
    ),
    "a process that was held up sends on": (
        Code("pipeline.write.delivery:Delivery._check_running", "self._keep_job()", "None"),
    ),
    "a live run's job may be taken": (
        Code("pipeline.ledger.store.lease:_refuse_live", "expires_at > now.isoformat()", "False"),
    ),
    "a row in doubt is given another key": (
        Code(
            "pipeline.ledger.staging.rerun:chosen",
            "selection.new_keys and outcome.wants_new_key",
            "selection.new_keys",
        ),
        Text(
            "pipeline.ledger.staging.rerun:_REFUSED_DUES",
            "AND v.state = 'rejected'",
            "AND v.state IN ('rejected', 'unknown')",
        ),
    ),
    "a resumed run forgets its limit": (
        Code("pipeline.assemble.runner:Runner._open", "ledger.run.options.get('limit')", "options.limit"),
    ),
    "failures beyond the most do not stop the run": (
        Code(
            "pipeline.write.brakes.run_control:RunControl._stop_if_too_many",
            "failures > self._most_failures",
            "failures > 10 + self._most_failures",
        ),
    ),
    "a fixed row ignores its other variants": (
        Code(
            "pipeline.ledger.delivering.deliveries:_intend",
            "judge_dues(connection, run, dues)",
            "judge_dues(connection, run, [])",
        ),
    ),
    "too many invalid rows do not stop the run": (
        Code(
            "pipeline.run.wrong_batch:is_wrong",
            "decided.invalid > allowed.of(decided.rows)",
            "decided.invalid > 10 + allowed.of(decided.rows)",
        ),
    ),
    "a resume forgets how many rows may be invalid": (
        Code("pipeline.assemble.parts.run_options:RowLimits.of", "n in options", "n in options and n != 'max_invalid'"),
    ),
    "a run that was staged in part is delivered": (
        Text("pipeline.ledger.history.runs:_CONCLUDE", "act = CASE act WHEN 'staging' THEN act ELSE ? END", "act = ?"),
    ),
    "a ledger that is behind is used": (
        Body("pipeline.ledger.store.loss_detection.traces:refuse_if_behind", "return"),
    ),
    "a resync trusts what was confirmed before": (
        Code(
            "pipeline.ledger.store.loss_detection.generations:Generation.of_account",
            "_FIRST if api in _COUNTED else self.generation",
            "_FIRST",
        ),
    ),
    "keys stay the same after a resync": (
        Body("pipeline.ledger.store.loss_detection.generations:Generation.salt", "return ''"),
    ),
    "an old key of the export proves a balance": (
        Text("pipeline.ledger.rules.cards:_CONFIRM", "g.generation > 1", "g.generation > 9"),
    ),
    "a replaced ledger is written to": (
        Code(
            "pipeline.ledger.store.loss_detection.lost_file:LostFileCheck.check",
            "all(place.is_kept() for place in self._places)",
            "True",
        ),
        Body("pipeline.ledger.store.postgresql.transactions:PostgresTransactions._refuse_if_behind", "return"),
    ),
    "a process that can't be seen counts as dead": (Body("pipeline.ledger.store.lease:_can_see", "return True"),),
    "other senders of balances are ignored": (Body("pipeline.assemble.parts.new_run:others_of", "return None"),),
    "a used key serves another export though others send too": (
        Code(
            "pipeline.ledger.staging.balances:_unused_key",
            "times > 1 and is_newest and others is None",
            "times > 1 and is_newest",
        ),
    ),
    "a balance in doubt that others send too counts from its last request": (
        Code(
            "pipeline.ledger.rules.cards:intend_balance",
            "connection.execute(_INTEND_AGAIN, repeated)",
            "[connection.execute(_INTEND_AGAIN, repeated), "
            "connection.execute('UPDATE cards SET sent_at = ? WHERE newest_identity = ?', (now, due.identity))]",
        ),
    ),
    "the share of the quota is ignored": (Body("pipeline.settings.model:Job.limit_per_s", "return self.rate"),),
    "a prune forgets the last balances and states": (
        Code(
            "pipeline.ledger.history.prune:_delete_last_lines",
            "connection.execute(f'DELETE FROM {table} WHERE run_no = ?', (run_no,))",
            "[connection.execute(f'DELETE FROM {table} WHERE run_no = ?', (run_no,)), "
            "*(connection.execute(f'DELETE FROM {each}') for each in ('cards', 'objects'))]",
        ),
    ),
    "a row that the platform does not list counts as applied": (
        Code(
            "pipeline.reconcile.conclusion:conclude",
            "return Conclusion.ABSENT",
            "return Conclusion.APPLIED",
        ),
    ),
    "amounts of a listed report are not compared": (
        Code(
            "pipeline.reconcile.conclusion:_is_same",
            "(report.amount, report.discount) != _amounts(fields.get('amount_type_data', {}))",
            "False",
        ),
    ),
    "a prune deletes runs with rows left": (
        Code(
            "pipeline.ledger.history.prune:_reason",
            "file.read(lambda c: _has_rows_left(c, run))",
            "False",
        ),
    ),
    "refunds are not subtracted from totals": (
        Code(
            "pipeline.ledger.rules.measures:measures_of",
            "-1 if fields.get('biz_action') == 'ORDER_REFUND' else 1",
            "1",
        ),
    ),
    "unknown reports count in totals as succeeded": (
        Text(
            "pipeline.ledger.history.totals:_DELIVERIES",
            "CASE v.state WHEN 'sending' THEN 'unknown' ELSE v.state END",
            "CASE WHEN v.state IN ('sending', 'unknown') THEN 'succeeded' ELSE v.state END",
        ),
    ),
    "a fixed row counts in totals as each of its variants": (
        Text(
            "pipeline.ledger.history.totals:_totals_of",
            "status IN ('succeeded', 'unknown') OR NOT",
            "status <> 'invalid' OR NOT",
        ),
    ),
    "discounts are missing in totals": (
        Code("pipeline.ledger.rules.measures:measures_of", "sum(discounts) if discounts else None", "None"),
    ),
    "unknown reports are missing in totals": (
        Text(
            "pipeline.ledger.history.totals:_DELIVERIES",
            "CASE v.state WHEN 'sending' THEN 'unknown' ELSE v.state END",
            "CASE WHEN v.state IN ('sending', 'unknown') THEN 'unsent' ELSE v.state END",
        ),
    ),
    "invalid rows do not keep totals open": (
        Text("pipeline.ledger.history.totals:_INVALID_ROWS", "WHERE status = 'invalid'", "WHERE status = 'none'"),
    ),
}


def find(changes: tuple[Change, ...], seeds: int, *, ledger: str, jobs: int) -> str:
    """
    Return whether the simulation finds a fault, and in which seed.

    Histories on a server take far longer, so the seed that finds the fault in a file is played there first.
    """
    try:
        files = changed_files(changes, ROOT)
    except PlaceNotFound as exc:
        return f"NOT APPLIED: {exc}"
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tree"
        for part in ("pipeline", "tests/simulation", "tests/postgresql", "schemas"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        for file, source in files.items():
            (copy / file).write_text(source, encoding="utf-8")
        all_seeds = ("--seeds", str(seeds), "--jobs", str(jobs))
        found = _played(copy, *all_seeds)
        if ledger == "sqlite":
            return found
        in_file = re.match(r"found: seed (\d+):", found)
        if in_file:
            found = _played(copy, "--ledger", ledger, "--start", in_file[1], "--seeds", "1")
        return found if in_file and found != "NOT FOUND" else _played(copy, "--ledger", ledger, *all_seeds)


def _played(tree: Path, *options: str) -> str:
    command = [sys.executable, "-m", "tests.simulation", "--stop-at-first", *options]
    ended = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    if ended.returncode == 0:
        return "NOT FOUND"
    first = next(iter(ended.stdout.splitlines()), "")
    return f"found: {first[:150]}" if first.startswith("seed") else f"NOT PLAYED: {ended.stderr[-200:]}"


def main() -> int:
    """Try all faults; return 1 if one is not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutations", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="histories for each fault (1000)")
    parser.add_argument("--ledger", choices=("sqlite", "postgresql"), default="sqlite", help="kind of ledger (sqlite)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--only", default="", help="only faults whose name contains this")
    args = parser.parse_args()
    missed = 0
    for name, changes in MUTATIONS.items():
        if args.only not in name:
            continue
        began = time.monotonic()
        result = find(changes, args.seeds, ledger=args.ledger, jobs=args.jobs)
        missed += not result.startswith("found")
        sys.stdout.write(f"{name}: {result} ({time.monotonic() - began:.0f} s)\n")
        sys.stdout.flush()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
