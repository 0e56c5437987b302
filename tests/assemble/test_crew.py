"""A crew's own process: what it reads, and how it tells what stops it."""

import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from pipeline.assemble.crew import Brief, carry_lanes
from pipeline.assemble.delivering import Parts, Spread, shares
from pipeline.assemble.fingerprint import fingerprint
from pipeline.assemble.outside import Outside
from pipeline.clock import SystemClock
from pipeline.engines.one_core import Seat
from pipeline.engines.spawning import Started
from pipeline.engines.tether import Call, Done, Failed, Return, Tether
from pipeline.errors import CrewLost, PipelineError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.quotas import QuotaStore
from pipeline.model import Api
from pipeline.settings import Account, Job, load
from pipeline.simulator import Simulator, client_config, write_client_keys
from pipeline.write.bridge import Standing
from pipeline.write.course import Course
from tests.assemble.test_platform_of_account import ALIPAY, WECHAT, job
from tests.contract.nights import DEAD, Nights
from tests.engines.test_processes import Thread
from tests.moved_clock import MovedClock

OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_JOB = """
[jobs.orders]
export = "orders"
api = "alipay.cumulation"
account = "zhima"
"""


@pytest.mark.parametrize(
    ("number", "among", "expected"),
    [
        pytest.param(16, 2, [8, 8], id="even"),
        pytest.param(16, 3, [6, 5, 5], id="uneven"),
        pytest.param(3, 3, [1, 1, 1], id="one-each"),
        pytest.param(5, 1, [5], id="all-for-one"),
    ],
)
def test_what_is_in_flight_is_shared_out(number: int, among: int, expected: list[int]) -> None:
    """The processes of a run have together as many requests in flight as the job allows."""
    assert shares(number, among) == expected


@pytest.mark.parametrize(
    ("known", "changed"),
    [
        pytest.param(ALIPAY, replace(ALIPAY, private_key=OTHER_KEY), id="private-key"),
        pytest.param(ALIPAY, replace(ALIPAY, public_key=OTHER_KEY.public_key()), id="public-key"),
        pytest.param(ALIPAY, replace(ALIPAY, base_url="https://openapi.example"), id="address"),
        pytest.param(ALIPAY, replace(ALIPAY, encrypt_key=b"0123456789abcdef"), id="secret"),
        pytest.param(WECHAT, replace(WECHAT, apiv3_key=b"0" * 32), id="apiv3-key"),
        pytest.param(WECHAT, replace(WECHAT, proxy=None), id="proxy"),
    ],
)
def test_a_changed_account_has_another_fingerprint(known: Account, changed: Account) -> None:
    """Whatever of an account says where and with what to send shows in its fingerprint."""
    same = replace(known)

    assert fingerprint(job(Api.POINTS), known) == fingerprint(job(Api.POINTS), same)
    assert fingerprint(job(Api.POINTS), known) != fingerprint(job(Api.POINTS), changed)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(replace(job(Api.POINTS), rate=4.0), id="rate"),
        pytest.param(replace(job(Api.POINTS), constants={"brand_id": "2"}), id="constant"),
        pytest.param(replace(job(Api.POINTS), timeout_s=8.0), id="patience"),
    ],
)
def test_a_changed_job_has_another_fingerprint(changed: Job) -> None:
    """So does whatever of a job matters."""
    assert fingerprint(changed, WECHAT) != fingerprint(job(Api.POINTS), WECHAT)


@dataclass
class Bridge:
    """The run's end of the tether: it hands out no lanes, and keeps what it was asked."""

    connection: "Connection[Any, Any]"
    questions: list[str]

    def serve(self) -> Done | Failed:
        """Answer until the crew says its last word."""
        while isinstance(message := self.connection.recv(), Call):
            self.questions.append(message.question)
            news = Standing(message.serial, SystemClock().steady() + 60, is_calm=True)
            self.connection.send(Return(message.serial, ([], []), news))
        assert isinstance(message, Done | Failed)
        return message


@pytest.fixture
def brief(tmp_path: Path) -> Brief:
    """What a crew is told that is to carry lanes of a job in this folder."""
    with Simulator() as simulator:
        url = simulator.url
    write_client_keys(tmp_path / "keys")
    path = tmp_path / "backfill.toml"
    path.write_text(client_config(url) + _JOB, encoding="utf-8")
    config = load(path, environ={}, at=SystemClock().now(), only_job="orders")
    (tmp_path / "state").mkdir()
    known = fingerprint(config.jobs["orders"], config.accounts["zhima"])
    return Brief(path, {}, known, tmp_path / "state" / "quota", "orders", workers=2, seat=Seat())


