"""From a seed to a story: what the exports hold, what the weather does, and what the operator does about it."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.model import Api, Export, RowLimit
from tests.simulation.platform import POISON, Storm
from tests.simulation.rows import Exports, balances_with_keys, many_balances, many_orders


@dataclass(frozen=True, slots=True)
class Step:
    """
    One command, and what befalls it.

    `verb` is run, rerun, resume, prune, which deletes all runs that may be deleted, or fix, which runs the newest rows
    to fix as somebody fixed them. `job` names one of
    two; `run_id` is the run meant, the job's last one where it is None; `night` says which of the job's exports a run
    reads. `dies_after` counts effects until the process is killed; `signal_after`, `until_after`, `frozen_after` are
    virtual seconds; `limit`, `most_failures`, `max_invalid`, `new_keys` and `resync` are options of the command line. A
    process can't see those of another `namespace`.

    Or what the operator does with the files: `verb` is back_up, restore or lose, `what` is ledger, quota or state.
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
    night: int = 1
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
    A whole story; it ends with calm weather and as many reruns as there is something left to do.

    With `new_keys` the platform asks for another key where it refuses one, and who looks after the runs gives it. With
    `fixes` somebody fixes rows in between, and after `refuses_until` the platform refuses no row any more. `rate` is
    what the config of job `a` says, `other_rate` what that of job `b` says, where it is another config. `strays` is
    the share of answers that another one follows, which nobody asked for. The first attempt to resync a ledger that
    was lost is killed after `resync_dies_after` effects.
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
    nights: int
    storms: tuple[Storm, ...]
    steps: tuple[Step, ...]
    refusals: dict[str, str]
    new_keys: bool = False
    resync_dies_after: int | None = None
    fixes: bool = False
    refuses_until: float = float("inf")
    strays: float = 0.0
    other_rate: float | None = None

    def rate_of(self, job: str) -> float:
        """Return the requests per second that the config of a job allows."""
        return self.rate if job == "a" or self.other_rate is None else self.other_rate


_API = {
    Export.ORDERS: Api.CUMULATION,
    Export.POINTS: Api.POINTS,
    Export.STATES: Api.STATE,
    Export.TASKS: Api.CUMULATION,
}
# How long an outage is at most that has to be over soon.
SHORT_SECONDS = 2.0
# Share of the histories in which two configs name two rates; they have many rows and take long.
_TWO_RATES = 0.01
# Share of the histories in which all nights run again after a ledger was lost.
_ALL_NIGHTS_AGAIN = 0.01
_NIGHTS = {Export.ORDERS: [1], Export.POINTS: [1, 2, 3], Export.STATES: [1, 2, 3], Export.TASKS: [1, 2]}
_REFUSALS = {
    Api.CUMULATION: ["INVALID_PARAMETER", "REFUND_ILLEGAL", "BUYER_INFO_ERROR"],
    Api.POINTS: ["PARAM_ERROR", "NOT_FOUND"],
    Api.STATE: ["ZMDATA.BIZ_DATA_ERROR"],
}


def scenario_of(seed: int, folder: Path) -> Scenario:
    """Draw the story of a seed, and write its exports into the folder, one file for each job and night."""
    story = _story_of(seed, folder)
    story = _with_containers(story, random.Random(f"containers of {seed}"))
    return _with_losses(story, random.Random(f"losses of {seed}"))


def _story_of(seed: int, folder: Path) -> Scenario:
    if random.Random(f"rates of {seed}").random() < _TWO_RATES:
        return _two_rates(seed, folder)
    if random.Random(f"nights again of {seed}").random() < _ALL_NIGHTS_AGAIN:
        return _all_nights_again(seed, folder)
    story = _with_options(*_plain_story(seed, folder), random.Random(f"options of {seed}"))
    story = _with_fixes(story, random.Random(f"fixes of {seed}"))
    story = _with_max_invalid(story, random.Random(f"max_invalid of {seed}"))
    return _with_prunes(story, random.Random(f"prunes of {seed}"))


def _two_rates(seed: int, folder: Path) -> Scenario:
    """Return the story of two jobs at full speed, with different rates for one quota, and perhaps a short outage."""
    jobs = ("a", "b")
    for job in jobs:
        many_orders(folder, job, 120)
    chance = random.Random(f"short outage of {seed}")
    begins = chance.uniform(0.2, 1.0)
    outage = Storm(begins, begins + chance.uniform(0.5, SHORT_SECONDS), **_outage(chance))
    return Scenario(
        seed=seed, export=Export.ORDERS, api=Api.CUMULATION, rate=80.0, other_rate=79.0, limit=80.0, concurrency=40,
        max_attempts=6, outage_limit=300.0, jobs=jobs, nights=1, storms=(outage,) if chance.random() < 0.5 else (),
        refusals={}, steps=tuple(Step("run", job, alongside=True) for job in jobs),
    )  # fmt: skip


