"""A row that could not be read does not become valid if it is sent again unchanged."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest

from pipeline.map import Invalid, MappingRules, bind
from pipeline.model import Api, Export, Fault, Row
from tests.acceptance.workspace import Workspace, order, read_csv

pytestmark = pytest.mark.usefixtures("each_ledger")

UNREAD = "\ufffd"
# The unmapped column is last, so that cells that move to the right are not mapped.
ROW = ",".join({**order(1), "memo": "thanks"}.values())
HEADER = ",".join({**order(1), "memo": ""})


def cut(row: str) -> bytes:
    return row.rpartition("12.50")[0].encode() + b"12"


def with_byte(row: str, old: str, new: str) -> bytes:
    return row.replace(old, new).encode("latin-1")


@pytest.mark.parametrize(
    ("spoil", "code", "seen"),
    [
        pytest.param(lambda row: row.replace("12.50", "12,50").encode(), "ragged", f",thanks{UNREAD}", id="too many"),
        pytest.param(lambda row: row.encode() + b",a,b", "ragged", f'"thanks,a,b{UNREAD}"', id="far too many"),
        pytest.param(cut, "ragged", f",12,{UNREAD},{UNREAD},{UNREAD},", id="cut short"),
        pytest.param(lambda row: with_byte(row, "T1", "T\xff"), "not_decodable", f"T{UNREAD}", id="bytes"),
        pytest.param(lambda row: with_byte(row, "thanks", "\xff"), "not_decodable", UNREAD, id="unmapped"),
        pytest.param(lambda row: row.replace("T1", "T\0").encode(), "nul_character", f"T{UNREAD}", id="NUL"),
    ],
)  # fmt: skip
def test_an_unfixed_row_is_refused_again(
    workspace: Workspace, spoil: Callable[[str], bytes], code: str, seen: str
) -> None:
    """Unreadable parts are marked in `rows_to_fix.csv`. A row with the mark is not sent."""
    # A good row with Chinese text makes the file UTF-8.
    good = ROW.replace("A1", "消费").encode()
    (workspace.folder / "orders.csv").write_bytes(b"\n".join((HEADER.encode(), spoil(ROW), good, b"")))
    workspace.backfill("run", "orders")
    assert workspace.results() == [f"invalid {code}", "succeeded SUCCESS"]
    to_fix = workspace.reports()[-1] / "rows_to_fix.csv"
    assert seen in to_fix.read_text(encoding="utf-8")

    for _ in range(2):
        workspace.backfill("run", "orders", str(to_fix))
        assert workspace.results() == ["invalid not_decodable"]
        assert "still holds \ufffd" in workspace.outcomes()[0]["message"]
        to_fix = workspace.reports()[-1] / "rows_to_fix.csv"
    assert seen in to_fix.read_text(encoding="utf-8")
    assert workspace.requests() == ["消费"]


def test_a_fixed_row_is_sent(workspace: Workspace) -> None:
    """Without the mark the row is sent as any other."""
    (workspace.folder / "orders.csv").write_text(f"{HEADER}\n{ROW},more\n", encoding="utf-8")
    workspace.backfill("run", "orders")
    to_fix = workspace.reports()[-1] / "rows_to_fix.csv"
    (line,) = read_csv(to_fix)
    assert line["memo"] == f"thanks,more{UNREAD}"

    to_fix.write_text(to_fix.read_text(encoding="utf-8").replace(UNREAD, ""), encoding="utf-8")

    assert (workspace.backfill("run", "orders", str(to_fix)).exit_code, workspace.requests()) == (0, ["A1"])


@pytest.mark.parametrize(("charset", "mark"), [("utf-8", UNREAD), ("gbk", "?")])
@pytest.mark.parametrize("name", ["out_biz_no", "trade_no", "trade_amount", "biz_time", "agreement_no"])
def test_the_mark_in_any_mapped_field_is_a_fault(name: str, charset: str, mark: str) -> None:
    """U+FFFD is never a real value: a mapped field that has it makes the row invalid, in any file."""
    constants = {"partner_id": "2088000000000000", "amount_name": "消费金额"}
    rules = MappingRules(
        export=Export.ORDERS,
        api=Api.CUMULATION,
        columns={},
        units={},
        constants=constants,
        timezone=ZoneInfo("Asia/Shanghai"),
        charset=charset,
    )
    row = order(1) | {name: f"1{UNREAD}"}

    mapped = bind(rules, list(row))(Row(1, tuple(cell or None for cell in row.values())))

    shown = "(2 characters)" if name == "agreement_no" else f'"1***{mark}" (2 characters)'
    message = f"{name} {shown} holds U+FFFD in place of a character that could not be read"
    rule = "holds U+FFFD in place of a character that could not be read"
    fault = Fault("not_decodable", message, name, name, rule, shown.replace('"', ""))
    assert mapped == Invalid((fault,), None if name == "out_biz_no" else "A1")


def test_the_mark_in_an_unmapped_column_is_ignored(workspace: Workspace) -> None:
    """An export may have the mark in a column that is not sent, since other programs write it too."""
    workspace.export("orders.csv", [order(1, memo=UNREAD)])

    assert (workspace.backfill("run", "orders").exit_code, workspace.requests()) == (0, ["A1"])
