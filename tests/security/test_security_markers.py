"""No user id and no secret is in any output or file, wherever rows and platforms put them."""

import logging
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from pipeline.cli.terminal.logs import set_up_logs
from pipeline.ledger.ledger import Ledger
from pipeline.simulator import Api, FaultKind, InjectedFault
from pipeline.write.ports import Signer
from tests.acceptance.workspace import Workspace, balance, state
from tests.changed_system import ChangeSystem
from tests.kills.effects import with_statements
from tests.security.planted import (
    AGREEMENT,
    CARD,
    ECHO,
    IDS,
    OPEN_ID,
    PROXY_PASSWORD,
    TOKEN,
    USER,
    secrets,
    written,
)

COLUMNS = (
    "out_biz_no", "agreement_no", "user_id", "open_id", "biz_time", "trade_no", "trade_amount", "biz_action",
    "pay_out_biz_no", "task_name", "discounts", "ext_info",
)  # fmt: skip
GOOD = {
    "agreement_no": AGREEMENT, "user_id": USER, "biz_time": "2025-11-20 10:00:00", "trade_no": "T1",
    "trade_amount": "12.50",
}  # fmt: skip
REFUSED = tuple(
    InjectedFault(kind, key=f"{key}*", **what)
    for kind, key, what in (
        (FaultKind.REFUSE, "echo-message", {"code": "USER_NOT_EXIST", "message": ECHO}),
        (FaultKind.REFUSE, "echo-code", {"code": f"NO_{USER}_{OPEN_ID}", "message": ECHO}),
        (FaultKind.REFUSE, "echo-reason", {"fail_reason": ECHO, "api": Api.CUMULATION}),
        (FaultKind.STATUS, "echo-500", {"status": 500, "code": "SYSTEM_ERROR", "message": ECHO}),
        (FaultKind.STATUS, "echo-page", {"status": 400, "body": ECHO}),
        (
            FaultKind.STATUS,
            "echo-json",
            {"status": 400, "body": f'{{"code":"X","message":"{ECHO}","detail":"{ECHO}"}}'},
        ),
    )
)


def order_line(key: str, **cells: str) -> bytes:
    row = {"out_biz_no": key, **GOOD, **cells}
    return ",".join('"' + row.get(name, "").replace('"', '""') + '"' for name in COLUMNS).encode() + b"\n"


ORDERS = b"".join(
    (
        ",".join(COLUMNS).encode() + b"\n",
        order_line("good"),
        order_line("good", trade_amount="13.00"),
        order_line("good-open", user_id="", open_id=OPEN_ID),
        order_line("both", open_id=OPEN_ID),
        order_line("time", biz_time=OPEN_ID),
        order_line("amount", trade_amount=USER),
        order_line("amount-comma", trade_amount=f"{USER},00"),
        order_line("action", biz_action=OPEN_ID),
        order_line("refund", biz_action="ORDER_REFUND", pay_out_biz_no="echo-message"),
        order_line("task", task_name=f"\x1b[2J{USER}"),
        order_line("discounts", discounts=f'[{{"{USER}":"{OPEN_ID}"}}]'),
        order_line("discount-amount", discounts=f'[{{"discount_amount":"{CARD}x"}}]'),
        order_line("ext", ext_info=OPEN_ID),
        order_line("ext-json", ext_info=f'{{"openid":"{OPEN_ID}"}}'),
        order_line("misplaced", trade_no=OPEN_ID, task_name=""),
        order_line("", trade_no=OPEN_ID),
        order_line("undecodable").replace(b"T1", b"\xff" + USER.encode()),
        order_line("nul", trade_no=f"\0{OPEN_ID}"),
        order_line("echo-message"),
        order_line("echo-code"),
        order_line("echo-reason"),
        order_line("echo-500"),
        order_line("echo-page"),
        order_line("echo-json"),
        f"short,{AGREEMENT},{USER}\n".encode(),
        f"long,{AGREEMENT},{USER},,,,,,,,,,{OPEN_ID},{CARD}\n".encode(),
        f'quote,"{AGREEMENT},{USER}\n'.encode(),
    )
)
CARD_ROW = {"openid": OPEN_ID, "user_card_code": CARD}
POINTS = [
    balance(1, 100, **CARD_ROW),
    balance(2, 100, **CARD_ROW | {"user_card_code": CARD + "1", "out_request_no": "echo-message"}),
    balance(3, 100, **CARD_ROW | {"user_card_code": CARD + "2", "out_request_no": "echo-json"}),
    balance(4, 100, **CARD_ROW | {"point_balance": OPEN_ID}),
    balance(5, 100, **CARD_ROW | {"user_card_code": OPEN_ID + CARD}),
    balance(6, 100, **CARD_ROW | {"user_card_code": f"会{CARD}"}),
    balance(7, 100, **CARD_ROW | {"updated_at": CARD}),
    balance(8, 100, **CARD_ROW | {"out_request_no": f"{OPEN_ID}!" * 9}),
]
STATES = [
    state(1, user_id=USER, biz_data=f'{{"openid":"{OPEN_ID}"}}'),
    state(2, user_id=USER, biz_data=OPEN_ID),
    state(3, user_id=USER, biz_data=f'{{"openid":"{OPEN_ID * 200}"}}'),
    state(4, user_id="", open_id=OPEN_ID, out_biz_no="echo-message"),
    state(5, user_id=USER, out_biz_no="echo-code"),
    state(6, user_id=USER, open_id=OPEN_ID),
]


