"""Several processes send for one run, as if it were one."""

from pipeline.simulator import FaultKind, InjectedFault, When
from tests.acceptance.workspace import balance, order, refund, state
from tests.senders.kills import Lines
from tests.senders.scene import Scene, end_of, wait_until

OTHER = {"user_id": "2088000000009999", "agreement_no": "20255108518085999999"}
# Until all processes have begun.
SLOW = InjectedFault(FaultKind.SLOW, seconds=0.5, when=When.AFTER_APPLYING)
ORDERS = [
    *(order(number) for number in range(120)),
    *(refund(number, number) for number in range(0, 120, 3)),
    # Of another user, so in another lane than its payment.
    *(refund(1000 + number, number, **OTHER) for number in range(1, 120, 7)),
    order(5, trade_amount="-1"),
    order(6),
]
# Two states of each object, the later one first, and the first one again for some; some of them are equal.
STATES = [
    *(state(n, "ENDED", updated_at="2025-11-20 11:00:00") for n in range(30)),
    *(state(n, "BUY", updated_at="2025-11-20 10:00:00") for n in range(30)),
    *(state(n, "BUY", updated_at="2025-11-20 12:00:00") for n in range(0, 30, 3)),
    *(state(n, "BUY", updated_at="2025-11-20 13:00:00") for n in range(0, 30, 6)),
]
BALANCES = [*(balance(n, 100 + n) for n in range(20)), *(balance(n, 200 + n) for n in range(0, 20, 2)), balance(1, -1)]


def test_a_run_of_two_processes_ends_as_with_one(scene: Scene) -> None:
    """Both processes send, each key once; but for run id and times, the outcome file is the same as of one process."""
    scene.simulator.set_faults([SLOW])
    scene.export("orders.csv", ORDERS)
    run = scene.start("run", "orders", "--processes", "2", lease=None)
    wait_until(lambda: scene.senders() == 2)
    scene.simulator.set_faults([])
    two, with_two, sent = end_of(run), scene.outcomes(), scene.keys()
    scene.simulator.reset()
    alone = Scene(scene.folder / "alone", scene.simulator, "sqlite:///one.db")
    alone.export("orders.csv", ORDERS)
    one = alone.command("run", "orders", lease=None)

    assert (two.exit_code, one.exit_code) == (3, 3)
    assert with_two == alone.outcomes()
    assert sorted(sent) == sorted(set(sent)) == sorted(scene.keys())
    assert scene.ask("SELECT (SELECT count(*) FROM partitions) + (SELECT count(*) FROM senders)") == [(0,)]


def test_states_and_balances_of_two_processes_end_as_with_one(scene: Scene) -> None:
    """With two senders too, an object's states go in order of their time, and a card's newest balance goes."""
    alone = Scene(scene.folder / "alone", scene.simulator, "sqlite:///one.db")
    exports = {"states": STATES, "points": BALANCES}
    lines = Lines(scene.start("worker", "--log-format", "json", lease=None))
    found: dict[str, list[list[dict[str, str]]]] = {job: [] for job in exports}
    for job, rows in exports.items():
        scene.export(f"{job}.csv", rows)
        scene.simulator.set_faults([SLOW])
        run = scene.start("run", job, "--max-invalid", "50%", lease=None)
        wait_until(lambda: scene.senders() == 2)
        scene.simulator.set_faults([])
        found[job].append(scene.outcomes() if end_of(run).exit_code in (0, 3) else [])
    wait_until(lambda: lines.text.count("sender_left") == len(exports))
    sent = scene.keys()
    scene.simulator.reset()
    for job, rows in exports.items():
        alone.export(f"{job}.csv", rows)
        alone.command("run", job, "--max-invalid", "50%", lease=None)
        found[job].append(alone.outcomes())

    assert {job: two == one for job, (two, one) in found.items()} == {"states": True, "points": True}
    assert [len(found[job][0]) for job in exports] == [len(STATES), len(BALANCES)]
    assert sorted(sent) == sorted(scene.keys())