def _all_nights_again(seed: int, folder: Path) -> Scenario:
    """
    Return the story of an operator who lost the ledger, and lets the exports of all nights run again in their order.

    The rows have keys of their own: the platform answers them from memory, and keeps the balance of the last night.
    """
    chance = random.Random(f"balances of {seed}")
    balances_with_keys(folder, "a", 3, chance)
    nights = [Step("run", "a", night=night) for night in (1, 2, 3)]
    again = [replace(nights[0], resync=True), *nights[1:]]
    dies_after = chance.choice([None, chance.randrange(60)])
    doomed = [] if dies_after is None else [replace(again[0], dies_after=dies_after)]
    lost = Step("lose", "", what=chance.choice(["ledger", "state"]))
    return Scenario(
        seed=seed, export=Export.POINTS, api=Api.POINTS, rate=5.0, limit=5.0, concurrency=3, max_attempts=4,
        outage_limit=30.0, jobs=("a",), nights=3, storms=(), refusals={}, steps=(*nights, lost, *doomed, *again),
    )  # fmt: skip


def _plain_story(seed: int, folder: Path) -> tuple[Scenario, list[str]]:
    """Return a story, and the keys of its rows."""
    chance = random.Random(seed)
    export = chance.choice([Export.ORDERS, Export.ORDERS, Export.POINTS, Export.POINTS, Export.STATES, Export.TASKS])
    api = _API[export]
    jobs = ("a", "b") if chance.random() < 0.3 else ("a",)
    swinging = export is Export.POINTS and chance.random() < 0.25
    nights = 3 if swinging else chance.choice(_NIGHTS[export])
    exports = Exports(export, nights, chance, swinging=swinging)
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
        nights=nights,
        storms=(_storm_of_the_second_night(chance),) if swinging else tuple(_storms(chance)),
        steps=tuple(_swing(chance) if swinging else _story(jobs, nights, chance)),
        refusals={key: chance.choice(_REFUSALS[api]) for key in refused if key},
    )
    return plain, list(filter(None, exports.keys))


def _with_options(plain: Scenario, keys: list[str], chance: random.Random) -> Scenario:
    """Let some steps be taken with options, and some rows always fail; the story stays what it is."""
    new_keys = plain.api is Api.CUMULATION and chance.random() < 0.3
    refusals = dict.fromkeys(plain.refusals, "IDEMPOTENT_ERROR") if new_keys else plain.refusals
    steps = tuple(_step_with_options(step, chance, new_keys=new_keys) for step in plain.steps)
    strays = chance.choice([0.0, 0.0, 0.0, 0.2, 0.7])
    poisoned = chance.sample(keys, min(len(keys), chance.choice([1, 3, 5]))) if chance.random() < 0.15 else []
    refusals |= dict.fromkeys(set(poisoned) - refusals.keys(), POISON)
    return replace(plain, steps=steps, refusals=refusals, new_keys=new_keys, strays=strays)


def _with_fixes(story: Scenario, chance: random.Random) -> Scenario:
    """Let somebody fix rows between the steps; what counts twice if sent twice shows best what went wrong."""
    if story.api is not Api.CUMULATION or story.nights > 1 or story.new_keys or chance.random() < 0.4:
        return story
    steps = list(story.steps)
    for _ in range(chance.choice([1, 1, 2, 3])):
        at = chance.randrange(1, len(steps) + 1)
        if at == len(steps) or not steps[at].alongside:
            steps.insert(at, _step("fix", chance.choice(story.jobs), chance))
    until = chance.choice([float("inf"), chance.uniform(0.0, 20.0), chance.uniform(0.0, 200.0)])
    return replace(story, steps=tuple(steps), fixes=True, refuses_until=until)


def _step_with_options(step: Step, chance: random.Random, *, new_keys: bool) -> Step:
    most = chance.choice([RowLimit(0), RowLimit(2), RowLimit(20, in_percent=True)])
    return replace(
        step,
        limit=chance.choice([1, 5, 15]) if chance.random() < 0.08 and step.verb != "resume" else None,
        most_failures=most if chance.random() < 0.08 else None,
        new_keys=new_keys and chance.random() < 0.7 and step.verb == "rerun",
        # The deadline is over by the time that the first rows are read.
        until_after=0.0 if chance.random() < 0.04 else step.until_after,
    )


