"""A saved plan, and the checks that it still holds."""

from dataclasses import asdict
from hashlib import sha256

import orjson
import pytest

from pipeline.errors import SettingsError
from pipeline.ledger.records import InputRecord, StagedCounts
from pipeline.run.saved_plan import PlannedRequests, SavedPlan

BODY = b'{"out_biz_no":"A"}'
PLANNED = PlannedRequests((("a.csv", "aa"), ("b.csv", "bb")), 1, sha256(BODY).hexdigest())
PLAN = SavedPlan(
    job="orders",
    date="2025-11-20",
    inputs=("a.csv", "b.csv"),
    base="exports",
    limit=5,
    max_invalid="20%",
    settings={"columns": "1", "rate": "2"},
    requests=PLANNED,
    shown={"rows": 1},
)


def read(name: str, digest: str) -> InputRecord:
    return InputRecord(file_no=1, name=name, location=name, columns=(), rows=1, sha256=digest)


def staged(*bodies: bytes) -> StagedCounts:
    return StagedCounts(requests=len(bodies), bodies=sha256(b"".join(bodies)))


def test_a_plan_is_read_as_it_was_written() -> None:
    """The file has all of the plan, and `parse` returns it."""
    assert SavedPlan.parse(PLAN.as_json()) == PLAN


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty, as after a crash of the machine"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="no format"),
        pytest.param(b'{"format": 1}', id="no fields"),
        pytest.param(PLAN.as_json()[:-20], id="cut short"),
        pytest.param(orjson.dumps({"format": 2, **asdict(PLAN)}), id="another format"),
        pytest.param(orjson.dumps({"format": 1, **asdict(PLAN), "date": "yesterday"}), id="no date"),
        pytest.param(orjson.dumps({"format": 1, **asdict(PLAN), "max_invalid": "many"}), id="no limit"),
        pytest.param(orjson.dumps({"format": 1, **asdict(PLAN), "requests": {}}), id="no requests"),
    ],
)
def test_what_is_no_plan_is_not_read(content: bytes) -> None:
    """Any other content raises ValueError."""
    with pytest.raises(ValueError, match=r"plan|version|unexpected|empty|isoformat|neither"):
        SavedPlan.parse(content)


def test_changed_settings_are_named() -> None:
    """A setting that differs, is new or is gone is named."""
    assert PLAN.changed_settings({"columns": "1", "rate": "2"}) == []
    assert PLAN.changed_settings({"columns": "2", "units": "3"}) == ["columns", "rate", "units"]


def test_the_requests_of_a_run_are_kept_with_it() -> None:
    """A run's options bring back what it is bound to; a run without a plan is bound to nothing."""
    options = orjson.loads(orjson.dumps({"limit": 1, **PLANNED.as_options()}))

    assert (PlannedRequests.from_options(options), PlannedRequests.from_options({"limit": 1})) == (PLANNED, None)


def test_the_same_inputs_and_requests_hold() -> None:
    """Nothing is raised if inputs and requests are those of the plan."""
    PLANNED.check_inputs([read("a.csv", "aa"), read("b.csv", "bb")])
    PLANNED.check_requests(staged(BODY))


def test_each_changed_input_is_named() -> None:
    """Inputs with another content are named, each on a line."""
    with pytest.raises(SettingsError) as refused:
        PLANNED.check_inputs([read("a.csv", "aa"), read("b.csv", "b"), read("c.csv", "cc")])

    assert [fault.partition(";")[0] for fault in refused.value.faults] == [
        "b.csv changed since the plan was saved",
        "c.csv changed since the plan was saved",
    ]


@pytest.mark.parametrize(
    ("bodies", "message"),
    [
        pytest.param([], "would send 0 requests now, the plan has 1", id="fewer"),
        pytest.param([BODY, BODY], "would send 2 requests now, the plan has 1", id="more"),
        pytest.param([b"{}"], "would send other requests than the plan", id="others"),
    ],
)
def test_other_requests_are_refused(bodies: list[bytes], message: str) -> None:
    """Number and content of the requests are compared."""
    with pytest.raises(SettingsError, match=message):
        PLANNED.check_requests(staged(*bodies))
