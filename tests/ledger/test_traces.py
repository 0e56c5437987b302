"""Whether a ledger knows all that was sent: by marks, the file of quotas, and reports."""

import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pipeline.errors import LedgerBehind
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunState
from pipeline.ledger.store.loss_detection.traces import ReportTrace, Traces
from pipeline.model import Export
from tests.ledger_runs.job_runs import DEAD, ME, JobRuns, conclude
from tests.ledger_runs.staged_rows import StagedRow, balance, order
from tests.moved_clock import MovedClock


def salted(points: int, salt: str) -> StagedRow:
    """Return a balance under a key that is made from the row and the salt."""
    row = balance("X", points, key=f"X={points}@{salt}")
    (payload,) = row.payloads
    return replace(row, payloads=(replace(payload, key_is_derived=True),))


ENDED = "2026-03-01T12:00:09.000Z"


@dataclass
class Reports:
    """Reports by run, with the end of each run."""

    ended: dict[str, str | None] = field(default_factory=dict)
    foreign: Mapping[str, str] = field(default_factory=dict)

    def run_ids(self) -> list[str]:
        return [*self.ended, *self.foreign]

    def read(self, run_id: str) -> ReportTrace | None:
        return ReportTrace(run_id, self.ended[run_id]) if run_id in self.ended else None


