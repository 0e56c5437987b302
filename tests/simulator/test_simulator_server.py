"""The server: its own paths, journal file, client files and the command."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import json
import os
import signal
import socket
import tomllib
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pipeline.errors import SettingsError
from pipeline.simulator import Decision, FaultKind, InjectedFault, Simulator, client_config, write_client_keys
from pipeline.simulator.command import add_arguments, run

if TYPE_CHECKING:
    from tests.simulator.conftest import Made, Merchant, MovableClock


def test_it_listens_on_loopback_alone(simulator: Simulator) -> None:
    """No other machine can reach the address."""
    assert urlsplit(simulator.url).hostname == "127.0.0.1"


def test_health_and_unknown_paths(merchant: Merchant) -> None:
    """Health says ok; an unknown path is 404 and a wrong method 405, both with an empty body."""
    health = merchant.send("GET", "/_simulator/health", {})
    others = [
        merchant.send(*request, {}) for request in (("GET", "/v3/x"), ("GET", "/gateway.do"), ("GET", "/_simulator/x"))
    ]

    assert health.json == {"status": "ok"}
    assert [(answer.status, answer.body) for answer in others] == [(404, b""), (405, b""), (404, b"")]


def test_the_journal_and_its_summary_can_be_read(merchant: Merchant, make: Made) -> None:
    """Both list requests and decisions as JSON, without a user's id."""
    merchant.points(make.points("a"))
    merchant.points(make.points("a"))
    merchant.points(make.points("a", point_balance=1))

    journal = merchant.send("GET", "/_simulator/journal", {})
    summary = merchant.send("GET", "/_simulator/summary", {}).json

    assert [entry["decision"] for entry in journal.json] == ["applied", "repeated", "conflict"]
    assert journal.json[0] | {"body_digest": "", "card": ""} == {
        "number": 1,
        "api": "wechatpay.points",
        "merchant": "1900000001",
        "key": "a",
        "body_digest": "",
        "arrived_at": "2025-11-20T10:00:00+00:00",
        "steady": 1000.0,
        "decision": "applied",
        "code": "SUCCESS",
        "status": 200,
        "fault": None,
        "card": "",
        "points": 1000,
    }
    assert b"oTESTopenid" not in journal.body
    assert b"478515830001" not in journal.body
    assert summary == {
        "requests": 3,
        "applied": 1,
        "repeats": 1,
        "conflicts": 1,
        "throttled": 0,
        "refused": 0,
        "untouched": 0,
        "served": 0,
        "faults": {},
        "peaks": [{"api": "wechatpay.points", "merchant": "1900000001", "requests_in_one_second": 3}],
    }


def test_a_posted_script_replaces_the_faults(simulator: Simulator, merchant: Merchant) -> None:
    """A posted script replaces the faults; a wrong one is refused and changes nothing."""
    good = merchant.send("POST", "/_simulator/faults", {}, b"[[fault]]\nkind = 'status'\nstatus = 503")
    struck = merchant.report().status
    wrong = merchant.send("POST", "/_simulator/faults", {}, b"[[fault]]\nkind = 'rain'")
    still = merchant.report().status

    assert (good.json, struck, wrong.status, still) == ({"faults": 1}, 503, 400, 503)
    assert wrong.json["errors"][0].startswith("request body: [[fault]] 1: `kind` is 'rain', which is not known")
    assert simulator.journal.applied_keys() == []


def test_reset_forgets_everything(simulator: Simulator, merchant: Merchant) -> None:
    """After a reset keys are free again, the journal is empty and the faults are those of the start."""
    merchant.report(nonce="n")
    simulator.set_faults([InjectedFault(FaultKind.CUT_BODY)])

    reset = merchant.send("POST", "/_simulator/reset", {})
    answer = merchant.report(nonce="n")

    assert (reset.status, answer.status) == (200, 200)
    assert [entry.decision for entry in simulator.journal.entries] == [Decision.APPLIED]


