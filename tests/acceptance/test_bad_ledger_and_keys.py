"""Unusable ledgers and keys: exit 2 names the cause before anything is sent."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from tests.acceptance.workspace import Workspace, order


def newer(ledger: Path) -> None:
    with sqlite3.connect(ledger) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def no_database(ledger: Path) -> None:
    ledger.write_bytes(b"no database" * 1000)


def of_another_program(ledger: Path) -> None:
    ledger.unlink()
    with sqlite3.connect(ledger) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        pytest.param(newer, "was written by a newer backfill", id="newer"),
        pytest.param(no_database, "the file is no ledger", id="no database"),
        pytest.param(of_another_program, "a database of another program", id="another program's"),
    ],
)
def test_an_unusable_ledger_is_reported(change: Callable[[Path], None], messages: str, workspace: Workspace) -> None:
    """Nothing is sent, the cause is named, and the file is not changed."""
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")
    ledger = workspace.folder / "state" / "backfill.db"
    change(ledger)
    left = ledger.read_bytes()

    assert messages in workspace.refused("orders")
    assert ledger.read_bytes() == left


def test_an_unwritable_ledger_is_reported(workspace: Workspace) -> None:
    """A ledger path below a file is named before anything is sent."""
    workspace.configure({"ledger": {"url": "sqlite:///orders.csv/backfill.db"}})
    workspace.export("orders.csv", [order(1)])

    assert "orders.csv/backfill.db: File exists; check [ledger] url" in workspace.refused("orders")


@pytest.mark.slow
def test_a_locked_ledger_is_reported(workspace: Workspace) -> None:
    """If another process keeps the ledger locked, the command gives up after a while, and nothing is sent."""
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("plan", "orders")
    (workspace.folder / "state").mkdir(exist_ok=True)
    other = sqlite3.connect(workspace.folder / "state" / "backfill.db", isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    try:
        assert "another process keeps it locked" in workspace.refused("orders")
    finally:
        other.close()


def test_a_ledger_of_another_account_is_reported(workspace: Workspace) -> None:
    """An account name with another merchant is refused: another merchant needs another name."""
    workspace.export("orders.csv", [order(1)])
    workspace.backfill("run", "orders")
    workspace.configure({"accounts.zhima": {"app_id": "2021000000000002"}})

    assert "the ledger keeps account zhima as Alipay app 2021000000000001" in workspace.refused("orders")


def no_rsa_key(keys: Path) -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (keys / "app_private_key.pem").write_bytes(pem)


def rubbish(keys: Path) -> None:
    (keys / "app_private_key.pem").write_bytes(b"no key at all")


def another_key(keys: Path) -> None:
    (keys / "app_private_key.pem").write_bytes((keys / "apiclient_key.pem").read_bytes())


def expired(keys: Path) -> None:
    key = load_pem_private_key((keys / "app_private_key.pem").read_bytes(), None)
    assert not isinstance(key, ec.EllipticCurvePrivateKey)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TEST")])
    until = datetime(2024, 5, 6, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7)  # type: ignore[arg-type] # it is RSA's
    builder = builder.not_valid_before(until - timedelta(days=9)).not_valid_after(until)
    made = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type] # as above
    (keys / "app_cert.pem").write_bytes(made.public_bytes(Encoding.PEM))


@pytest.mark.parametrize(
    ("spoil", "messages"),
    [
        pytest.param(no_rsa_key, ["private_key_file", "app_private_key.pem"], id="no RSA key"),
        pytest.param(rubbish, ["private_key_file", "app_private_key.pem"], id="no key"),
        pytest.param(
            another_key, ["app_cert_file", "app_cert.pem does not belong to the app's private key"], id="mismatch"
        ),
        pytest.param(expired, ["app_cert_file", "app_cert.pem", "2024-05-06"], id="expired"),
    ],
)
def test_an_unusable_key_is_reported(spoil: Callable[[Path], None], messages: list[str], workspace: Workspace) -> None:
    """Exit 2 names the file, and the date of a certificate that has expired."""
    workspace.configure(certificates=True)
    workspace.export("orders.csv", [order(1)])
    spoil(workspace.folder / "keys")

    said = workspace.refused("orders")

    assert [part for part in messages if part not in said] == []