def begin(end: socket.socket, environ: Mapping[str, str] = MappingProxyType({}), **others: Any) -> Any:
    """Start a crew at this end of a tether."""
    return subprocess.Popen(
        [sys.executable, "-c", f"from pipeline.assemble.crew import main; main({end.fileno()})"],
        pass_fds=(end.fileno(),), env={"PYTHONPATH": str(Path(__file__).parents[2]), **environ}, **others,
    )  # fmt: skip


def last_word(brief: Brief, environ: Mapping[str, str] | None = None) -> tuple[Done | Failed, list[str]]:
    """Run a crew in a process of its own; return its last word, and what it asked."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = begin(theirs, environ=environ or {})
    with Connection(ours.detach()) as connection:
        connection.send(brief)
        bridge = Bridge(connection, [])
        told = bridge.serve()
        assert process.wait(20) == 0
    return told, bridge.questions


def test_a_crew_without_lanes_is_done(brief: Brief) -> None:
    """A crew reads the config for itself, asks for lanes, gives a sign of life and ends."""
    told, questions = last_word(brief)

    assert (told, set(questions)) == (Done(), {"record", "report"})


def test_a_config_that_changed_is_not_used(brief: Brief) -> None:
    """A crew that reads another config than the run did sends nothing, and the run ends with a clear error."""
    with brief.config.open("a", encoding="utf-8") as file:
        file.write("rate = 7\n")
    told, questions = last_word(brief)

    assert isinstance(told, Failed)
    assert isinstance(told.error, CrewLost)
    assert told.error.fate == f"could not begin: {brief.config} or a key it names changed while the run began"
    assert questions == []


def test_a_crew_draws_on_the_quota_of_its_run(brief: Brief) -> None:
    """Where the config names another ledger by now the crew still draws on the quota that the run draws on."""
    with brief.config.open("a", encoding="utf-8") as file:
        file.write('[ledger]\nurl = "sqlite:///state/other.db"\n')
    told, _ = last_word(brief)

    assert isinstance(told, Done)
    assert {path.name.removesuffix("-wal").removesuffix("-shm") for path in brief.quota.parent.iterdir()} == {"quota"}


def test_a_run_names_its_quota(tmp_path: Path) -> None:
    """All crews of a run are told of the quota beside the ledger that the run holds."""
    told: list[Any] = []

    def hear(tether: Tether, brief: Any) -> None:
        told.append(brief)
        tether.end(Done())

    def start() -> Started:
        ours, theirs = socket.socketpair()
        return Started(Thread(hear, theirs, 0), Connection(ours.detach()))

    ledger = Ledger(tmp_path / "here.db", MovedClock(), DEAD)
    held = Nights(lambda _holder=DEAD: ledger).begin()
    outside = replace(Outside.real(SystemClock(), {}), start_crew=start)
    parts = Parts(replace(job(Api.POINTS), concurrency=2), WECHAT, held, Course(outside.clock), outside)
    Spread(parts, tmp_path / "backfill.toml", 2).deliver(iter(()), tick=lambda: None)
    ledger.close()

    assert [brief.quota for brief in told] == [tmp_path / "here.db-quota"] * 2
    assert {brief.seat for brief in told} == {Seat(0, 2), Seat(1, 2)}


def test_a_crew_whose_run_is_gone_ends_quietly() -> None:
    """Where the run ended while its crew began, the crew says nothing of it."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = begin(theirs, stderr=subprocess.PIPE)
    ours.close()

    assert (process.communicate(timeout=20), process.returncode) == ((None, b""), 0)


def test_a_crew_lets_go_of_its_quota(brief: Brief, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crew closes the quota's file itself once it has no more lanes."""
    closed: list[QuotaStore] = []

    class Noted(QuotaStore):
        def close(self) -> None:
            closed.append(self)
            super().close()

    monkeypatch.setattr("pipeline.assemble.crew.QuotaStore", Noted)
    ours, theirs = (Connection(end.detach()) for end in socket.socketpair())
    with ours, theirs:
        bridge = threading.Thread(target=Bridge(ours, []).serve)
        bridge.start()
        tether = Tether(theirs, lambda: None)
        carry_lanes(brief, tether, Outside.real(SystemClock(), {}))
        tether.end(Done())
        bridge.join(20)

    assert len(closed) == 1


def test_an_error_of_the_program_is_told_without_values(brief: Brief) -> None:
    """What a crew can't foresee is told by its kind and place alone; its values may be secrets."""
    told, _ = last_word(replace(brief, environ=None))  # type: ignore[arg-type] # a fault of the program

    assert isinstance(told, Failed)
    assert isinstance(told.error, CrewLost)
    assert told.error.fate.startswith("met an internal error (")


def test_errors_survive_the_way_between_processes(brief: Brief) -> None:
    """A ledger error of a crew, here of its quota, comes over as it is."""
    brief.quota.mkdir()
    told, _ = last_word(brief)

    assert isinstance(told, Failed)
    assert isinstance(told.error, PipelineError)
    assert "that is a folder" in str(told.error)