@dataclass
class Place:
    """A ledger with all files around it; each command opens it again."""

    folder: Path
    reports: Reports = field(default_factory=Reports)
    clock: MovedClock = field(default_factory=MovedClock)

    def __post_init__(self) -> None:
        self.state.mkdir()
        (self.folder / "report").mkdir()
        self.nights = JobRuns(lambda owner=DEAD: self.open(), Export.POINTS, clock=self.clock)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def open(self) -> Ledger:
        traces = Traces(
            mark=self.state / "ledger.db-mark",
            report_mark=self.folder / "config-mark",
            quota=self.state / "ledger.db-quota",
            reports=self.reports,
        )
        return Ledger(self.state / "ledger.db", self.clock, DEAD, traces=traces)

    def night(self, points: int, *, resync: bool = False) -> list[str]:
        """Run a night with one balance; return how it ended. It leaves a report, and the file of quotas."""
        with closing(self.open()) as ledger:
            run = ledger.begin(self.nights.new(), ME, resync=resync)
            ledger.quotas()
            run.reports_to(self.folder / "report")
            self.nights.stage(run, [salted(points, run.salt)])
            record = self.nights.deliver(run, {})
            self.reports.ended[record.run_id] = record.finished_at
            return [f"{outcome.status} {outcome.code}" for outcome in ledger.outcomes(record)]

    def back_up(self) -> None:
        shutil.copytree(self.state, self.folder / "backup", dirs_exist_ok=True)
        with closing(sqlite3.connect(self.state / "ledger.db")) as live:
            live.execute("VACUUM INTO ?", (str(self.folder / "backup" / "whole.db"),))
        (self.folder / "backup" / "whole.db").replace(self.folder / "backup" / "ledger.db")

    def restore(self, *names: str) -> None:
        for name in names:
            shutil.copy(self.folder / "backup" / name, self.state / name)

    def signs(self) -> str:
        """Return the signs that the ledger is behind; none if it may be used."""
        with closing(self.open()) as ledger:
            try:
                ledger.refuse_if_behind()
            except LedgerBehind as behind:
                begin, end = ("may not know all that was sent: ", ". Nothing was sent now.")
                return str(behind).partition(begin)[2].partition(end)[0].replace(f"{self.folder}/", "")
        return ""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A ledger that has sent a balance, was backed up, and has sent another one."""
    one = Place(tmp_path)
    one.night(100)
    one.back_up()
    one.night(200)
    return one


def all_state(place: Place) -> None:
    place.restore("ledger.db", "ledger.db-mark", "ledger.db-quota")


def only_the_ledger(place: Place) -> None:
    place.restore("ledger.db")


def without_reports(place: Place) -> None:
    only_the_ledger(place)
    place.reports.ended.clear()


def all_state_without_reports(place: Place) -> None:
    all_state(place)
    place.reports.ended.clear()


def state_lost(place: Place) -> None:
    shutil.rmtree(place.state)
    place.state.mkdir()


def ledger_lost(place: Place) -> None:
    (place.state / "ledger.db").unlink()


def quota_lost(place: Place) -> None:
    (place.state / "ledger.db-quota").unlink()


LATER = "requests left after the last one that it knows (noted in {})"
OTHER = "another ledger, or a later state of this one, was in use (noted in {})"
ONE_REPORT = "it lacks the run of 1 report, the last one ORDERS-0001 (if of another config, move them away)"
TWO_REPORTS = ONE_REPORT.replace("1 report", "2 reports")


@pytest.mark.parametrize(
    ("lose", "signs"),
    [
        pytest.param(lambda _: None, "", id="nothing"),
        pytest.param(only_the_ledger, f"{LATER.format('state/ledger.db-mark')}; {ONE_REPORT}", id="the ledger"),
        pytest.param(without_reports, LATER.format("state/ledger.db-mark"), id="the ledger, and reports are gone"),
        pytest.param(all_state, f"{LATER.format('config-mark')}; {ONE_REPORT}", id="all state"),
        pytest.param(all_state_without_reports, LATER.format("config-mark"), id="all state, and reports lie elsewhere"),
        pytest.param(state_lost, f"{OTHER.format('config-mark')}; {TWO_REPORTS}", id="no state at all"),
        pytest.param(ledger_lost, f"{OTHER.format('state/ledger.db-mark')}; {TWO_REPORTS}", id="no ledger"),
        pytest.param(quota_lost, "state/ledger.db-quota is missing", id="no quota"),
    ],
)
def test_a_ledger_that_is_behind_is_refused(lose: Callable[[Place], None], signs: str, place: Place) -> None:
    """
    Whatever was restored or lost, another file shows it. A resync makes the ledger usable again, for good.

    The platform has 200: a balance of 100 is sent, under a key that it never saw.
    """
    lose(place)
    place.nights.keys_sent()

    assert place.signs() == signs
    if signs:
        with pytest.raises(LedgerBehind):
            place.night(100)
    resynced = place.night(100, resync=True)
    (key,) = place.nights.keys_sent()
    again = place.night(100)

    assert (resynced, again, place.signs()) == (["succeeded SUCCESS"], ["skipped unchanged"], "")
    assert key not in ("X=100@", "X=200@")


def test_a_complete_ledger_needs_no_traces(place: Place) -> None:
    """A ledger that knows all needs no mark and no report."""
    place.reports.ended.clear()
    for mark in (place.state / "ledger.db-mark", place.folder / "config-mark"):
        mark.unlink()

    assert (place.signs(), place.night(200)) == ("", ["skipped unchanged"])


def test_deleting_all_begins_anew(place: Place) -> None:
    """Without state and reports nothing shows that there was another ledger."""
    state_lost(place)
    place.reports.ended.clear()
    shutil.rmtree(place.folder / "report")

    assert (place.signs(), place.night(200)) == ("", ["succeeded SUCCESS"])


def test_reports_of_another_config_are_ignored(place: Place) -> None:
    """A report of an account that this config does not have is no sign."""
    place.reports.foreign = {"POINTS-9999": ENDED}

    assert place.signs() == ""


def test_the_last_report_may_be_newer_than_the_ledger(tmp_path: Path) -> None:
    """A ledger that was backed up during a run knows the run, but not its end."""
    one = Place(tmp_path)
    with closing(one.open()) as ledger:
        run = one.nights.begin(ledger)
        ledger.quotas()
        one.nights.stage(run, [balance("X", 100)])
        one.back_up()
        conclude(run, RunState.COMPLETED)
    one.restore("ledger.db")
    one.reports.ended["ORDERS-0000"] = ENDED

    signs = one.signs()
    one.night(100, resync=True)

    assert signs == f"the report of run ORDERS-0000 says that it ended at {ENDED}, and the ledger does not"
    assert one.signs() == ""


def test_a_backup_after_the_last_request_is_used(tmp_path: Path) -> None:
    """A backup after which nothing was sent is as good as the ledger itself."""
    one = Place(tmp_path)
    one.night(100)
    one.back_up()
    one.restore("ledger.db", "ledger.db-mark", "ledger.db-quota")

    assert (one.signs(), one.night(100)) == ("", ["skipped unchanged"])


def test_a_backup_from_within_a_run_is_detected(tmp_path: Path) -> None:
    """Each commit after which requests leave is in the mark, also if the run was killed and has no report."""
    one = Place(tmp_path)
    with closing(one.open()) as ledger:
        run = one.nights.begin(ledger)
        ledger.quotas()
        run.reports_to(tmp_path / "report")
        one.nights.stage(run, [balance("X", 100), balance("Y", 100)])
        first, second = (due for lane in run.lanes() for due in lane)
        run.intend([first])
        copy = sqlite3.connect(tmp_path / "copy.db")
        reader = ledger._file.reader
        assert isinstance(reader, sqlite3.Connection)
        reader.backup(copy)
        copy.close()
        run.intend([second])
    shutil.copy(tmp_path / "copy.db", one.state / "ledger.db")

    assert one.signs() == LATER.format("state/ledger.db-mark")


def test_a_restored_resynced_ledger_is_detected(place: Place) -> None:
    """A state from before a resync is not taken for one from after it."""
    only_the_ledger(place)
    place.night(100, resync=True)
    only_the_ledger(place)

    assert place.signs().startswith(OTHER.format("state/ledger.db-mark"))


def test_orders_are_known_in_all_generations(tmp_path: Path) -> None:
    """After a resync orders that the ledger knows as delivered are not sent again: the platform counts a key once."""
    with closing(Ledger(tmp_path / "ledger.db", MovedClock(), DEAD)) as ledger:
        nights = JobRuns(lambda owner=DEAD: ledger)
        nights.run(order("A"))
        run = ledger.begin(nights.new(), ME, resync=True)
        nights.stage(run, [order("A"), order("B")])
        nights.deliver(run, {})

    assert nights.keys_sent() == ["A", "B"]