def _with_containers(plain: Scenario, chance: random.Random) -> Scenario:
    """Let some steps be taken in another container, and maybe a second one begin while the first is at work."""
    if chance.random() > 0.12:
        return plain
    steps = [replace(step, namespace=chance.choice(["one", "two"])) for step in plain.steps]
    if chance.random() < 0.6:
        verb, pause = chance.choice(["run", "run", "resume", "rerun"]), chance.choice([0.2, 1.0, 5.0, 40.0])
        second = Step(verb, steps[0].job, alongside=True, pause_before=pause, namespace="two")
        steps[:1] = [replace(steps[0], namespace="one"), second]
    return replace(plain, steps=tuple(steps))


def _with_losses(plain: Scenario, chance: random.Random) -> Scenario:
    """Let the ledger be restored from a copy, or be lost, between two steps or in the midst of one."""
    if chance.random() > 0.15:
        return plain
    # What was sent with other content in a time that nobody knows of is a contradiction that no ledger can tell.
    steps = [replace(step, changed_mapping=False) for step in plain.steps]
    verb = chance.choice(["restore", "restore", "restore", "lose"])
    what = chance.choice(["ledger", "state"] if verb == "restore" else ["ledger", "state", "quota"])
    is_amid = chance.random() < 0.5
    # Most commands send for a second or two, and the first one has most to send.
    at = 1 if is_amid and chance.random() < 0.5 else chance.randrange(len(steps)) + 1
    pause = chance.choice([0.1, 0.3, 0.3, 1.0, 3.0] if is_amid else [0.0, 1.0, 8.0])
    steps.insert(at, Step(verb, "", what=what, alongside=is_amid, pause_before=pause))
    if verb == "restore":
        # Whatever stands between a command and what befalls it would let it end before.
        before, is_copied_amid = max(1, at - is_amid), (is_amid and at == 1) or chance.random() < 0.4
        copied = Step("back_up", "", alongside=is_copied_amid, pause_before=chance.choice([0.0, 0.5, 4.0]))
        steps.insert(chance.randrange(before) + 1, copied)
    dies_after = chance.choice([None, None, chance.randrange(12), chance.randrange(60)])
    return replace(plain, steps=tuple(steps), resync_dies_after=dies_after)


def _with_max_invalid(story: Scenario, chance: random.Random) -> Scenario:
    """Let some steps say how many rows may be invalid."""
    limits = [RowLimit(0), RowLimit(2), RowLimit(10, in_percent=True), RowLimit(100, in_percent=True)]
    drawn = [chance.choice(limits) if chance.random() < 0.15 else None for _ in story.steps]
    steps = (
        replace(step, max_invalid=limit if step.verb != "rerun" else None)
        for step, limit in zip(story.steps, drawn, strict=True)
    )
    return replace(story, steps=tuple(steps))


def _with_prunes(story: Scenario, chance: random.Random) -> Scenario:
    """Let somebody prune the ledger between the steps, or during one."""
    if chance.random() < 0.6:
        return story
    steps = list(story.steps)
    for _ in range(chance.choice([1, 2, 3])):
        at = chance.randrange(1, len(steps) + 1)
        dies_after = chance.randrange(40) if chance.random() < 0.3 else None
        is_alone = at == len(steps) or not steps[at].alongside
        steps.insert(at, Step("prune", "a", dies_after=dies_after, alongside=not is_alone or chance.random() < 0.3))
    return replace(story, steps=tuple(steps))


def long_night(hours: float, folder: Path, jobs: tuple[str, ...] = ("a",), storms: tuple[Storm, ...] = ()) -> Scenario:
    """Return the story of a night as long as the quota makes it: balances of so many cards, sent in this weather."""
    count = int(hours * 3600 * 5 / len(jobs))
    for job in jobs:
        many_balances(folder, job, count)
    return Scenario(
        seed=0, export=Export.POINTS, api=Api.POINTS, rate=5.0, limit=5.0, concurrency=8, max_attempts=6,
        outage_limit=4 * 3600.0, jobs=jobs, nights=1, storms=storms,
        steps=tuple(Step("run", job, alongside=True) for job in jobs), refusals={},
    )  # fmt: skip


_KINDS = ["lost_before", "lost_after", "late", "error_before", "error_after", "throttled", "bad_signature", "probe",
          "cut", "not_connected", "forged"]  # fmt: skip