@pytest.fixture
def marked(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace in which every id and secret is a planted one, and the platforms repeat them."""
    monkeypatch.setenv("MARK_TOKEN", TOKEN)
    monkeypatch.setenv("HTTPS_PROXY", f"http://etl:{PROXY_PASSWORD}@127.0.0.1:1")
    zhima = {"encrypt_key_file": "keys/encrypt_key.txt", "app_auth_token_env": "MARK_TOKEN"}
    workspace.configure({"accounts.zhima": zhima}, certificates=True)
    (workspace.folder / "orders.csv").write_bytes(ORDERS)
    workspace.export("points.csv", POINTS)
    workspace.export("states.csv", STATES)
    workspace.simulator.set_faults(REFUSED)
    return workspace


def assert_unmarked(workspace: Workspace, said: str) -> None:
    found = [
        f"{place}: {mark}"
        for place, text in {"said": said, **written(workspace.folder)}.items()
        for mark in (*IDS, *secrets(workspace.folder))
        if mark in text
    ]
    assert found == []


@pytest.mark.usefixtures("each_ledger")
@pytest.mark.parametrize(
    ("job", "log_format", "outcome_format", "counts"),
    [
        pytest.param(
            "orders", "json", "csv", {"succeeded": 4, "invalid": 16, "rejected": 5, "unknown": 1, "blocked": 1},
            id="orders",
        ),
        pytest.param("states", "console", "jsonl", {"succeeded": 1, "invalid": 3, "rejected": 2}, id="states"),
        pytest.param("points", "json", "parquet", {"succeeded": 1, "invalid": 5, "rejected": 2}, id="points"),
    ],
)  # fmt: skip
def test_no_output_or_file_has_a_user_id_or_a_secret(
    marked: Workspace, job: str, log_format: str, outcome_format: str, counts: Mapping[str, int]
) -> None:
    """Runs, plans, reruns and reports of rows with all kinds of faults show no id except the request key."""
    ends = [marked.backfill(*words, "--log-format", log_format) for words in (
        ("plan", job), ("plan", job, "--json"), ("run", job, "--format", outcome_format),
    )]  # fmt: skip
    assert {name: count for name, count in marked.summary()["counts"].items() if count} == counts
    to_fix = str(marked.reports()[-1] / "rows_to_fix.csv")
    again = marked.folder / "again"
    ends += [marked.backfill(*words, "--log-format", log_format) for words in (
        ("show", "last"), ("show", "last", "--json"), ("runs",), ("rerun", "last", "--new-keys", "--json"),
        ("report", "last", "--format", "html"), ("report", "last", "--output", str(again)),
        ("report", "last", "--format", "parquet", "--output", str(again / "outcome.parquet")), ("run", job, to_fix),
    )]  # fmt: skip

    assert {end.exit_code for end in ends} <= {0, 3}
    assert_unmarked(marked, "".join(end.stdout + end.stderr for end in ends))


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(f"order-1,{AGREEMENT},{USER},{OPEN_ID},{CARD}", id="no header line"),
        pytest.param(f"out_biz_no,{USER},{USER},{OPEN_ID},{OPEN_ID}", id="two columns of one id"),
        pytest.param(f"out_biz_no,agreement_no,user_id,{USER}\0", id="header that can't be read"),
        pytest.param(f'out_biz_no,"{USER}', id="header with a stray quote"),
    ],
)
def test_a_file_without_a_header_is_refused_without_its_first_row(marked: Workspace, header: str) -> None:
    """The first line of a file without a header has a user's data, and is not shown."""
    (marked.folder / "orders.csv").write_text(f"{header}\n{header}\n", encoding="utf-8")

    ends = [marked.backfill(verb, "orders") for verb in ("plan", "run")]

    assert [end.exit_code for end in ends] == [2, 2]
    assert_unmarked(marked, "".join(end.stdout + end.stderr for end in ends))


def failing(*_: object, **__: object) -> Any:
    """Raise an exception that has all secrets in its text and in that of its cause."""
    raise RuntimeError(f"{ECHO} {TOKEN} {PROXY_PASSWORD}") from ValueError(ECHO, TOKEN)


class FailingSigner:
    """A signer of which the named method fails."""

    def __init__(self, signer: Signer, method: str) -> None:
        self._signer = signer
        self._method = method

    def __getattr__(self, name: str) -> Any:
        return failing if name == self._method else getattr(self._signer, name)


class UnreadableLedger(Ledger):
    """A ledger whose outcomes can't be read."""

    outcome_pages = failing


def with_failing_signer(method: str) -> ChangeSystem:
    return lambda system: replace(
        system, signer_of=lambda account, api: cast("Signer", FailingSigner(system.signer_of(account, api), method))
    )


def with_failing_statement(begin: str) -> ChangeSystem:
    def fail(sql: str) -> None:
        if sql.lstrip().startswith(begin):
            failing()

    return lambda system: with_statements(system, fail)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda system: replace(system, open_ledger=failing), id="while the ledger is opened"),
        pytest.param(lambda system: replace(system, transport_of=failing), id="while a run is built"),
        pytest.param(with_failing_statement("INSERT INTO rows"), id="while rows are staged"),
        pytest.param(with_failing_signer("sign"), id="while a request is signed, in a worker"),
        pytest.param(with_failing_signer("open"), id="while an answer is opened, in a worker"),
        pytest.param(with_failing_statement("INSERT INTO deliveries"), id="within a commit"),
        pytest.param(lambda system: replace(system, open_ledger=UnreadableLedger), id="while a report is written"),
    ],
)
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_internal_error_is_reported_without_values(marked: Workspace, change: ChangeSystem) -> None:
    """The user sees the type and place of an unexpected exception, but not its text."""
    ended = marked.backfill("run", "orders", change=change)

    assert ended.exit_code == 1
    assert "internal error (RuntimeError)" in ended.stderr
    assert "in failing" in ended.stderr
    assert_unmarked(marked, ended.stdout + ended.stderr)


