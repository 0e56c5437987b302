"""The how-to's advice on access to the server, tried line by line."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from pipeline.clock import SystemClock
from pipeline.errors import LedgerError
from pipeline.ledger.store.loss_detection.marks import Marks
from pipeline.ledger.store.port import Server
from pipeline.ledger.store.postgresql.database import PostgresDatabase
from tests.postgresql.server import PostgresServer, chown, program, running
from tests.write.certificates import write_certificate

_HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "postgresql.md"
_PASSWORD = "for-tests"


@dataclass(frozen=True)
class Access:
    """A server with the how-to's user, database and line of pg_hba.conf."""

    server: PostgresServer
    authority: Path

    @property
    def url(self) -> str:
        return self.server.url_of("backfill").replace("postgres@", "etl@")


def advice(pattern: str) -> str:
    """Return the only text of the how-to that matches."""
    (found,) = re.findall(pattern, _HOW_TO.read_text(encoding="utf-8"), re.MULTILINE)
    return str(found)


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Access]:
    """Set up a server as the how-to says."""
    certificate = write_certificate(tmp_path_factory.mktemp("authority") / "root.pem")
    with running() as server:
        environ = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "postgres"}
        for pattern in (r"^ +(createuser .*)$", r"^ +(createdb .*)$"):
            name, *words = shlex.split(advice(pattern))
            typed = f"{_PASSWORD}\n" * 2
            subprocess.run([program(name), *words], env=environ, input=typed.encode(), check=True, capture_output=True)
        data = server.folder / "data"
        for name in ("server.crt", "server.key"):
            (data / name).write_bytes(certificate.read_bytes())
            (data / name).chmod(0o600)
            chown(data / name)
        of_etl = advice(r"`(hostssl [^`]*)`").replace("192.0.2.0/24", "127.0.0.0/8")
        (data / "pg_hba.conf").write_text(f"{of_etl}\nhost all postgres 127.0.0.1/32 trust\n", encoding="utf-8")
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"ALTER SYSTEM SET {advice('and `(ssl = on)` with')}".encode())
        server.kill()
        server.start()
        yield Access(server, certificate)


def opened(url: str, folder: Path) -> None:
    """Open the ledger, which makes its tables."""
    PostgresDatabase(Server(url, folder), SystemClock(), Marks([]), patience=0.0).close()


def test_the_user_of_the_how_to_opens_a_ledger_over_tls(
    access: Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password comes from PGPASSFILE, the certificate is checked, and a schema of its own has the tables."""
    passwords = tmp_path / "pgpass"
    passwords.write_text(f"127.0.0.1:{access.server.port}:backfill:etl:{_PASSWORD}\n", encoding="utf-8")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    checked = advice(r"`\?(sslmode=[^`]*)`").replace("/etc/backfill/root.crt", str(access.authority))
    opened(f"{access.url}?{checked}", tmp_path)
    with psycopg.connect(access.server.url_of("backfill"), autocommit=True) as connection:
        connection.execute(advice(r"`(CREATE SCHEMA [^`]*)`").encode())
        opened(f"{access.url}?{checked}&{advice(r'`[?](options=[^`]*)`')}", tmp_path)
        tables = connection.execute("SELECT schemaname, tableowner FROM pg_tables WHERE tablename = 'runs' ORDER BY 1")
        found = tables.fetchall()

    assert found == [("backfill", "etl"), ("public", "etl")]


@pytest.mark.parametrize(
    ("password", "parameters", "reason"),
    [
        pytest.param(_PASSWORD, "sslmode=disable", "no pg_hba.conf entry for host .*no encryption", id="without TLS"),
        pytest.param("another", "", "password authentication failed", id="wrong password"),
        pytest.param("", "", "no password supplied", id="without a password"),
        pytest.param(
            _PASSWORD, "sslmode=verify-full&sslrootcert={other}", "certificate verify failed", id="other authority"
        ),
    ],
)
def test_others_are_refused(
    access: Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str, parameters: str, reason: str
) -> None:
    """Without TLS, the password, or a certificate of the authority, the ledger is not opened."""
    other = write_certificate(tmp_path / "other.pem")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "nothing"))
    monkeypatch.setenv("PGPASSWORD", password)
    with pytest.raises(LedgerError, match=reason):
        opened(f"{access.url}?{parameters.format(other=other)}", tmp_path)