def _storms(chance: random.Random) -> Iterator[Storm]:
    at = 0.0
    for n in range(chance.choice([0, 1, 3, 6])):
        # Most nights begin badly: most runs are short, and would be over before it rains.
        at += chance.uniform(0.0, 20.0) if n or chance.random() < 0.2 else 0.0
        lasts = chance.choice([1.0, 10.0, 60.0, 3600.0])
        yield Storm(at, at + lasts, **_mix(chance))
        at += lasts


def _outage(chance: random.Random) -> dict[str, float]:
    return {chance.choice(["lost_before", "error_before", "not_connected", "error_after"]): 1.0}


def _mix(chance: random.Random) -> dict[str, float]:
    match chance.choice(["drizzle", "drizzle", "one", "outage", "refused", "spite", "spite"]):
        case "drizzle":
            return dict.fromkeys(_KINDS, 0.06)
        case "outage":
            return _outage(chance)
        case "spite":
            # Applied and not told, and then no way to ask: doubt must outlast attempts that surely did nothing.
            return {chance.choice(["lost_after", "late", "error_after"]): 0.35,
                    chance.choice(["throttled", "not_connected"]): 0.6}  # fmt: skip
        case "refused":
            return {"caller_refused": 1.0}
        case _:
            return {chance.choice(_KINDS): chance.choice([0.3, 0.8])}


_NIGHT_SECONDS = 600.0


def _storm_of_the_second_night(chance: random.Random) -> Storm:
    """Let the platform apply what the second night sends, and mostly not tell."""
    untold = {chance.choice(["lost_after", "late", "error_after", "bad_signature"]): chance.choice([0.5, 0.9])}
    return Storm(_NIGHT_SECONDS / 2, _NIGHT_SECONDS * 3 / 2, **untold)


def _swing(chance: random.Random) -> Iterator[Step]:
    return _nights_apart(chance) if chance.random() < 0.5 else _held_up(3, chance)


def _nights_apart(chance: random.Random) -> Iterator[Step]:
    """Run three nights, one long after the other; nobody looks in between."""
    yield Step("run", "a")
    for night in (2, 3):
        dies_after = chance.choice([None, None, None, chance.randrange(60)])
        yield Step("run", "a", night=night, pause_before=_NIGHT_SECONDS, dies_after=dies_after)


def _story(jobs: tuple[str, ...], nights: int, chance: random.Random) -> Iterator[Step]:
    return _held_up(nights, chance) if chance.random() < 0.05 else _steps(jobs, nights, chance)


def _held_up(nights: int, chance: random.Random) -> Iterator[Step]:
    """Let a process stand still for longer than its lease, and another take its job before it wakes."""
    yield Step("run", "a", frozen_after=chance.uniform(0.0, 2.0), frozen_for=60.0)
    verb = chance.choice(["run", "run", "resume", "rerun"])
    yield Step(verb, "a", alongside=True, pause_before=chance.uniform(36.0, 56.0), night=min(nights, 2))


def _steps(jobs: tuple[str, ...], nights: int, chance: random.Random) -> Iterator[Step]:
    night = 1
    yield _step("run", jobs[0], chance)
    if len(jobs) > 1:
        yield _step("run", jobs[1], chance, alongside=True)
    if nights > 1 and chance.random() < 0.5:
        # Nobody looked: one night after the other, whatever was left.
        for night in range(2, nights + 1):
            yield _step("run", jobs[0], chance, night=night)
        return
    for _ in range(chance.choice([0, 1, 2, 4]) + (nights > 1)):
        verb = chance.choice(["resume", "resume", "rerun", "run"] if nights == 1 else ["resume", "rerun", "run", "run"])
        night = min(nights, night + (verb == "run"))
        yield _step(verb, chance.choice(jobs), chance, alongside=chance.random() < 0.1, night=night)


def _step(verb: str, job: str, chance: random.Random, *, alongside: bool = False, night: int = 1) -> Step:
    fate = chance.choice(["none", "none", "kill", "kill", "signal", "until", "freeze"])
    return Step(
        verb=verb,
        job=job,
        dies_after=chance.choice([chance.randrange(20), chance.randrange(200)]) if fate == "kill" else None,
        signal_after=chance.uniform(0.0, 10.0) if fate == "signal" else None,
        until_after=chance.uniform(0.0, 10.0) if fate == "until" else None,
        frozen_after=chance.uniform(0.0, 5.0) if fate == "freeze" else None,
        frozen_for=chance.choice([1.0, 45.0]),
        pause_before=chance.choice([0.0, 0.0, 0.3, 40.0]),
        alongside=alongside,
        night=night,
        changed_mapping=chance.random() < 0.15,
        clock_step=chance.choice([0.0] * 8 + [3600.0, -3600.0]),
    )
