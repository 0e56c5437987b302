"""A run of fixed rows that dies between any two of its effects: each row counts once, and none is lost."""

from itertools import count

import pytest

from pipeline.model import Api, Export
from tests.simulation.checker import check
from tests.simulation.evidence import read
from tests.simulation.history import ALL_AT_ONCE, SMALL_PIECES, Evidence, History, Pieces, memory_folder, remove
from tests.simulation.rows import Row, write_export
from tests.simulation.scenario import Scenario, Step
from tests.simulation.state_folder import in_files

# Virtual seconds after which the platform accepts rows that it refused: a row sent twice counts twice.
_ACCEPTED_AFTER = 5.0


def row(number: int, **changes: str) -> Row:
    return {
        "out_biz_no": f"a{number}", "agreement_no": f"agr2088000000000{number:03}",
        "user_id": f"2088000000000{number:03}", "biz_time": "2025-11-20 10:00:00", "trade_no": f"T{number}",
        "trade_amount": "1.50", "biz_action": "ORDER_PAID", "pay_out_biz_no": "",
    } | changes  # fmt: skip


def played(seed: int, steps: tuple[Step, ...], invalid: int = 2, pieces: Pieces = ALL_AT_ONCE) -> Evidence:
    """Play steps over an export with invalid rows and 3 refused ones; return the evidence, checked."""
    folder = memory_folder()
    try:
        spoilt = [row(number, biz_time="") for number in (1, 2, *range(6, 4 + invalid))]
        write_export(folder / "a-1.csv", Export.ORDERS, [row(0), *spoilt, *(row(number) for number in (3, 4, 5))])
        scenario = Scenario(
            seed=seed, export=Export.ORDERS, api=Api.CUMULATION, rate=100.0, limit=100.0, concurrency=2,
            max_attempts=2, outage_limit=30.0, jobs=("a",), days=1, fault_periods=(), steps=steps,
            refusals=dict.fromkeys(("a3", "a4", "a5"), "INVALID_PARAMETER"), fixes=True,
            refuses_until=_ACCEPTED_AFTER,
        )  # fmt: skip
        with in_files(folder) as state:
            evidence = History(scenario, folder, state, pieces=pieces).play()
        check(evidence)
        last = evidence.results[-1].report
        assert last is not None
        # A row may stay unfixed each time.
        left = {(line["status"], line["code"]) for line in read(last / "outcome.csv")}
        assert {each for each in left if each[0] not in ("succeeded", "skipped")} <= {("invalid", "field_missing")}
    finally:
        remove(folder)
    return evidence


@pytest.mark.parametrize("seed", [0, 2])
def test_a_fixing_run_may_die_at_any_of_its_effects(seed: int) -> None:
    """Each row counts once at the end, for any fix, and whichever of fix and export runs next."""
    for dies_after in count():
        fix = Step("fix", "a", dies_after=dies_after, pause_before=2 * _ACCEPTED_AFTER)
        evidence = played(seed, (Step("run", "a"), fix, Step("run", "a")))
        if not evidence.results[1].was_killed:
            break
    assert dies_after > 10


def test_a_fixing_run_may_die_while_it_forgets_what_it_staged() -> None:
    """It ended while it read, and is resumed: reports of the run that it fixes count its rows at each effect."""
    for dies_after in count():
        fix = Step("fix", "a", until_after=0.0, pause_before=2 * _ACCEPTED_AFTER)
        resume = Step("resume", "a", dies_after=dies_after)
        steps = (Step("run", "a"), fix, resume, Step("run", "a"))
        evidence = played(1, steps, invalid=10, pieces=SMALL_PIECES)
        if not evidence.results[2].was_killed:
            break
    assert dies_after > 10
