"""
`python -m tests.simulation.mutations`: put faults into the code, one at a time, and see that the simulation finds each.

Each fault is made in a copy of the tree. A fault that a thousand histories do not find is a hole in the checker.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A deliberate fault: in `file`, `old` becomes `new`; and so does `and_old`, where a fault takes two places."""

    name: str
    file: str
    old: str
    new: str
    and_old: str = ""
    and_new: str = ""


MUTATIONS = (
    Mutation(
        "the intent is not written",
        "pipeline/ledger/run_ledger.py",
        'return cast("list[Admission]", self._entries.run([(due, None) for due in dues]))',
        "return [__import__('pipeline.ledger.rules.admission').ledger.admission.Go(doubt=False) for _ in dues]",
    ),
    Mutation(
        "the intent is written after the answer at the earliest",
        "pipeline/ledger/delivering/deliveries.py",
        "(run.account_no, run.api, DeliveryState.SENDING, now, _json([due.due_no for due in admitted])),",
        "(run.account_no, run.api, DeliveryState.REJECTED, now, _json([due.due_no for due in admitted])),",
    ),
    Mutation(
        name="one permit serves all attempts of a row",
        file="pipeline/write/delivery.py",
        old="turn = _Turn(means.quota, means.clock, self._check_running)",
        new="turn = _Turn(means.quota, means.clock, self._check_running) if not self._history.attempts else "
        "type('Turn', (), {'permit': None, 'depart': lambda self: None})()",
        and_old="means.quota.give_back(turn.permit, answer",
        and_new="turn.permit and means.quota.give_back(turn.permit, answer",
    ),
    Mutation(
        "the nonce is that of the row",
        "pipeline/write/delivery.py",
        'nonce=f"{means.chance.getrandbits(128):032x}")',
        'nonce=f"{self._due.due_no:032x}")',
    ),
    Mutation(
        "the quota is forgotten at a restart", "pipeline/ledger/store/quotas.py", "def change(",
        "def change(self, name, step):\n        self.__dict__.setdefault('k', [None])\n"
        "        self.k[0], reported = step(self.k[0])\n        return reported\n\n    def other(",
    ),
    Mutation(
        "a window is a little short", "pipeline/limits/window.py", "_seen_by(window, oldest, now) + period)",
        "_seen_by(window, oldest, now) + period * 0.97)",
    ),
    Mutation(
        "the quota looks at one request too few", "pipeline/limits/window.py",
        "max(1.0, limit) - size)[1]", "max(1.0, limit) - size + 1)[1]",
    ),
    Mutation(
        "the quota counts slots in place of permits", "pipeline/limits/window.py",
        "total += slot.permits", "total += size_of",
        "oldest = _newest_slots(", "global size_of\n    size_of = size\n    oldest = _newest_slots(",
    ),
    Mutation(
        "a request counts as seen when it is sent", "pipeline/limits/window.py",
        "start = max(start, _seen_by(window, oldest, now) + period)",
        "start = max(start, oldest.sent_at + period)",
    ),
    Mutation(
        "doubt is forgotten when an attempt is throttled", "pipeline/write/settlement.py",
        "doubt=history.doubt or may_have_acted,", "doubt=may_have_acted,",
    ),
    Mutation(
        "a lost answer proves that nothing was applied", "pipeline/write/settlement.py",
        "isinstance(verdict, TryAgain | Halt) and verdict.may_have_acted", "isinstance(verdict, Halt)",
    ),
    Mutation(
        "earlier doubt is not brought back", "pipeline/ledger/rules/admission.py",
        "return Go(doubt=known.state is not DeliveryState.UNSENT, before=known.state)",
        "return Go(doubt=False, before=known.state)",
    ),
    Mutation(
        "an answer counts without its signature", "pipeline/write/answers/judge.py",
        "finding = diagnose(sent, answer, opened)",
        "finding = diagnose(sent, answer, opened and replace(opened, trust=type(opened.trust).VERIFIED))",
    ),
    Mutation(
        "an answer over a kept connection counts without an echo", "pipeline/write/answers/judge.py",
        "if not answer.is_fresh and", "if False and",
    ),
    Mutation(
        "a refund does not look at its payment", "pipeline/ledger/rules/dependencies.py",
        "if state in (None, DeliveryState.SUCCEEDED):", "if state:",
    ),
    Mutation(
        "a lane is not kept in order", "pipeline/ledger/delivering/queue.py",
        "{lane} AS lane, ", "d.due_no AS lane, ",
    ),
    Mutation(
        "other content may go out under a key in doubt", "pipeline/ledger/rules/admission.py",
        "if known.digest != digest:", "if known.digest != digest and known.state is DeliveryState.SUCCEEDED:",
    ),
    Mutation(
        "what was delivered is sent again", "pipeline/ledger/delivering/deliveries.py",
        "        if state is None:\n", "        if state in (None, DeliveryState.SUCCEEDED):\n",
    ),
    Mutation(
        "an older balance is sent after a newer one", "pipeline/ledger/rules/admission.py",
        "return position < card.newest_position", "return False",
    ),
    Mutation(
        "of several balances the oldest is sent", "pipeline/ledger/staging/duplicates/deduplicate.py",
        "_BY_CARD(entries)[::-1]", "_BY_CARD(entries)",
    ),
    Mutation(
        "a balance in doubt counts as confirmed", "pipeline/ledger/rules/admission.py",
        "return card is not None and not card.unsettled and", "return card is not None and",
    ),
    Mutation(
        "a state is sent after a later one", "pipeline/ledger/rules/dependencies.py",
        "if newest.is_later(due.state.version, due.position):", "if False:",
    ),
    Mutation(
        "a state does not wait for an earlier one in doubt", "pipeline/ledger/rules/dependencies.py",
        "        if newest.unsettled:\n", "        if False:\n",
    ),
    Mutation(
        "states of one number do not share a lane", "pipeline/ledger/delivering/queue.py",
        '    Api.STATE: """\n', '    Api.POINTS: """\n',
    ),
    Mutation(
        "a state that comes back is taken for what is held", "pipeline/ledger/staging/sequence.py",
        "elif at == 0 and self._newest is not None", "elif self._newest is not None",
    ),
    Mutation(
        "agreements of several users are sent", "pipeline/ledger/staging/duplicates/find.py",
        "in contradicting_lanes(self._agreements)", "in contradicting_lanes([])",
    ),
    Mutation(
        "cards of several users are sent", "pipeline/ledger/staging/duplicates/find.py",
        "            rule_on_openids(self.balances, rulings)\n", "",
    ),
    Mutation(
        "objects of which only some rows say when are sent", "pipeline/ledger/staging/states.py",
        "if 0 < obj.dated < obj.rows:", "if obj.dated > obj.rows:",
    ),
    Mutation(
        "cards of which only some rows say when are sent", "pipeline/ledger/staging/duplicates/find.py",
        "            rule_on_times(self.balances, rulings)\n", "",
    ),
    Mutation(
        "a row that came back as it was is forgotten", "pipeline/ledger/staging/recognition.py",
        "            if chunk.is_as_first(at):\n                chunk.note_unchanged(at, origin)\n            else:\n",
        "            if not chunk.is_as_first(at):\n",
    ),
    Mutation(
        "a file of states that runs again is new", "pipeline/ledger/staging/sequence.py",
        "        if first == last:\n", "        if first == last and count < 2:\n",
    ),
    Mutation(
        "the form of a task is looked at only when it is staged", "pipeline/ledger/rules/tasks.py",
        "return Conflict(COUNTED_OTHERWISE) if", "return Conflict(COUNTED_OTHERWISE) if not key and",
    ),
    Mutation(
        "what the run did not reach counts as done", "pipeline/ledger/history/dues.py",
        "ELSE 'unsent'", "ELSE 'skipped'",
    ),
    Mutation(
        "a resume leaves out what was unsent", "pipeline/ledger/history/dues.py",
        "status IN ('unsent', 'blocked') OR", "status IN ('blocked') OR",
    ),
    Mutation(
        "a refused caller does not stop the run", "pipeline/write/delivery.py",
        "control.drain(Ending.STOPPED, halt.text, halt_code=halt.code)", "pass",
    ),
    Mutation(
        "probes use up no attempts", "pipeline/write/delivery.py",
        "policy = means.policy.after(self._history.attempts)", "policy = means.policy",
    ),
    Mutation(
        "a probe is the row that failed", "pipeline/write/delivery.py",
        "if self._has_failed and self._means.breaker.is_open:", "if False:",
    ),
    Mutation(
        "each failure under way makes the pause longer", "pipeline/write/brakes/circuit_breaker.py",
        "return self._probe_in(min(longest, self._pause * 2), verdict, now) if clearance.probing else None",
        "return self._probe_in(min(60.0, self._pause * 2), verdict, now)",
    ),
    Mutation(
        "the fence is not looked at", "pipeline/ledger/store/lease.py", "if line is None or line[0] != lease.fence:",
        "if line is None:",
    ),
    Mutation(
        "a process that was held up sends on", "pipeline/write/delivery.py", "        self._keep_job()", "        pass",
    ),
    Mutation(
        "a live run's job may be taken", "pipeline/ledger/store/lease.py",
        "if line is not None and line[3] > now.isoformat() and not is_dead(line[2], owner):", "if False:",
    ),
    Mutation(
        name="a row in doubt is given another key", file="pipeline/ledger/staging/rerun.py",
        old="yield row_no, selection.new_keys and outcome.wants_new_key", new="yield row_no, selection.new_keys",
        and_old="AND v.state = 'rejected'", and_new="AND v.state IN ('rejected', 'unknown')",
    ),
    Mutation(
        "a resumed run forgets its limit", "pipeline/assemble/runner.py", 'limit=ledger.run.options.get("limit")',
        "limit=options.limit",
    ),
    Mutation(
        "failures beyond the most do not stop the run", "pipeline/write/brakes/run_control.py",
        "failures > self._most_failures:", "failures > 10 + self._most_failures:",
    ),
    Mutation(
        "a fixed row does not look at its other variants", "pipeline/ledger/delivering/deliveries.py",
        "forbidden = judge_dues(connection, run, dues)", "forbidden = judge_dues(connection, run, [])",
    ),
    Mutation(
        "too many invalid rows do not stop the run", "pipeline/run/wrong_batch.py",
        "return decided.invalid > allowed.of(decided.rows) and",
        "return decided.invalid > 10 + allowed.of(decided.rows) and",
    ),
    Mutation(
        "a resume forgets how many rows may be invalid", "pipeline/assemble/row_limits.py",
        "RowLimit.parse(options[n]) if n in options else",
        "RowLimit.parse(options[n]) if n in options and n != 'max_invalid' else",
    ),
    Mutation(
        "a run that was staged in part is delivered", "pipeline/ledger/history/runs.py",
        "act = CASE act WHEN 'staging' THEN act ELSE ? END", "act = ?",
    ),
    Mutation(
        "a ledger that is behind is used", "pipeline/ledger/store/traces.py", "    if signs:", "    if False:",
    ),
    Mutation(
        "a resync trusts what was confirmed before", "pipeline/ledger/store/generations.py",
        "return _FIRST if api in _COUNTED else self.generation", "return _FIRST",
    ),
    Mutation(
        "keys stay the same after a resync", "pipeline/ledger/store/generations.py",
        'return "" if self.generation == _FIRST else self.name', 'return ""',
    ),
    Mutation(
        "an old key of the export proves a balance", "pipeline/ledger/rules/cards.py",
        "SELECT g.generation > 1 AND NOT", "SELECT g.generation > 9 AND NOT",
    ),
    Mutation(
        "a ledger that was replaced is written on", "pipeline/ledger/store/lost_file.py",
        "if all(place.is_kept() for place in self._places):", "if self._places:",
    ),
    Mutation(
        "a process that can't be seen counts as dead", "pipeline/ledger/store/lease.py",
        "return here.namespace != _UNKNOWN and sees ==", "return True or sees ==",
    ),
    Mutation(
        "a prune forgets what cards and objects hold", "pipeline/ledger/history/prune.py",
        'for table in ("inputs", "pruned_runs"):',
        """connection.execute("DELETE FROM cards")
        connection.execute("DELETE FROM objects")
        for table in ("inputs", "pruned_runs"):""",
    ),
    Mutation(
        "a prune deletes runs with rows left", "pipeline/ledger/history/prune.py",
        "if file.read(lambda c: _has_rows_left(c, run)):", "if False:",
    ),
)  # fmt: skip


