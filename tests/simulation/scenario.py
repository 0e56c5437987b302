"""A seed's scenario: the exports, the faults, and the operator's commands."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from pipeline.model import Api, Export, RowLimit
from tests.simulation.platform import POISON, FaultPeriod
from tests.simulation.rows import Exports, balances_with_keys, many_balances, many_orders


@dataclass(frozen=True, slots=True)
class Step:
    """
    One command and its faults.

    `verb` is run, rerun, resume, reconcile, prune (delete all runs that may be deleted) or fix (run the newest rows to
    fix, fixed). `job` is `a` or `b`. `run_id` is the run meant, None for the job's last one. `day` is the number of the
    export that a run reads. `dies_after` counts effects until the process is killed. `signal_after`, `until_after` and
    `frozen_after` are virtual seconds. `limit`, `most_failures`, `max_invalid`, `new_keys` and `resync` are options of
    the command line. A process cannot see those of another `namespace`. Or the operator handles files: `verb` is
    back_up, restore or lose, and `what` is ledger, quota or state.
    """

    verb: str
    job: str
    dies_after: int | None = None
    signal_after: float | None = None
    until_after: float | None = None
    frozen_after: float | None = None
    frozen_for: float = 0.0
    pause_before: float = 0.0
    alongside: bool = False
    changed_mapping: bool = False
    clock_step: float = 0.0
    run_id: str | None = None
    day: int = 1
    limit: int | None = None
    most_failures: RowLimit | None = None
    max_invalid: RowLimit | None = None
    new_keys: bool = False
    resync: bool = False
    namespace: str = "one"
    what: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """
    A whole scenario. It ends without faults and with as many reruns as have something to do.

    With `new_keys` the platform refuses rows by asking for another key, and the operator gives one. With `fixes` the
    operator fixes rows in between; after `refuses_until` the platform refuses no row. `rate` is in the config of job
    `a`, `other_rate` in that of job `b`, if it has another config. `strays` is the share of answers that a stray one
    follows. A query lists a report `lists_after` seconds after it was applied. The first resync of a lost ledger is
    killed after `resync_dies_after` effects. With `trusted_for` an online system sends balances too, and a confirmed
    one is unchanged for that long; `share` is this program's of the quota.
    """

    seed: int
    export: Export
    api: Api
    rate: float
    limit: float | None
    concurrency: int
    max_attempts: int
    outage_limit: float
    jobs: tuple[str, ...]
    days: int
    fault_periods: tuple[FaultPeriod, ...]
    steps: tuple[Step, ...]
    refusals: dict[str, str]
    new_keys: bool = False
    resync_dies_after: int | None = None
    fixes: bool = False
    refuses_until: float = float("inf")
    strays: float = 0.0
    other_rate: float | None = None
    lists_after: float = 0.0
    trusted_for: timedelta | None = None
    share: float = 1.0

    def rate_of(self, job: str) -> float:
        """Return the requests per second in the config of a job."""
        return self.rate if job == "a" or self.other_rate is None else self.other_rate


_API = {
    Export.ORDERS: Api.CUMULATION,
    Export.POINTS: Api.POINTS,
    Export.STATES: Api.STATE,
    Export.TASKS: Api.CUMULATION,
}
# Longest outage, in seconds, that counts as short.
SHORT_SECONDS = 2.0
# Share of the histories with 2 configs and 2 rates. They have many rows and are slow.
_TWO_RATES = 0.01
_RATE_OF_POINTS = {Api.POINTS: 5.0, Api.BRAND_POINTS: 10.0}
# Share of the histories of points in which the brand sends them itself.
_OF_BRANDS = 0.3
# Share of the histories in which all days run again after the ledger was lost.
_ALL_DAYS_AGAIN = 0.01
# Share of the histories in which a copy that is made during a run is restored during the same run.
_RESTORED_AMID = 0.01
# Share of the histories of points in which an online system sends balances too.
_ONLINE_SYSTEM = 0.2
_DAYS = {Export.ORDERS: [1], Export.POINTS: [1, 2, 3], Export.STATES: [1, 2, 3], Export.TASKS: [1, 2]}
_REFUSALS = {
    Api.CUMULATION: ["INVALID_PARAMETER", "REFUND_ILLEGAL", "BUYER_INFO_ERROR"],
    Api.POINTS: ["PARAM_ERROR", "NOT_FOUND"],
    Api.STATE: ["ZMDATA.BIZ_DATA_ERROR"],
}


def scenario_of(seed: int, folder: Path) -> Scenario:
    """Draw the scenario of a seed; write its exports into the folder, one file per job and day."""
    scenario = _without_losses(seed, folder)
    scenario = _with_containers(scenario, random.Random(f"containers of {seed}"))
    scenario = _with_losses(scenario, random.Random(f"losses of {seed}"))
    return _with_brand(scenario, random.Random(f"brand of {seed}"))


def _without_losses(seed: int, folder: Path) -> Scenario:
    if random.Random(f"rates of {seed}").random() < _TWO_RATES:
        return _two_rates(seed, folder)
    if random.Random(f"nights again of {seed}").random() < _ALL_DAYS_AGAIN:
        return _all_days_again(seed, folder)
    if random.Random(f"restored amid of {seed}").random() < _RESTORED_AMID:
        return _restored_amid(seed, folder)
    scenario = _with_options(*_basic_scenario(seed, folder), random.Random(f"options of {seed}"))
    scenario = _with_fixes(scenario, random.Random(f"fixes of {seed}"))
    scenario = _with_senders(scenario, random.Random(f"senders of {seed}"))
    scenario = _with_max_invalid(scenario, random.Random(f"max_invalid of {seed}"))
    scenario = _with_prunes(scenario, random.Random(f"prunes of {seed}"))
    return _with_reconcile(scenario, random.Random(f"reconcile of {seed}"))


def _two_rates(seed: int, folder: Path) -> Scenario:
    """Return a scenario of 2 jobs at full speed, with different rates for one quota and maybe a short outage."""
    jobs = ("a", "b")
    for job in jobs:
        many_orders(folder, job, 120)
    chance = random.Random(f"short outage of {seed}")
    begins = chance.uniform(0.2, 1.0)
    outage = FaultPeriod(begins, begins + chance.uniform(0.5, SHORT_SECONDS), **_outage_faults(chance))
    return Scenario(
        seed=seed, export=Export.ORDERS, api=Api.CUMULATION, rate=80.0, other_rate=79.0, limit=80.0, concurrency=40,
        max_attempts=6, outage_limit=300.0, jobs=jobs, days=1, fault_periods=(outage,) if chance.random() < 0.5 else (),
        refusals={}, steps=tuple(Step("run", job, alongside=True) for job in jobs),
    )  # fmt: skip


def _all_days_again(seed: int, folder: Path) -> Scenario:
    """
    Return a scenario of an operator who lost the ledger and runs the exports of all days again in order.

    The rows have keys of their own: the platform answers them from memory, and keeps the balance of the last day.
    """
    chance = random.Random(f"balances of {seed}")
    balances_with_keys(folder, "a", 3, chance)
    days = [Step("run", "a", day=day) for day in (1, 2, 3)]
    again = [replace(days[0], resync=True), *days[1:]]
    dies_after = chance.choice([None, chance.randrange(60)])
    doomed = [] if dies_after is None else [replace(again[0], dies_after=dies_after)]
    lost = Step("lose", "", what=chance.choice(["ledger", "state"]))
    return Scenario(
        seed=seed, export=Export.POINTS, api=Api.POINTS, rate=5.0, limit=5.0, concurrency=3, max_attempts=4,
        outage_limit=30.0, jobs=("a",), days=3, fault_periods=(), refusals={}, steps=(*days, lost, *doomed, *again),
    )  # fmt: skip


def _restored_amid(seed: int, folder: Path) -> Scenario:
    """Return a scenario of a run that sends before and after a copy of the ledger, which is then restored under it."""
    many_orders(folder, "a", 80)
    chance = random.Random(f"copy amid of {seed}")
    copied = Step("back_up", "", alongside=True, pause_before=chance.uniform(0.1, 1.0))
    restored = Step("restore", "", what="ledger", alongside=True, pause_before=chance.uniform(0.8, 1.5))
    return Scenario(
        seed=seed, export=Export.ORDERS, api=Api.CUMULATION, rate=20.0, limit=20.0, concurrency=3, max_attempts=4,
        outage_limit=30.0, jobs=("a",), days=1, fault_periods=(), refusals={},
        steps=(Step("run", "a"), copied, restored),
    )  # fmt: skip


def _basic_scenario(seed: int, folder: Path) -> tuple[Scenario, list[str]]:
    """Return a scenario without options, and the keys of its rows."""
    chance = random.Random(seed)
    export = chance.choice([Export.ORDERS, Export.ORDERS, Export.POINTS, Export.POINTS, Export.STATES, Export.TASKS])
    api = _API[export]
    jobs = ("a", "b") if chance.random() < 0.3 else ("a",)
    alternating = export is Export.POINTS and chance.random() < 0.25
    days = 3 if alternating else chance.choice(_DAYS[export])
    exports = Exports(export, days, chance, alternating=alternating)
    for job in jobs:
        exports.write(folder, job)
    rate = 5.0 if api is Api.POINTS else chance.choice([5.0, 20.0, 100.0])
    refused = chance.sample(exports.keys, min(len(exports.keys), chance.choice([0, 0, 1, 3])))
    plain = Scenario(
        seed=seed,
        export=export,
        api=api,
        rate=rate,
        limit=rate,
        concurrency=chance.choice([1, 3, 6]),
        max_attempts=chance.choice([2, 4, 6]),
        outage_limit=chance.choice([30.0, 300.0]),
        jobs=jobs,
        days=days,
        fault_periods=(_faults_of_the_second_day(chance),) if alternating else tuple(_fault_periods(chance)),
        steps=tuple(_alternating_steps(chance) if alternating else _commands(jobs, days, chance)),
        refusals={key: chance.choice(_REFUSALS[api]) for key in refused if key},
    )
    return plain, list(filter(None, exports.keys))


def _with_options(plain: Scenario, keys: list[str], chance: random.Random) -> Scenario:
    """Give some steps options, and make some rows always fail."""
    new_keys = plain.api is Api.CUMULATION and chance.random() < 0.3
    refusals = dict.fromkeys(plain.refusals, "IDEMPOTENT_ERROR") if new_keys else plain.refusals
    steps = tuple(_step_with_options(step, chance, new_keys=new_keys) for step in plain.steps)
    strays = chance.choice([0.0, 0.0, 0.0, 0.2, 0.7])
    poisoned = chance.sample(keys, min(len(keys), chance.choice([1, 3, 5]))) if chance.random() < 0.15 else []
    refusals |= dict.fromkeys(set(poisoned) - refusals.keys(), POISON)
    return replace(plain, steps=steps, refusals=refusals, new_keys=new_keys, strays=strays)


def _with_fixes(scenario: Scenario, chance: random.Random) -> Scenario:
    """Fix rows between the steps. Only orders and tasks: they count twice if sent twice."""
    if scenario.api is not Api.CUMULATION or scenario.days > 1 or scenario.new_keys or chance.random() < 0.4:
        return scenario
    steps = list(scenario.steps)
    for _ in range(chance.choice([1, 1, 2, 3])):
        at = chance.randrange(1, len(steps) + 1)
        if at == len(steps) or not steps[at].alongside:
            steps.insert(at, _step("fix", chance.choice(scenario.jobs), chance))
    until = chance.choice([float("inf"), chance.uniform(0.0, 20.0), chance.uniform(0.0, 200.0)])
    return replace(scenario, steps=tuple(steps), fixes=True, refuses_until=until)


def _step_with_options(step: Step, chance: random.Random, *, new_keys: bool) -> Step:
    most = chance.choice([RowLimit(0), RowLimit(2), RowLimit(20, in_percent=True)])
    return replace(
        step,
        limit=chance.choice([1, 5, 15]) if chance.random() < 0.08 and step.verb != "resume" else None,
        most_failures=most if chance.random() < 0.08 else None,
        new_keys=new_keys and chance.random() < 0.7 and step.verb == "rerun",
        # The deadline is over before the first rows are read.
        until_after=0.0 if chance.random() < 0.04 else step.until_after,
    )


def _with_containers(plain: Scenario, chance: random.Random) -> Scenario:
    """Run some steps in another container; maybe start a second one while the first one runs."""
    if chance.random() > 0.12:
        return plain
    steps = [replace(step, namespace=chance.choice(["one", "two"])) for step in plain.steps]
    if chance.random() < 0.6:
        verb, pause = chance.choice(["run", "run", "resume", "rerun"]), chance.choice([0.2, 1.0, 5.0, 40.0])
        second = Step(verb, steps[0].job, alongside=True, pause_before=pause, namespace="two")
        steps[:1] = [replace(steps[0], namespace="one"), second]
    return replace(plain, steps=tuple(steps))


def _with_losses(plain: Scenario, chance: random.Random) -> Scenario:
    """Restore the ledger from a copy, or lose it, between two steps or during one."""
    if chance.random() > 0.15:
        return plain
    # No ledger can notice other content under a key that was sent in a time nobody knows of.
    steps = [replace(step, changed_mapping=False) for step in plain.steps]
    verb = chance.choice(["restore", "restore", "restore", "lose"])
    what = chance.choice(["ledger", "state"] if verb == "restore" else ["ledger", "state", "quota"])
    is_amid = chance.random() < 0.5
    # Most commands send for 1 or 2 seconds, and the first one has most to send.
    at = 1 if is_amid and chance.random() < 0.5 else chance.randrange(len(steps)) + 1
    pause = chance.choice([0.1, 0.3, 0.3, 1.0, 3.0] if is_amid else [0.0, 1.0, 8.0])
    steps.insert(at, Step(verb, "", what=what, alongside=is_amid, pause_before=pause))
    if verb == "restore":
        # A step in between would let the command end before the loss.
        before, is_copied_amid = max(1, at - is_amid), (is_amid and at == 1) or chance.random() < 0.4
        copied = Step("back_up", "", alongside=is_copied_amid, pause_before=chance.choice([0.0, 0.5, 4.0]))
        steps.insert(chance.randrange(before) + 1, copied)
    dies_after = chance.choice([None, None, chance.randrange(12), chance.randrange(60)])
    return replace(plain, steps=tuple(steps), resync_dies_after=dies_after)


def _with_brand(scenario: Scenario, chance: random.Random) -> Scenario:
    """Let some points be sent by the brand itself, at the quota of brands."""
    if scenario.api is not Api.POINTS or chance.random() >= _OF_BRANDS:
        return scenario
    rate = _RATE_OF_POINTS[Api.BRAND_POINTS]
    return replace(scenario, api=Api.BRAND_POINTS, rate=rate, limit=rate)


def _with_senders(scenario: Scenario, chance: random.Random) -> Scenario:
    """Let an online system send balances too."""
    if scenario.api is not Api.POINTS or chance.random() > _ONLINE_SYSTEM:
        return scenario
    seconds = chance.choice([0.0, 0.0, 30.0, 400.0, 1000.0])
    # How long a balance is trusted is measured by the wall clock, and the checker has another one.
    steps = tuple(replace(step, clock_step=0.0) for step in scenario.steps)
    share = chance.choice([1.0, 0.6, 0.4, 0.2])
    return replace(scenario, steps=steps, trusted_for=timedelta(seconds=seconds), share=share)


def _with_max_invalid(scenario: Scenario, chance: random.Random) -> Scenario:
    """Give some steps a `max_invalid`."""
    limits = [RowLimit(0), RowLimit(2), RowLimit(10, in_percent=True), RowLimit(100, in_percent=True)]
    drawn = [chance.choice(limits) if chance.random() < 0.15 else None for _ in scenario.steps]
    steps = (
        replace(step, max_invalid=limit if step.verb != "rerun" else None)
        for step, limit in zip(scenario.steps, drawn, strict=True)
    )
    return replace(scenario, steps=tuple(steps))


def _with_prunes(scenario: Scenario, chance: random.Random) -> Scenario:
    """Prune the ledger between the steps, or during one."""
    if chance.random() < 0.6:
        return scenario
    steps = list(scenario.steps)
    for _ in range(chance.choice([1, 2, 3])):
        at = chance.randrange(1, len(steps) + 1)
        dies_after = chance.randrange(40) if chance.random() < 0.3 else None
        is_alone = at == len(steps) or not steps[at].alongside
        steps.insert(at, Step("prune", "a", dies_after=dies_after, alongside=not is_alone or chance.random() < 0.3))
    return replace(scenario, steps=tuple(steps))


def _with_reconcile(scenario: Scenario, chance: random.Random) -> Scenario:
    """
    Ask the platform between the steps what it lists.

    In most of these scenarios many answers of the first minute are lost, and rows stay unknown. Somebody else may have
    used some keys, for other amounts.
    """
    if scenario.api is not Api.CUMULATION or chance.random() < 0.5:
        return scenario
    steps = list(scenario.steps)
    for _ in range(chance.choice([1, 2, 3])):
        at = chance.randrange(1, len(steps) + 1)
        if at == len(steps) or not steps[at].alongside:
            steps.insert(at, _step("reconcile", chance.choice(scenario.jobs), chance))
    used = {f"{chance.choice(scenario.jobs)}{chance.randrange(12)}" for _ in range(chance.choice([0, 1, 3]))}
    refusals = scenario.refusals | dict.fromkeys(used - scenario.refusals.keys(), "IDEMPOTENT_ERROR")
    lists_after = chance.choice([0.0, 0.0, 0.0, 2.0, float("inf")])
    scenario = replace(scenario, steps=tuple(steps), refusals=refusals, lists_after=lists_after)
    return _with_lost_answers(scenario, chance) if chance.random() < 0.8 else scenario


def _with_lost_answers(scenario: Scenario, chance: random.Random) -> Scenario:
    """Lose answers for a minute, give each row few attempts, and reconcile the first run after that."""
    lost = FaultPeriod(0.0, 60.0, lost_after=chance.choice([0.3, 0.6]), lost_before=chance.choice([0.1, 0.3]))
    begun = replace(scenario.steps[0], until_after=None, limit=None, dies_after=None)
    question = replace(_step("reconcile", begun.job, chance), pause_before=90.0)
    at = next((n for n, step in enumerate(scenario.steps) if n and not step.alongside), len(scenario.steps))
    steps = (begun, *scenario.steps[1:at], question, *scenario.steps[at:])
    return replace(scenario, fault_periods=(lost,), steps=steps, max_attempts=chance.choice([2, 4]))


def long_run(
    hours: float,
    folder: Path,
    jobs: tuple[str, ...] = ("a",),
    fault_periods: tuple[FaultPeriod, ...] = (),
    api: Api = Api.POINTS,
) -> Scenario:
    """Return a scenario of one run per job for this many hours: balances of many cards, with these faults."""
    rate = _RATE_OF_POINTS[api]
    count = int(hours * 3600 * rate / len(jobs))
    for job in jobs:
        many_balances(folder, job, count)
    return Scenario(
        seed=0, export=Export.POINTS, api=api, rate=rate, limit=rate, concurrency=8, max_attempts=6,
        outage_limit=4 * 3600.0, jobs=jobs, days=1, fault_periods=fault_periods,
        steps=tuple(Step("run", job, alongside=True) for job in jobs), refusals={},
    )  # fmt: skip


_KINDS = ["lost_before", "lost_after", "late", "error_before", "error_after", "throttled", "bad_signature", "probe",
          "cut", "not_connected", "forged"]  # fmt: skip


def _fault_periods(chance: random.Random) -> Iterator[FaultPeriod]:
    at = 0.0
    for n in range(chance.choice([0, 1, 3, 6])):
        # Most scenarios begin with faults: most runs are short, and would end before later ones.
        at += chance.uniform(0.0, 20.0) if n or chance.random() < 0.2 else 0.0
        lasts = chance.choice([1.0, 10.0, 60.0, 3600.0])
        yield FaultPeriod(at, at + lasts, **_mix(chance))
        at += lasts


def _outage_faults(chance: random.Random) -> dict[str, float]:
    return {chance.choice(["lost_before", "error_before", "not_connected", "error_after"]): 1.0}


def _mix(chance: random.Random) -> dict[str, float]:
    match chance.choice(["rare", "rare", "one", "outage", "refused", "doubtful", "doubtful"]):
        case "rare":
            return dict.fromkeys(_KINDS, 0.06)
        case "outage":
            return _outage_faults(chance)
        case "doubtful":
            # Lost answers, then attempts that surely did nothing: doubt must last.
            return {chance.choice(["lost_after", "late", "error_after"]): 0.35,
                    chance.choice(["throttled", "not_connected"]): 0.6}  # fmt: skip
        case "refused":
            return {"caller_refused": 1.0}
        case _:
            return {chance.choice(_KINDS): chance.choice([0.3, 0.8])}


_DAY_SECONDS = 600.0


def _faults_of_the_second_day(chance: random.Random) -> FaultPeriod:
    """Apply the requests of the second day, but lose most answers."""
    faults = {chance.choice(["lost_after", "late", "error_after", "bad_signature"]): chance.choice([0.5, 0.9])}
    return FaultPeriod(_DAY_SECONDS / 2, _DAY_SECONDS * 3 / 2, **faults)


def _alternating_steps(chance: random.Random) -> Iterator[Step]:
    return _days_apart(chance) if chance.random() < 0.5 else _held_up(3, chance)


def _days_apart(chance: random.Random) -> Iterator[Step]:
    """Run 3 days, one long after the other, without an operator in between."""
    yield Step("run", "a")
    for day in (2, 3):
        dies_after = chance.choice([None, None, None, chance.randrange(60)])
        yield Step("run", "a", day=day, pause_before=_DAY_SECONDS, dies_after=dies_after)


def _commands(jobs: tuple[str, ...], days: int, chance: random.Random) -> Iterator[Step]:
    return _held_up(days, chance) if chance.random() < 0.05 else _steps(jobs, days, chance)


def _held_up(days: int, chance: random.Random) -> Iterator[Step]:
    """Hold up a process longer than its lease; another one takes its job meanwhile."""
    yield Step("run", "a", frozen_after=chance.uniform(0.0, 2.0), frozen_for=60.0)
    verb = chance.choice(["run", "run", "resume", "rerun"])
    yield Step(verb, "a", alongside=True, pause_before=chance.uniform(36.0, 56.0), day=min(days, 2))


def _steps(jobs: tuple[str, ...], days: int, chance: random.Random) -> Iterator[Step]:
    day = 1
    yield _step("run", jobs[0], chance)
    if len(jobs) > 1:
        yield _step("run", jobs[1], chance, alongside=True)
    if days > 1 and chance.random() < 0.5:
        # Without an operator: one day after the other, whatever was left.
        for day in range(2, days + 1):
            yield _step("run", jobs[0], chance, day=day)
        return
    for _ in range(chance.choice([0, 1, 2, 4]) + (days > 1)):
        verb = chance.choice(["resume", "resume", "rerun", "run"] if days == 1 else ["resume", "rerun", "run", "run"])
        day = min(days, day + (verb == "run"))
        yield _step(verb, chance.choice(jobs), chance, alongside=chance.random() < 0.1, day=day)


def _step(verb: str, job: str, chance: random.Random, *, alongside: bool = False, day: int = 1) -> Step:
    ending = chance.choice(["none", "none", "kill", "kill", "signal", "until", "freeze"])
    return Step(
        verb=verb,
        job=job,
        dies_after=chance.choice([chance.randrange(20), chance.randrange(200)]) if ending == "kill" else None,
        signal_after=chance.uniform(0.0, 10.0) if ending == "signal" else None,
        until_after=chance.uniform(0.0, 10.0) if ending == "until" else None,
        frozen_after=chance.uniform(0.0, 5.0) if ending == "freeze" else None,
        frozen_for=chance.choice([1.0, 45.0]),
        pause_before=chance.choice([0.0, 0.0, 0.3, 40.0]),
        alongside=alongside,
        day=day,
        changed_mapping=chance.random() < 0.15,
        clock_step=chance.choice([0.0] * 8 + [3600.0, -3600.0]),
    )
