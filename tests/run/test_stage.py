"""Staging: inputs are read, mapped and staged, or none of their rows is sent."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pipeline.errors import SettingsError, SourceError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Phase, RunState
from pipeline.ledger.run_ledger import RunLedger
from pipeline.map import MappingRules, UsedColumns
from pipeline.model import DEFAULT_MAX_INVALID, Api, CsvFormat, Export, RowLimit, Status
from pipeline.read import SourceFile, find_inputs, open_source
from pipeline.run.events import RunEvents
from pipeline.run.stage import Stager
from pipeline.write.brakes.run_control import Drained, Ending, RunControl
from tests.ledger_runs.job_runs import DEAD, LOST, ME, JobRuns, conclude
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


class Scene:
    """A run to stage, its control, and a folder of inputs."""

    def __init__(self, folder: Path) -> None:
        self.clock = MovedClock()
        self.ledger = Ledger(folder / "backfill.db", self.clock, DEAD)
        self.nights = JobRuns(lambda owner=DEAD: self.ledger, Export.TASKS, clock=self.clock)
        self.run: RunLedger = self.nights.begin()
        self.control = RunControl(self.clock)
        self.folder = folder
        self.seen: list[int] = []

    def files(self, **texts: str) -> list[SourceFile]:
        for name, text in texts.items():
            (self.folder / f"{name}.csv").write_text(text, encoding="utf-8")
        return find_inputs([f"{name}.csv" for name in texts], base=self.folder, date=date(2026, 2, 28))

    def stager(self, limit: int | None = None, max_invalid: RowLimit = DEFAULT_MAX_INVALID) -> Stager:
        return replace(stager_of(self), max_invalid=max_invalid, limit=limit, events=RunEvents(staged=self.seen.append))

    def outcomes(self) -> list[tuple[str, int, str, Status, str]]:
        found = self.ledger.outcomes(self.run.run)
        return [(o.source_file, o.source_row, o.request_key, o.status, o.code) for o in found]

    @property
    def phase(self) -> Phase:
        return self.ledger.find("last").phase


def stager_of(scene: Scene, rules: MappingRules = RULES) -> Stager:
    """Return a stager without limits."""
    open_input = partial(open_source, csv=CsvFormat(), uses=UsedColumns(rules))
    return Stager(ledger=scene.run, rules=rules, open_input=open_input, control=scene.control)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.ledger.close()


def test_all_rows_of_all_files_are_staged(scene: Scene) -> None:
    """The ledger has every row with its place, valid rows as due, and the inputs with their hashes."""
    files = scene.files(a=HEADER + line("A") + line("B", time="soon") + line("C", "2"), b=HEADER + line("D"))

    assert scene.stager().stage(files) == 4
    assert [(file, row, key, status) for file, row, key, status, _ in scene.outcomes()] == [
        (files[0].name, 1, "A", Status.UNSENT),
        (files[0].name, 2, "B", Status.INVALID),
        (files[0].name, 3, "C", Status.UNSENT),
        (files[1].name, 1, "D", Status.UNSENT),
    ]
    assert [due.identity for lane in scene.run.lanes() for due in lane] == ["A", "C-1", "C-2", "D"]
    assert [(source.rows, len(source.sha256)) for source in scene.ledger.inputs(scene.run.run)] == [(3, 64), (1, 64)]
    assert (scene.phase, scene.control.counts, scene.seen[-1]) == (Phase.DELIVERING, Counter({Status.INVALID: 1}), 4)


def test_a_row_that_can_not_be_read_is_invalid(scene: Scene) -> None:
    """A ragged line becomes an invalid row; other rows are staged."""
    files = scene.files(a=HEADER + "A,B\n" + line("C"))
    scene.stager().stage(files)

    assert [(row, status) for _, row, _, status, _ in scene.outcomes()] == [(1, Status.INVALID), (2, Status.UNSENT)]


def test_a_header_without_rows_is_a_run_of_none(scene: Scene) -> None:
    """A file with a header only is staged."""
    assert scene.stager().stage(scene.files(a=HEADER)) == 0
    assert (scene.phase, scene.outcomes()) == (Phase.DELIVERING, [])


@pytest.mark.parametrize(
    ("limit", "rows"), [pytest.param(0, 0, id="none"), pytest.param(2, 2, id="some"), pytest.param(9, 3, id="all")]
)
def test_a_limit_stages_the_first_rows_only(scene: Scene, limit: int, rows: int) -> None:
    """A limit counts rows over all files."""
    files = scene.files(a=HEADER + line("A"), b=HEADER + line("B") + line("C"))

    assert scene.stager(limit).stage(files) == rows
    assert [key for _, _, key, _, _ in scene.outcomes()] == list("ABC")[:rows]


def test_a_column_that_is_missing_is_found_before_any_row_is_staged(scene: Scene) -> None:
    """The headers of all files are checked first."""
    files = scene.files(a=HEADER + line("A"), b="out_biz_no,agreement_no\nB,1\n")

    with pytest.raises((SourceError, SettingsError), match=r"b\.csv"):
        scene.stager().stage(files)
    assert (scene.phase, scene.outcomes()) == (Phase.STAGING, [])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path.write_text(HEADER + line("X") * 9, encoding="utf-8"), id="written-to"),
        pytest.param(lambda path: path.unlink(), id="deleted"),
    ],
)
def test_a_file_that_changes_meanwhile_is_noticed(scene: Scene, change: Callable[[Path], object]) -> None:
    """A file that changed after it was read prevents staging."""
    files = scene.files(a=HEADER + line("A"), b=HEADER + line("B"))

    def meanwhile(rows: int) -> None:
        if rows == 2:
            change(scene.folder / "a.csv")

    stager = replace(stager_of(scene), events=RunEvents(staged=meanwhile))
    with pytest.raises(SourceError, match=r"a\.csv"):
        stager.stage(files)
    assert scene.phase is Phase.STAGING


def test_staging_stops_when_too_many_rows_are_invalid(scene: Scene) -> None:
    """Invalid rows count as failures while reading, so that a wrong mapping ends the run early."""
    scene.control.allow_failures(1)
    files = scene.files(a=HEADER + line("A", time="soon") * 3, b=HEADER + line("B"))

    with pytest.raises(Drained):
        scene.stager().stage(files)
    conclude(scene.run, RunState.STOPPED)
    assert [row for _, row, _, _, _ in scene.outcomes()] == [1, 2, 3]
    assert [source.rows for source in scene.ledger.inputs(scene.run.run)] == [3]


def test_a_batch_with_too_many_invalid_rows_is_not_delivered(scene: Scene) -> None:
    """Such a run has no due rows; its rows have outcomes, and a resume stages it again."""
    rows = line("A") + line("A") + line("B", time="soon") + line("C", "2")
    files = scene.files(a=HEADER + rows)

    with pytest.raises(Drained):
        scene.stager(max_invalid=RowLimit(0)).stage(files)
    ending, message = scene.control.open_as
    record = conclude(scene.run, RunState.STOPPED, ending)

    assert [(key, status, code) for _, _, key, status, code in scene.outcomes()] == [
        ("A", Status.UNSENT, "too_many_invalid"),
        ("A", Status.SKIPPED, "duplicate_row"),
        ("B", Status.INVALID, "field_invalid"),
        ("C", Status.UNSENT, "too_many_invalid"),
    ]
    assert (record.phase, scene.control.ending, scene.control.counts) == (
        Phase.STAGING, Ending.TOO_MANY_INVALID, Counter({Status.INVALID: 1, Status.SKIPPED: 1}),
    )  # fmt: skip
    assert message == "too many rows of the run are invalid, so nothing was sent"
    assert list(scene.ledger.resume(record, ME).lanes()) == []


def test_rows_in_doubt_stay_unknown_if_nothing_is_sent(scene: Scene) -> None:
    """A row that an earlier run may have delivered stays unknown; a delivered one is skipped."""
    files = scene.files(a=HEADER + line("A") + line("B") + line("C", time="soon"))
    scene.stager().stage(files)
    scene.nights.deliver(scene.run, {"A": LOST})
    scene.run = scene.nights.begin()

    with pytest.raises(Drained):
        scene.stager(max_invalid=RowLimit(0)).stage(files)
    conclude(scene.run, RunState.STOPPED, Ending.TOO_MANY_INVALID)

    assert [(key, status, code) for _, _, key, status, code in scene.outcomes()] == [
        ("A", Status.UNKNOWN, "too_many_invalid"),
        ("B", Status.SKIPPED, "already_succeeded"),
        ("C", Status.INVALID, "field_invalid"),
    ]


def test_as_many_invalid_rows_as_are_allowed_do_not_stop(scene: Scene) -> None:
    """With few invalid rows, the valid rows are due."""
    files = scene.files(a=HEADER + line("A") + line("B", time="soon"))

    assert scene.stager(max_invalid=RowLimit(1)).stage(files) == 2
    assert scene.phase is Phase.DELIVERING


def test_staging_again_replaces_the_first_attempt(scene: Scene) -> None:
    """A run killed while staging is staged again from the start."""
    files = scene.files(a=HEADER + line("A"), b=HEADER + line("B"))
    scene.nights.stage(scene.run, [], decide=False)
    scene.stager(1).stage(files)
    again = stager_of(scene)

    assert again.stage(files) == 2
    assert [key for _, _, key, _, _ in scene.outcomes()] == ["A", "B"]


WANTED = replace(RULES, filter={"state": ("ok",)})


def test_rows_that_the_filter_excludes_are_skipped(scene: Scene) -> None:
    """Filtered rows are skipped with their keys, for any content, and count neither as due nor as failed."""
    header = HEADER.strip() + ",state\n"
    texts = [("A", "1", "ok"), ("A", "0", "x"), ("B", "soon", "x"), ("B", "1", "ok"), ("", "", "x"), ("C", "x", "ok")]
    lines = [f"{line(key, times).strip()},{state}\n" for key, times, state in texts]
    stager = stager_of(scene, WANTED)

    assert stager.stage(scene.files(a=header + "".join(lines))) == 3
    assert [(row, key, status, code) for _, row, key, status, code in scene.outcomes()] == [
        (1, "A", Status.UNSENT, "interrupted"),
        (2, "A", Status.SKIPPED, "filtered"),
        (3, "B", Status.SKIPPED, "filtered"),
        (4, "B", Status.UNSENT, "interrupted"),
        (5, "", Status.SKIPPED, "filtered"),
        (6, "C", Status.INVALID, "field_invalid"),
    ]
    assert (scene.control.counts, scene.run.filtered_rows()) == (Counter({Status.INVALID: 1, Status.SKIPPED: 3}), 3)


def test_long_messages_are_cut(scene: Scene) -> None:
    """The message of a row with many faults is cut."""
    files = scene.files(a="out_biz_no,agreement_no,user_id,biz_time,times,biz_action,ext_info\n,,,,0,," + "\n")
    scene.stager().stage(files)
    (outcome,) = scene.ledger.outcomes(scene.run.run)

    assert outcome.status is Status.INVALID
    assert len(outcome.message) <= 504