def spoil(content: bytes) -> bytes:
    """Overwrite each page of a database except the first, also where the ids are."""
    return content[:4096] + (ECHO.encode() * len(content))[: len(content) - 4096]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(spoil, id="damaged"),
        pytest.param(lambda _: ECHO.encode() * 99, id="no database"),
        pytest.param(lambda content: content[:5000], id="cut short"),
    ],
)
def test_an_error_of_the_ledger_names_no_row(marked: Workspace, change: Callable[[bytes], bytes]) -> None:
    """An error of SQLite about a damaged ledger is shown without data of the ledger."""
    marked.backfill("run", "states")
    ledger = marked.folder / "state" / "backfill.db"
    for beside in ("-wal", "-shm"):
        ledger.with_name(ledger.name + beside).unlink(missing_ok=True)
    ledger.write_bytes(change(ledger.read_bytes()))

    ends = [marked.backfill(*words) for words in (("show", "last"), ("run", "states"), ("rerun", "last"), ("runs",))]

    assert {end.exit_code for end in ends} <= {1, 2}
    assert all(end.stderr.startswith("backfill: ledger ") for end in ends)
    assert_unmarked(marked, "".join(end.stdout + end.stderr for end in ends))


@pytest.mark.parametrize(("log_format", "verbose"), [("console", False), ("console", True), ("json", False)])
def test_log_lines_of_a_library_are_masked(
    log_format: str, verbose: bool, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """A secret of the config is masked in any log line, and a traceback is left out."""
    set_up_logs(Namespace(log_format=log_format, verbose=verbose, quiet=False), [TOKEN])
    try:
        failing()
    except RuntimeError:
        logging.getLogger("library").exception("call with %s\nfailed", TOKEN, extra={"token": TOKEN})

    said = capsys.readouterr().err
    assert "call with ***\\nfailed" in said.replace("\\\\", "\\")
    assert [mark for mark in (*IDS, TOKEN, PROXY_PASSWORD, "Traceback") if mark in said] == []
