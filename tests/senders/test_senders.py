"""Several processes send for one run, as if it were one."""

from pipeline.simulator import FaultKind, InjectedFault, When
from tests.acceptance.workspace import order, refund
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
