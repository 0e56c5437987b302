"""From a seed to a story: what the exports hold, what the weather does, and what the operator does about it."""

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.model import Api, Export
from tests.simulation.platform import Storm


@dataclass(frozen=True, slots=True)
class Step:
    """
    One command, and what befalls it.

    `verb` is run, rerun or resume; `job` names one of two; `run_id` is the run meant, the job's last one where it is
    None; `night` says which of the job's exports a run reads. `dies_after` counts effects until the process is killed;
    `signal_after`, `until_after`, `frozen_after` are virtual seconds.
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


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole story; it ends with calm weather and as many reruns as there is something left to do."""

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


_API = {
    Export.ORDERS: Api.CUMULATION,
    Export.POINTS: Api.POINTS,
    Export.STATES: Api.STATE,
    Export.TASKS: Api.CUMULATION,
}
_REFUSALS = {
    Api.CUMULATION: ["INVALID_PARAMETER", "REFUND_ILLEGAL", "BUYER_INFO_ERROR"],
    Api.POINTS: ["PARAM_ERROR", "NOT_FOUND"],
    Api.STATE: ["ZMDATA.BIZ_DATA_ERROR"],
}


def scenario_of(seed: int, folder: Path) -> Scenario:
    """Draw the story of a seed, and write its exports into the folder, one file for each job and night."""
    chance = random.Random(seed)
    export = chance.choice([Export.ORDERS, Export.ORDERS, Export.POINTS, Export.POINTS, Export.STATES, Export.TASKS])
    api = _API[export]
    jobs = ("a", "b") if chance.random() < 0.3 else ("a",)
    nights = chance.choice([1, 2, 3]) if export is Export.POINTS else 1
    keys: list[str] = []
    for job in jobs:
        with_times = chance.random() < 0.5
        for night in range(1, nights + 1):
            rows = list(_rows(export, f"{job}{night}" if nights > 1 else job, chance, with_times=with_times))
            keys += [row[_COLUMNS[export][0]] for row in rows]
            _write(folder / f"{job}-{night}.csv", _COLUMNS[export], rows)
    rate = 5.0 if api is Api.POINTS else chance.choice([5.0, 20.0, 100.0])
    refused = chance.sample(keys, min(len(keys), chance.choice([0, 0, 1, 3])))
    return Scenario(
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
        storms=tuple(_storms(chance)),
        steps=tuple(_steps(jobs, nights, chance)),
        refusals={key: chance.choice(_REFUSALS[api]) for key in refused if key},
    )


def long_night(hours: float, folder: Path, jobs: tuple[str, ...] = ("a",), storms: tuple[Storm, ...] = ()) -> Scenario:
    """Return the story of a night as long as the quota makes it: balances of so many cards, sent in this weather."""
    count = int(hours * 3600 * 5 / len(jobs))
    columns = _COLUMNS[Export.POINTS]
    for job in jobs:
        cells = (("", f"o{job}{n}", f"{job}{n:08}", str(n % 7), "") for n in range(count))
        _write(folder / f"{job}-1.csv", columns, [dict(zip(columns, row, strict=True)) for row in cells])
    return Scenario(
        seed=0, export=Export.POINTS, api=Api.POINTS, rate=5.0, limit=5.0, concurrency=8, max_attempts=6,
        outage_limit=4 * 3600.0, jobs=jobs, nights=1, storms=storms,
        steps=tuple(Step("run", job, alongside=True) for job in jobs), refusals={},
    )  # fmt: skip


_COLUMNS = {
    Export.ORDERS: ["out_biz_no", "agreement_no", "user_id", "biz_time", "trade_no", "trade_amount", "biz_action",
                    "pay_out_biz_no"],
    Export.TASKS: ["out_biz_no", "agreement_no", "user_id", "biz_time", "times"],
    Export.POINTS: ["out_request_no", "openid", "user_card_code", "point_balance", "updated_at"],
    Export.STATES: ["out_biz_no", "user_id", "out_principal_id", "biz_state_code", "biz_data"],
}  # fmt: skip


def _rows(export: Export, job: str, chance: random.Random, *, with_times: bool) -> Iterator[dict[str, str]]:
    count = chance.choice([1, 4, 12, 30])
    made: list[dict[str, str]] = []
    with_keys = chance.random() < 0.3
    for n in range(count):
        row = _row(export, job, n, made, chance, with_keys=with_keys, with_times=with_times)
        if chance.random() < 0.05:
            row[chance.choice(["biz_time", "openid", "user_id"])] = "" if chance.random() < 0.5 else "wrong\x01"
        made.append(row)
        if chance.random() < 0.06:
            made.append(dict(row))
    if chance.random() < 0.3:
        chance.shuffle(made)
    yield from made


def _row(
    export: Export,
    job: str,
    n: int,
    made: list[dict[str, str]],
    chance: random.Random,
    *,
    with_keys: bool,
    with_times: bool,
) -> dict[str, str]:
    user = f"20880000000000{chance.randrange(4)}{job == 'a':d}"
    common = {"user_id": user, "agreement_no": f"agr{user}", "biz_time": "2025-11-20 10:00:00"}
    if export is Export.POINTS:
        card, day = chance.randrange(8), 20 + int(job[1:] or 0)
        return {
            "out_request_no": f"{job}-{n}" if with_keys else "",
            "openid": f"o{job[0]}{card}",
            "user_card_code": f"{job[0]}{card:04}",
            "point_balance": str(chance.randrange(2)),
            "updated_at": f"2025-11-{day} 0{chance.randrange(9)}:00:00" if with_times else "",
        }
    if export is Export.STATES:
        state = chance.choice(["NEW", "PAID", "DONE"])
        thing = chance.randrange(10)
        return {
            "out_biz_no": f"{job}{thing}", "user_id": f"20880000000000{thing % 3}{job == 'a':d}",
            "out_principal_id": "film",
            "biz_state_code": state, "biz_data": '{"n":1}',
        }  # fmt: skip
    if export is Export.TASKS:
        return {**common, "out_biz_no": f"{job}{n}", "times": chance.choice(["", "1", "3"])}
    row = {**common, "out_biz_no": f"{job}{n}", "trade_no": f"T{n}", "trade_amount": f"{n}.50"}
    payments = [r for r in made if not r.get("pay_out_biz_no")]
    if payments and chance.random() < 0.25:
        paid = chance.choice(payments)
        return {**row, "user_id": paid["user_id"], "agreement_no": paid["agreement_no"], "biz_action": "ORDER_REFUND",
                "pay_out_biz_no": paid["out_biz_no"]}  # fmt: skip
    return {**row, "biz_action": "ORDER_PAID", "pay_out_biz_no": ""}


def _write(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


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


def _mix(chance: random.Random) -> dict[str, float]:
    match chance.choice(["drizzle", "drizzle", "one", "outage", "refused", "spite", "spite"]):
        case "drizzle":
            return dict.fromkeys(_KINDS, 0.06)
        case "outage":
            return {chance.choice(["lost_before", "error_before", "not_connected", "error_after"]): 1.0}
        case "spite":
            # Applied and not told, and then no way to ask: doubt must outlast attempts that surely did nothing.
            return {chance.choice(["lost_after", "late", "error_after"]): 0.35,
                    chance.choice(["throttled", "not_connected"]): 0.6}  # fmt: skip
        case "refused":
            return {"caller_refused": 1.0}
        case _:
            return {chance.choice(_KINDS): chance.choice([0.3, 0.8])}


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
