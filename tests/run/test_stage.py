"""The first act: inputs are read, mapped and staged, or nothing of them is sent."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pipeline.errors import SettingsError, SourceError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Act, RunState
from pipeline.ledger.run_ledger import RunLedger
from pipeline.map import MappingRules
from pipeline.model import Api, CsvFormat, Export, Status
from pipeline.read import SourceFile, find_inputs
from pipeline.run.stage import Stager
from pipeline.write.course import Course, Drained
from tests.contract.nights import DEAD, Nights, conclude
from tests.moved_clock import MovedClock

RULES = MappingRules(
    export=Export.TASKS,
    api=Api.CUMULATION,
    columns={},
    units={},
    constants={"partner_id": "2088000000000000", "task_name": "签到"},
    timezone=ZoneInfo("Asia/Shanghai"),
)
HEADER = "out_biz_no,agreement_no,user_id,biz_time,times\n"


def line(key: str, times: str = "1", time: str = "2026-02-28 10:00:00") -> str:
    return f"{key},20230000000000000001,2088000000000001,{time},{times}\n"


class Desk:
    """A run to stage, a folder of inputs, and the course of the run."""

    def __init__(self, folder: Path) -> None:
        self.clock = MovedClock()
        self.ledger = Ledger(folder / "backfill.db", self.clock, DEAD)
        self.nights = Nights(lambda holder=DEAD: self.ledger, Export.TASKS, clock=self.clock)
        self.run: RunLedger = self.nights.begin()
        self.course = Course(self.clock)
        self.folder = folder
        self.seen: list[int] = []

    def files(self, **texts: str) -> list[SourceFile]:
        for name, text in texts.items():
            (self.folder / f"{name}.csv").write_text(text, encoding="utf-8")
        return find_inputs([f"{name}.csv" for name in texts], base=self.folder, date=date(2026, 2, 28))

    def stager(self, limit: int | None = None) -> Stager:
        return Stager(self.run, RULES, CsvFormat(), self.course, limit=limit, tick=self.seen.append)

    def outcomes(self) -> list[tuple[str, int, str, Status, str]]:
        found = self.ledger.outcomes(self.run.run)
        return [(o.source_file, o.source_row, o.request_key, o.status, o.code) for o in found]

    @property
    def act(self) -> Act:
        return self.ledger.find("last").act


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.ledger.close()


def test_all_rows_of_all_files_are_staged(desk: Desk) -> None:
    """Every row is in the ledger with its place, those that can be sent as due, and the inputs with their sums."""
    files = desk.files(a=HEADER + line("A") + line("B", time="soon") + line("C", "2"), b=HEADER + line("D"))

    assert desk.stager().stage(files) == 4
    assert [(file, row, key, status) for file, row, key, status, _ in desk.outcomes()] == [
        (files[0].name, 1, "A", Status.UNSENT),
        (files[0].name, 2, "B", Status.INVALID),
        (files[0].name, 3, "C", Status.UNSENT),
        (files[1].name, 1, "D", Status.UNSENT),
    ]
    assert [due.identity for lane in desk.run.lanes() for due in lane] == ["A", "C-1", "C-2", "D"]
    assert [(source.rows, len(source.sha256)) for source in desk.ledger.inputs(desk.run.run)] == [(3, 64), (1, 64)]
    assert (desk.act, desk.course.counts, desk.seen[-1]) == (Act.DELIVERING, {Status.INVALID: 1}, 4)


def test_a_row_that_can_not_be_read_is_invalid(desk: Desk) -> None:
    """A ragged line ends as an invalid row, and the others go on."""
    files = desk.files(a=HEADER + "A,B\n" + line("C"))
    desk.stager().stage(files)

    assert [(row, status) for _, row, _, status, _ in desk.outcomes()] == [(1, Status.INVALID), (2, Status.UNSENT)]


def test_a_header_without_rows_is_a_run_of_none(desk: Desk) -> None:
    """A file that holds nothing but its header is staged."""
    assert desk.stager().stage(desk.files(a=HEADER)) == 0
    assert (desk.act, desk.outcomes()) == (Act.DELIVERING, [])


@pytest.mark.parametrize(
    ("limit", "rows"), [pytest.param(0, 0, id="none"), pytest.param(2, 2, id="some"), pytest.param(9, 3, id="all")]
)
def test_only_the_first_rows_are_staged_where_so_asked(desk: Desk, limit: int, rows: int) -> None:
    """A limit counts rows over all files."""
    files = desk.files(a=HEADER + line("A"), b=HEADER + line("B") + line("C"))

    assert desk.stager(limit).stage(files) == rows
    assert [key for _, _, key, _, _ in desk.outcomes()] == list("ABC")[:rows]


def test_a_column_that_is_missing_is_found_before_any_row_is_staged(desk: Desk) -> None:
    """The headers of all files are looked at first."""
    files = desk.files(a=HEADER + line("A"), b="out_biz_no,agreement_no\nB,1\n")

    with pytest.raises((SourceError, SettingsError), match=r"b\.csv"):
        desk.stager().stage(files)
    assert (desk.act, desk.outcomes()) == (Act.STAGING, [])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path.write_text(HEADER + line("X") * 9, encoding="utf-8"), id="written-to"),
        pytest.param(lambda path: path.unlink(), id="deleted"),
    ],
)
def test_a_file_that_changes_meanwhile_is_noticed(desk: Desk, change: Callable[[Path], object]) -> None:
    """A file that is not what it was when it was read keeps the run from being staged."""
    files = desk.files(a=HEADER + line("A"), b=HEADER + line("B"))

    def meanwhile(rows: int) -> None:
        if rows == 2:
            change(desk.folder / "a.csv")

    stager = Stager(desk.run, RULES, CsvFormat(), desk.course, tick=meanwhile)
    with pytest.raises(SourceError, match=r"a\.csv"):
        stager.stage(files)
    assert desk.act is Act.STAGING


def test_staging_stops_when_too_many_rows_are_invalid(desk: Desk) -> None:
    """Invalid rows count as failures while they are read, so that a wrong mapping ends the run early."""
    desk.course.allow_failures(1)
    files = desk.files(a=HEADER + line("A", time="soon") * 3, b=HEADER + line("B"))

    with pytest.raises(Drained):
        desk.stager().stage(files)
    conclude(desk.run, RunState.STOPPED)
    assert [row for _, row, _, _, _ in desk.outcomes()] == [1, 2, 3]
    assert [source.rows for source in desk.ledger.inputs(desk.run.run)] == [3]


def test_staging_anew_forgets_the_first_time(desk: Desk) -> None:
    """A run that died while it was staged is staged from the beginning."""
    files = desk.files(a=HEADER + line("A"), b=HEADER + line("B"))
    desk.nights.stage(desk.run, [], sift=False)
    desk.stager(1).stage(files)
    again = Stager(desk.run, RULES, CsvFormat(), desk.course)

    assert again.stage(files) == 2
    assert [key for _, _, key, _, _ in desk.outcomes()] == ["A", "B"]


def test_long_messages_are_cut(desk: Desk) -> None:
    """However much is wrong with a row, its message stays readable."""
    files = desk.files(a="out_biz_no,agreement_no,user_id,biz_time,times,biz_action,ext_info\n" + "," * 6 + "\n")
    desk.stager().stage(files)
    (outcome,) = desk.ledger.outcomes(desk.run.run)

    assert outcome.status is Status.INVALID
    assert len(outcome.message) <= 504
