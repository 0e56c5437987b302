"""Secrets and users' ids appear only in keys, exports, ledger and rows to fix."""

from pathlib import Path

import pytest

from pipeline.simulator import FaultKind, InjectedFault, Simulator
from tests.acceptance.workspace import CommandResult, Workspace, balance, end_of, order, state, task, wait_until

USER, OPEN_ID, AGREEMENT = "2088765432109876", "014aQsMARKEROPENIDzkTcwYQc5lG7", "20259988776655443322"
OPENID, CARD_CODE = "oMARKERopenid0123456789abcde", "7766554433221100"
IDS = (USER, OPEN_ID, AGREEMENT, OPENID, CARD_CODE)
TOKEN, PASSWORD = "202511BBMARKERTOKENd41d8cd98f00b2", "MARKERpassw0rd"


def secrets_of(workspace: Workspace) -> tuple[str, ...]:
    """Return every secret text of the test keys, each line of a private key's body included."""
    keys = workspace.folder / "keys"
    pems = [(keys / name).read_text() for name in ("app_private_key.pem", "apiclient_key.pem")]
    lines = [line for pem in pems for line in pem.splitlines() if len(line) > 40 and "-----" not in line]
    texts = [(keys / name).read_text().strip() for name in ("encrypt_key.txt", "apiv3_key.txt")]
    return (*lines, *texts, TOKEN, PASSWORD)


def files_to_search(folder: Path) -> list[Path]:
    """Return all files that a run wrote, except the ledger and the rows to fix."""
    written = [path for path in folder.rglob("*") if path.is_file() and "reports" in path.parts]
    return [path for path in written if path.stem != "rows_to_fix"]


def leaks(workspace: Workspace, said: list[CommandResult]) -> set[tuple[str, str]]:
    """Return the places of the markers found."""
    texts = {f"stdout {at}": one.stdout for at, one in enumerate(said)}
    texts |= {f"stderr {at}": one.stderr for at, one in enumerate(said)}
    texts |= {path.name: path.read_bytes().decode("utf-8", "replace") for path in files_to_search(workspace.folder)}
    assert len(texts) > 2
    return {(name, mark) for name, text in texts.items() for mark in (*IDS, *secrets_of(workspace)) if mark in text}