def test_the_journal_file_has_each_line_as_soon_as_its_answer(tmp_path: Path, clock: MovableClock) -> None:
    """JSON lines are appended while the simulator runs."""
    path = tmp_path / "journal.jsonl"
    path.write_text('{"number":0}\n', encoding="utf-8")
    with Simulator(clock=clock, journal_path=path) as simulator:
        request = urllib.request.Request(f"{simulator.url}/gateway.do?charset=utf-8", data=b"", method="POST")
        with urllib.request.urlopen(request):
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    assert [(line["number"], line.get("code")) for line in lines] == [(0, None), (1, "isv.missing-app-id")]


def test_a_connection_stays_open_for_many_requests(simulator: Simulator) -> None:
    """HTTP/1.1 requests follow each other on one connection until the client asks to close it."""
    connection = http.client.HTTPConnection(urlsplit(simulator.url).netloc, timeout=10)
    sockets = []
    for headers in ({}, {}, {"Connection": "close"}):
        connection.request("GET", "/_simulator/health", headers=headers)
        sockets.append(connection.sock)
        connection.getresponse().read()

    assert sockets[0] is sockets[1] is sockets[2]
    assert connection.sock is None


@pytest.mark.parametrize(
    ("request_bytes", "status_line"),
    [
        pytest.param(b"hello\r\n\r\n", b"HTTP/1.1 400 Bad Request", id="no request line"),
        pytest.param(b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"HTTP/1.1 400 Bad Request", id="no header"),
        pytest.param(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"HTTP/1.1 400 Bad Request", id="a chunked body"
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
            b"HTTP/1.1 413 Request Entity Too Large",
            id="a body too large",
        ),
    ],
)
def test_a_malformed_request_ends_its_connection(
    request_bytes: bytes, status_line: bytes, simulator: Simulator
) -> None:
    """Malformed requests get a status and the end of the connection."""
    port = urlsplit(simulator.url).port
    with socket.create_connection(("127.0.0.1", port or 0), timeout=10) as connection:
        connection.sendall(request_bytes)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))

    assert answer.split(b"\r\n")[0] == status_line


def test_a_simulator_that_ends_closes_its_connections(clock: MovableClock) -> None:
    """Open connections end with the simulator, as with a server that goes down."""
    with Simulator(clock=clock) as simulator:
        connection = http.client.HTTPConnection(urlsplit(simulator.url).netloc, timeout=10)
        connection.request("GET", "/_simulator/health")
        connection.getresponse().read()

    assert connection.sock is not None
    assert connection.sock.recv(1) == b""
    connection.close()


def test_the_url_exists_inside_the_with_block_only() -> None:
    """Reading the URL of a simulator that does not serve raises RuntimeError."""
    with pytest.raises(RuntimeError, match="only inside its `with` block"):
        _ = Simulator().url


def test_threads_that_send_one_key_apply_it_once(simulator: Simulator, merchant: Merchant) -> None:
    """Of many simultaneous requests with one key and content, one is applied and the others are repeats."""
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: merchant.report().status, range(40)))

    decisions = [entry.decision for entry in simulator.journal.entries]
    assert answers == [200] * 40
    assert decisions == [Decision.APPLIED, *[Decision.REPEATED] * 39]
    assert [entry.number for entry in simulator.journal.entries] == list(range(1, 41))


def test_wrong_ports_journals_and_limits_are_refused(simulator: Simulator, tmp_path: Path) -> None:
    """Wrong settings raise SettingsError before anything is served."""
    port = urlsplit(simulator.url).port or 0
    with pytest.raises(SettingsError, match=f"can't listen on port {port}"), Simulator(port=port):
        pass
    for port in (-1, 65536):
        with pytest.raises(SettingsError, match=f"port {port} is not between 0"), Simulator(port=port):
            pass
    with pytest.raises(SettingsError, match="can't write the journal"), Simulator(journal_path=tmp_path):
        pass
    with pytest.raises(SettingsError) as raised:
        Simulator(limits={"points": 5, "wechatpay.points": 0})
    assert [sentence.split(";")[0] for sentence in raised.value.faults] == [
        "limits: 'points' is not an API",
        "limits: wechatpay.points is 0, but must be at least 1",
    ]