def find(mutation: Mutation, seeds: int) -> str:
    """Return how the simulation took the fault."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tree"
        for part in ("pipeline", "tests/simulation", "schemas"):
            shutil.copytree(_ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        target = copy / mutation.file
        text = target.read_text(encoding="utf-8")
        if text.count(mutation.old) != 1:
            return f"NOT APPLIED: {mutation.file} holds the place {text.count(mutation.old)} times"
        text = text.replace(mutation.old, mutation.new)
        if mutation.and_old:
            text = text.replace(mutation.and_old, mutation.and_new)
        target.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "tests.simulation", "--seeds", str(seeds), "--stop-at-first"]
        ended = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
        first = next(iter(ended.stdout.splitlines()), ended.stderr[-200:])
        return f"found: {first[:150]}" if ended.returncode else "NOT FOUND"


def main() -> int:
    """Try all faults; return 1 when one is not found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutations", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="histories for each fault (1000)")
    parser.add_argument("--only", default="", help="faults whose name holds this")
    args = parser.parse_args()
    missed = 0
    for mutation in (m for m in MUTATIONS if args.only in m.name):
        began = time.monotonic()
        said = find(mutation, args.seeds)
        missed += not said.startswith("found")
        sys.stdout.write(f"{mutation.name}: {said} ({time.monotonic() - began:.0f} s)\n")
        sys.stdout.flush()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
