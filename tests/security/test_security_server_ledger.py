"""A ledger on a server: no ids or secrets in its statements and errors, no injection, and a verified server."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.workspace import Workspace, order
from tests.postgresql.server import SETTINGS, PostgresServer, chown, running
from tests.security.ends import write_certificate
from tests.security.planted import AGREEMENT, CARD, IDS, OPEN_ID, USER, secrets, written

# Each statement is logged, as a server may do; its parameters are not (docs/how-to/postgresql.md).
LOGGED = ("log_statement=all", "log_min_messages=log", "log_parameter_max_length=0", "log_line_prefix=%a ",
          "logging_collector=on", "log_filename=all.log")  # fmt: skip
KEYS = ("A'); DROP TABLE dues; --", "%s $1 :key ? ?1", 'B" \\ {} $$ /*', "<>&;`|")


@pytest.fixture
def url(postgres: PostgresServer) -> Iterator[str]:
    """An empty database."""
    made = postgres.database()
    yield made
    postgres.drop(made)


@pytest.fixture
def marked(workspace: Workspace) -> Workspace:
    """A workspace in which every id is a planted one, and the ledger knows them from an earlier run."""
    ids = {"user_id": USER, "agreement_no": AGREEMENT, "trade_no": CARD, "ext_info": f'{{"card": "{OPEN_ID}"}}'}
    rows = [order(1, **ids), order(2, **ids), order(3, **ids, trade_amount="-1")]
    workspace.export("orders.csv", rows)
    return workspace


def marks_in(text: str, workspace: Workspace) -> list[str]:
    return [mark for mark in (*IDS, *secrets(workspace.folder)) if mark in text]


def test_no_statement_has_a_value_of_a_row(marked: Workspace) -> None:
    """A server that logs all statements logs neither ids nor secrets; the name of the application is constant."""
    with running((*SETTINGS, *LOGGED)) as server:
        marked.configure({"ledger": {"url": server.database()}})
        ended = [marked.backfill(*words) for words in (("run", "orders"), ("run", "orders"), ("show", "last"))]
        logged = (server.folder / "data" / "log" / "all.log").read_text(encoding="utf-8")

    assert [end.exit_code for end in ended] == [3, 3, 0]
    assert all(text in logged for text in ("backfill LOG:", "COPY dues", "INSERT INTO deliveries"))
    assert marks_in(logged, marked) == []


@pytest.mark.parametrize("table", ["rows", "dues", "deliveries"])
def test_an_error_of_the_server_names_no_row(marked: Workspace, url: str, table: str) -> None:
    """Its message is shown without the detail, which has the line that was refused."""
    marked.configure({"ledger": {"url": url}})
    assert marked.backfill("runs").exit_code == 0
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT wanted CHECK (false)".encode())
    ended = marked.backfill("run", "orders")
    shown = ended.stdout + ended.stderr + "".join(written(marked.folder).values())

    assert ended.exit_code == 1
    assert f'new row for relation "{table}" violates check constraint' in ended.stderr
    assert marks_in(shown, marked) == []


def test_a_key_is_never_a_statement(workspace: Workspace, url: str) -> None:
    """Keys are sent and known as they are, whatever they look like to the server. Names of jobs have no such signs."""
    workspace.configure({"ledger": {"url": url}})
    workspace.export("orders.csv", [order(n, out_biz_no=key) for n, key in enumerate(KEYS)])
    ended = [workspace.backfill("run", "orders") for _ in range(2)]

    assert [end.exit_code for end in ended] == [0, 0]
    assert sorted(workspace.requests()) == sorted(KEYS)
    assert workspace.results() == ["skipped already_succeeded"] * len(KEYS)


def test_the_server_is_verified_if_the_url_says_so(workspace: Workspace, tmp_path: Path) -> None:
    """With `sslmode=verify-full` a server with another certificate is refused, and one with the right one is used."""
    own, other = (write_certificate(tmp_path / f"{name}.pem") for name in ("own", "other"))
    workspace.export("orders.csv", [order(1)])
    with running() as server:
        certificate = server.folder / "data" / "server.pem"
        certificate.write_bytes(own.read_bytes())
        certificate.chmod(0o600)
        chown(certificate)
        server.kill(signal.SIGINT)
        server.settings = (*SETTINGS, "ssl=on", "ssl_cert_file=server.pem", "ssl_key_file=server.pem")
        server.start()
        verified = f"{server.database()}?sslmode=verify-full&sslrootcert="
        workspace.configure({"ledger": {"url": f"{verified}{other}"}})
        refusal = workspace.refused("orders")
        workspace.configure({"ledger": {"url": f"{verified}{own}"}})
        ended = workspace.backfill("run", "orders")

    assert "certificate verify failed" in refusal
    assert (ended.exit_code, workspace.requests()) == (0, ["A1"])