def test_client_keys_never_replace_other_keys(tmp_path: Path) -> None:
    """Client keys can be written again, and are refused for a folder with another key of that name."""
    write_client_keys(tmp_path / "keys")
    write_client_keys(tmp_path / "keys")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "app_private_key.pem").write_text("precious", encoding="utf-8")

    with pytest.raises(SettingsError, match=r"app_private_key.pem exists and is not a test key"):
        write_client_keys(tmp_path / "real")

    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == [
        "alipay_cert.pem",
        "alipay_cert_reissued.pem",
        "alipay_public_key.pem",
        "alipay_root_cert.pem",
        "apiclient_cert.pem",
        "apiclient_key.pem",
        "apiv3_key.txt",
        "app_cert.pem",
        "app_private_key.pem",
        "brand_cert.pem",
        "brand_key.pem",
        "brand_wechatpay_public_key.pem",
        "encrypt_key.txt",
        "wechatpay_cert.pem",
        "wechatpay_public_key.pem",
    ]
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["app_private_key.pem"]
    assert load_pem_private_key((tmp_path / "keys" / "apiclient_key.pem").read_bytes(), None) is not None


@pytest.mark.parametrize("certificates", [False, True])
def test_the_config_names_files_that_exist(certificates: bool, tmp_path: Path) -> None:
    """Every file that the accounts name exists, and all accounts use the simulator's URL."""
    write_client_keys(tmp_path / "keys")
    accounts = tomllib.loads(client_config("http://127.0.0.1:1", certificates=certificates, brand=True))["accounts"]

    named = [value for account in accounts.values() for key, value in account.items() if key.endswith("_file")]

    assert [(tmp_path / name).is_file() for name in named] == [True] * (8 if certificates else 6)
    assert {account["base_url"] for account in accounts.values()} == {"http://127.0.0.1:1"}


class Terminal(io.StringIO):
    """Keeps the output, and sends this process a signal after the last text of the start."""

    def __init__(self, last_text: str, number: signal.Signals) -> None:
        super().__init__()
        self._last_text = last_text
        self._number = number

    def write(self, text: str) -> int:
        written = super().write(text)
        if self._last_text in text:
            os.kill(os.getpid(), self._number)
        return written


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_the_command_serves_until_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    """The command prints its URL, writes config and keys, and ends at a signal with counts and exit code 0."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(["--port", "0", "--keys", str(tmp_path), "--points-rate", "7", "--seed", "1"])

    with contextlib.redirect_stdout(Terminal("accounts in ", number)) as printed:
        code = run(args)

    lines = printed.getvalue().splitlines()
    assert (code, lines[0].startswith("simulator at http://127.0.0.1:"), lines[-1]) == (0, True, "no requests")
    assert (tmp_path / "keys" / "app_private_key.pem").is_file()
    assert "[accounts.card]" in (tmp_path / "backfill.toml").read_text(encoding="utf-8")


def test_the_command_leaves_a_config_that_is_not_its_own(tmp_path: Path) -> None:
    """An existing config is not changed; the accounts are printed instead."""
    config = tmp_path / "backfill.toml"
    config.write_text("# mine\n", encoding="utf-8")
    parser = argparse.ArgumentParser()
    add_arguments(parser)

    with contextlib.redirect_stdout(Terminal("[accounts.zhima]", signal.SIGTERM)) as printed:
        run(parser.parse_args(["--port", "0", "--keys", str(tmp_path)]))

    assert config.read_text(encoding="utf-8") == "# mine\n"
    assert "was not changed" in printed.getvalue()


def test_the_command_without_keys_prints_the_accounts(tmp_path: Path) -> None:
    """Faults and journal come from files; without --keys the accounts are printed and nothing is written."""
    faults = tmp_path / "faults.toml"
    faults.write_text("[[fault]]\nkind = 'cut_body'\n", encoding="utf-8")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = ["--port", "0", "--faults", str(faults), "--journal", str(tmp_path / "journal.jsonl")]

    with contextlib.redirect_stdout(Terminal("[accounts.zhima]", signal.SIGTERM)) as printed:
        run(parser.parse_args(options))

    assert '[accounts.card]\nplatform = "wechatpay"' in printed.getvalue()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faults.toml", "journal.jsonl"]
