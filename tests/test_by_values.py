"""What goes to another process comes out of it as it went in."""

import pickle

import pytest

from pipeline.by_values import ByValues
from pipeline.engines.tether import Call, Return
from pipeline.ledger.admission import Go
from pipeline.ledger.records import DeliveryState, Due, Settlement
from pipeline.model import Balance, Status
from pipeline.write.bridge import Standing
from pipeline.write.course import Ending
from pipeline.write.lanes import Lane

DUE = Due(7, 9, "pts-1", "pts-1", b"digest", b"{}", b"lane", None, Balance(b"card", 1200), 11)
SETTLEMENT = Settlement(Status.SUCCEEDED, "SUCCESS", http_status=200, leaves=DeliveryState.SUCCEEDED)
STANDING = Standing(3, 5.0, is_calm=False, ending=Ending.STOPPED, reason="no", halt_code="SIGN_ERROR")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(DUE, id="a-due"),
        pytest.param(SETTLEMENT, id="its-end"),
        pytest.param(STANDING, id="how-the-run-stands"),
        pytest.param(Call(1, "record", ([(7, SETTLEMENT)], 8)), id="a-question"),
        pytest.param(Return(1, ([None], [Lane([[DUE]], [Go(doubt=False)])]), STANDING), id="its-answer"),
    ],
)
def test_values_are_pickled_whole_and_as_calls(value: ByValues) -> None:
    """Nothing is lost, also in what a value holds, and no object is asked for its state."""
    assert pickle.loads(pickle.dumps(value)) == value
    kind, values = value.__reduce__()
    assert kind(*values) == value