def configure_all_secrets(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a secret into every secret setting of the config."""
    monkeypatch.setenv("TOKEN", TOKEN)
    workspace.configure(
        {
            "accounts.zhima": {"encrypt_key_file": "keys/encrypt_key.txt", "app_auth_token_env": "TOKEN"},
            "accounts.card": {"apiv3_key_file": "keys/apiv3_key.txt"},
            "jobs.orders": {"timeout_s": 2},
        }
    )


def export_marked(workspace: Workspace) -> None:
    """Write users' ids into exports, in right places and in rows that are wrong in many ways."""
    users = {"user_id": USER, "agreement_no": AGREEMENT}
    orders = [order(number, **users) for number in range(8)]
    swapped = [order(20, user_id=AGREEMENT, trade_amount=USER), order(21, **users, biz_time=AGREEMENT)]
    swapped += [
        order(22, **users, biz_action=USER),
        order(23, **users, open_id=OPEN_ID),
        order(24, **users, biz_time=""),
    ]
    swapped += [
        order(25, **{**users, "user_id": USER + "\x01"}),
        order(26, user_id="", agreement_no=AGREEMENT, open_id=OPEN_ID),
    ]
    workspace.export("orders.csv", [*orders, *swapped])
    with (workspace.folder / "orders.csv").open("ab") as file:
        file.write(f'A30,{AGREEMENT},{USER}\nA31,{AGREEMENT},"{USER}"x,1,2,3,4,5,6\n'.encode())
        file.write(f"A32,{AGREEMENT},{USER},\xff\n".encode("latin-1"))
    workspace.export("tasks.csv", [task(1, user_id=USER, agreement_no=AGREEMENT, times=USER)])
    workspace.export(
        "states.csv", [state(1, user_id=USER), state(2, user_id=USER, biz_data=USER), state(3, user_id=USER * 5)]
    )
    marked = {"openid": OPENID, "user_card_code": CARD_CODE}
    wrong = [
        balance(2, 1, **{**marked, "user_card_code": CARD_CODE * 3}),
        balance(3, 1, **{**marked, "openid": OPENID * 9}),
    ]
    workspace.export(
        "points.csv", [balance(1, 7, **marked), *wrong, balance(4, 1, **marked, point_balance=CARD_CODE + "x")]
    )


def test_no_output_has_ids_or_secrets(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs with every outcome, and plan, show, runs and report in all formats, write no ids or secrets."""
    configure_all_secrets(workspace, monkeypatch)
    export_marked(workspace)
    echo = f"用户{USER} {OPENID} {OPEN_ID} 协议{AGREEMENT}, card {CARD_CODE}, token {TOKEN}"
    workspace.simulator.set_faults(
        [
            InjectedFault(FaultKind.REFUSE, key="A1", code="INVALID_PARAMETER", message=echo),
            InjectedFault(FaultKind.REFUSE, key="A2", code=USER, message=echo),
            InjectedFault(FaultKind.LOSE_AFTER_APPLYING, key="A3"),
            InjectedFault(FaultKind.STATUS, key="A4", status=422, body=echo),
            InjectedFault(FaultKind.STATUS, key="A5", status=500, code="SYSTEM_ERROR", message=echo),
            InjectedFault(FaultKind.REFUSE, key="S1|BUY", code="ZMDATA.USER_ID_ERROR", message=echo),
            InjectedFault(FaultKind.REFUSE, key="1004-*", code="PARAM_ERROR", message=echo),
        ]
    )

    said = [workspace.backfill("plan", job) for job in ("orders", "tasks", "states", "points")]
    said += [workspace.backfill("run", job) for job in ("orders", "tasks", "states", "points")]
    said += [workspace.backfill("run", "orders", "--log-format", "json", "--format", "jsonl")]
    said += [workspace.backfill("plan", "orders", "--json"), workspace.backfill("rerun", "last", "--json")]
    said += [workspace.backfill("runs"), *(workspace.backfill("show", report.name) for report in workspace.reports())]
    said += [workspace.backfill("report", report.name, "--format", "jsonl") for report in workspace.reports()]

    assert [one.exit_code for one in said[:9]] == [3] * 9
    assert "internal error" not in "".join(one.stderr for one in said)
    assert leaks(workspace, said) == set()
    # The ids were there to be leaked: the rows to fix have them.
    to_fix = "".join((report / "rows_to_fix.csv").read_text() for report in workspace.reports())
    assert [mark for mark in IDS if mark not in to_fix] == []


def test_a_run_that_stops_prints_no_secrets(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same holds if the platform's refusal repeats the request, or the server redirects."""
    configure_all_secrets(workspace, monkeypatch)
    export_marked(workspace)
    said = []
    for fault in (
        InjectedFault(FaultKind.REFUSE, code="invalid-signature", status=401, message=f"{USER} {TOKEN}"),
        InjectedFault(FaultKind.STATUS, status=302, location=f"https://login.example/?user={USER}&token={TOKEN}"),
        InjectedFault(FaultKind.BAD_ENCRYPTION),
    ):
        workspace.simulator.set_faults([fault])
        said.append(workspace.backfill("run", "orders"))

    assert [one.exit_code for one in said] == [4, 4, 4]
    assert leaks(workspace, said) == set()


def test_a_process_of_its_own_prints_no_secrets(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same holds for the command in its own process, killed and resumed, with progress shown."""
    configure_all_secrets(workspace, monkeypatch)
    export_marked(workspace)
    workspace.simulator.set_faults([InjectedFault(FaultKind.SLOW, seconds=0.3)])

    process = workspace.start("run", "orders")
    wait_until(lambda: len(workspace.requests()) >= 1)
    process.terminate()
    stopped = end_of(process)
    workspace.simulator.set_faults([])
    said = [stopped, workspace.command("resume", "last")]

    assert [one.exit_code for one in said] == [5, 3]
    assert leaks(workspace, said) == set()


def test_a_proxys_password_is_not_shown(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreachable or forbidden proxy is reported without the password of its URL."""
    with Simulator() as gone:
        proxy = gone.url.replace("http://", f"http://us:{PASSWORD}@")
    workspace.export("orders.csv", [order(1)])
    workspace.configure({"accounts.zhima": {"proxy": proxy}})
    refused = workspace.backfill("run", "orders")
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    workspace.configure({"accounts.zhima": {"base_url": None}})

    ended = workspace.backfill("run", "orders", "--log-format", "json")

    assert (refused.exit_code, ended.exit_code, workspace.results()) == (2, 3, ["unsent not_connected"])
    assert leaks(workspace, [refused, ended]) == set()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"A1,{AGREEMENT},{USER},2025-11-20 10:00:00\n", id="no header"),
        pytest.param(f"order,{USER}\nA1,x\n", id="an id as heading"),
        pytest.param(f'out_biz_no,"{USER}\nA1,x\n', id="broken header"),
    ],
)
def test_a_file_without_a_header_does_not_show_its_rows(text: str, workspace: Workspace) -> None:
    """If the first line is no header, the error names the file but no user."""
    (workspace.folder / "orders.csv").write_text(text)

    ended = workspace.backfill("run", "orders")

    assert ended.exit_code == 2
    assert [mark for mark in IDS if mark in ended.stderr + ended.stdout] == []


def test_secrets_in_a_broken_config_are_not_shown(workspace: Workspace) -> None:
    """A secret written into the config is refused and not repeated."""
    workspace.configure({"accounts.card": {"apiv3_key": PASSWORD}, "accounts.zhima": {"private_key": PASSWORD}})
    workspace.export("orders.csv", [order(1)])

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, PASSWORD in ended.stderr) == (2, False)
    assert "a secret must not be in the config" in ended.stderr
