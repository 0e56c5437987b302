"""The page, and what it advises."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from pipeline.model import Status
from pipeline.report import Summary, Tally
from pipeline.report.advice import Step, next_steps, verdict
from pipeline.report.page import render_page
from pipeline.tables.outcome_page import Outcome
from tests.report.side_by_side import side_by_side

VOID = frozenset({"meta"})


class Page(HTMLParser):
    """Reads a page: its tags, its texts, and whether every tag that opens is closed in its turn."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture
def page(outcome: Callable[..., Outcome], summary_of: Callable[..., Summary]) -> Callable[..., Page]:
    """Gives the page of a run with one good row and those given."""

    def read(*outcomes: Outcome, **changes: Any) -> Page:
        tally = Tally()
        tally.add(side_by_side(outcome(), *outcomes))
        return Page(render_page(summary_of(tally, **changes), tally, "outcome.csv"))

    return read


def tally_of(outcome: Callable[..., Outcome], new_keys: int, **counts: int) -> Tally:
    tally = Tally()
    for status, count in counts.items():
        for _ in range(count):
            tally.add(side_by_side(outcome(status=Status(status), wants_new_key=status == "rejected" and new_keys > 0)))
            new_keys -= status == "rejected"
    return tally


@pytest.mark.parametrize(
    ("state", "exit_code", "new_keys", "counts", "steps"),
    [
        pytest.param("completed", 0, 0, {"succeeded": 2, "skipped": 1}, [], id="done"),
        pytest.param(
            "completed",
            3,
            0,
            {"unknown": 1, "blocked": 1, "unsent": 1},
            [("Send 3 rows left open again; what the platform has already, it counts once:", "rerun {run}")],
            id="open-rows",
        ),
        pytest.param(
            "completed",
            3,
            0,
            {"invalid": 1},
            [
                (
                    "Fix the 1 row in rows_to_fix.xlsx or rows_to_fix.csv (reason in `_message`), then run it:",
                    "run orders reports/{run}/rows_to_fix.csv",
                )
            ],
            id="rows-to-mend",
        ),
        pytest.param(
            "completed",
            3,
            1,
            {"rejected": 1},
            [
                (
                    "The platform asks for a new request key for 1 row. Send them under new keys:",
                    "rerun {run} --new-keys",
                )
            ],
            id="new-keys-alone",
        ),
        pytest.param(
            "completed",
            3,
            1,
            {"rejected": 2, "unknown": 1},
            [
                (
                    "The platform asks for a new request key for 1 row. Send them under new keys, and 1 row left "
                    "open under the keys they have:",
                    "rerun {run} --new-keys",
                ),
                (
                    "Fix the 1 row in rows_to_fix.xlsx or rows_to_fix.csv (reason in `_message`), then run it:",
                    "run orders reports/{run}/rows_to_fix.csv",
                ),
            ],
            id="new-keys-open-rows-and-rows-to-mend",
        ),
        pytest.param(
            "interrupted",
            5,
            0,
            {"succeeded": 1, "unsent": 9},
            [("Go on with the rows that are left:", "resume {run}")],
            id="interrupted",
        ),
        pytest.param(
            "stopped",
            4,
            0,
            {"unsent": 9},
            [("Mend what the run stopped for, then go on with the rows that are left:", "resume {run}")],
            id="stopped",
        ),
    ],
)
def test_the_steps_to_take_next(
    outcome: Callable[..., Outcome],
    summary_of: Callable[..., Summary],
    run_id: str,
    state: str,
    exit_code: int,
    new_keys: int,
    counts: dict[str, int],
    steps: list[tuple[str, str]],
) -> None:
    """Each way that a run can end has its commands, in the order to give them."""
    tally = tally_of(outcome, new_keys, **counts)

    found = next_steps(summary_of(tally, state=state, exit_code=exit_code), tally)

    assert found == [Step(text, f"backfill {command.format(run=run_id)}") for text, command in steps]


def test_the_steps_after_too_many_invalid_rows(
    outcome: Callable[..., Outcome], summary_of: Callable[..., Summary], run_id: str
) -> None:
    """Where nothing was sent the config is corrected, or what is right is sent, or the rows are mended."""
    tally = Tally()
    tally.add(side_by_side(outcome(status=Status.INVALID), outcome(status=Status.UNSENT, code="too_many_invalid")))

    found = next_steps(summary_of(tally, state="stopped", exit_code=4), tally)

    assert found == [
        Step("Correct the config, then read the rows again and send them:", f"backfill resume {run_id}"),
        Step("Or send the other rows as they are:", f"backfill resume {run_id} --max-invalid 100%"),
        Step(
            "Fix the 1 row in rows_to_fix.xlsx or rows_to_fix.csv (reason in `_message`), then run it:",
            f"backfill run orders reports/{run_id}/rows_to_fix.csv",
        ),
    ]


def test_a_command_can_be_pasted_into_a_shell(
    outcome: Callable[..., Outcome], summary_of: Callable[..., Summary]
) -> None:
    """What a shell would take apart is quoted in a command."""
    tally = tally_of(outcome, 0, invalid=1)

    (step,) = next_steps(summary_of(tally, job="my job", report="/a b/$(c)"), tally)

    assert step.command == "backfill run 'my job' '/a b/$(c)/rows_to_fix.csv'"


@pytest.mark.parametrize("exit_code", range(7))
def test_every_way_to_end_is_said_in_plain_words(summary_of: Callable[..., Summary], exit_code: int) -> None:
    """Every exit code has a sentence, also one that is not known."""
    said = verdict(summary_of(Tally(), exit_code=exit_code))

    assert said.startswith("The run")
    assert said.endswith(".")


def test_markup_in_the_data_stays_text(page: Callable[..., Page], outcome: Callable[..., Outcome]) -> None:
    """Whatever a platform or an export says is shown as text and never becomes part of the page."""
    evil = "<script>alert('&amp;')</script>\"><img src=x onerror=alert(1)>"
    row = outcome(status=Status.REJECTED, source_file=evil, request_key=evil, code=evil, message=evil)

    read = page(row, job=evil, account=evil, report=evil, reason=evil, run_id=evil, state=evil)

    assert read.open == []
    assert {tag for tag, _ in read.tags} & {"script", "img", "link", "iframe"} == set()
    assert {name for _, attributes in read.tags for name in attributes if name.startswith("on")} == set()
    assert read.texts.count(evil) >= 6


def test_the_page_needs_nothing_but_itself(page: Callable[..., Page]) -> None:
    """No script, picture, style sheet or address: it works from disk and tells nobody that it was read."""
    read = page()

    links = [attributes["href"] for _, attributes in read.tags if "href" in attributes]
    assert read.open == []
    assert links == ["outcome.csv", "rows_to_fix.xlsx", "rows_to_fix.csv", "summary.json"]
    assert not any("src" in attributes for _, attributes in read.tags)
    assert not any("://" in text or "url(" in text or "@import" in text for text in read.texts)


def test_the_page_can_be_used_without_seeing_it(page: Callable[..., Page], outcome: Callable[..., Outcome]) -> None:
    """The language is named, every table has a caption and headers with their scope, and statuses are words."""
    read = page(outcome(status=Status.UNKNOWN))

    tags = [tag for tag, _ in read.tags]
    assert ("html", {"lang": "en"}) in read.tags
    assert tags.count("table") == tags.count("caption") == tags.count("thead") == 5
    assert all(attributes["scope"] in {"col", "row"} for tag, attributes in read.tags if tag == "th")
    assert set(Status) <= set(read.texts)


def test_what_ran_and_how_it_ended_is_told(
    page: Callable[..., Page], outcome: Callable[..., Outcome], run_id: str
) -> None:
    """A reader finds the run, its end and its reason, the times, the quota's use and the rows to look at."""
    unsent = outcome(
        source_row=7, file_line=8, request_key="A-7", status=Status.UNSENT, code="deadline", message="it is 06:00"
    )
    skipped = outcome(source_row=8, status=Status.SKIPPED, code="duplicate_row")

    read = page(unsent, skipped, state="interrupted", exit_code=5, reason="it is 06:00", finished_at=None)

    assert {
        "orders",
        f"Run {run_id}, alipay.cumulation with account zhima",
        "The run was stopped from outside, with rows left.",
        "State interrupted, exit code 5",
        f"backfill resume {run_id}",
        "2024-05-01 16:00:00 UTC",
        "not yet",
        "1 h 2 min 4 s",
        "4.87 of 5 allowed",
        "97%",
        "orders-1.csv: row 7 (line 8)",
        "A-7",
        "deadline",
        "duplicate_row",
        "33.3%",
    } <= set(read.texts)
    assert read.texts.count("it is 06:00") == 3


def test_of_many_rows_the_first_are_listed(page: Callable[..., Page], outcome: Callable[..., Outcome]) -> None:
    """Fifty rows are listed, and the heading says of how many."""
    read = page(*(outcome(source_row=n, status=Status.INVALID) for n in range(1, 1235)))

    assert "Rows that need attention: the first 50 of 1,234" in read.texts
    listed = [text for text in read.texts if text.startswith("orders-1.csv:")]
    # Before them stands the first row of their group.
    assert listed == [f"orders-1.csv: row {n}" for n in (1, *range(1, 51))]


def test_faults_are_told_in_groups(page: Callable[..., Page], outcome: Callable[..., Outcome]) -> None:
    """Each group has its rows, status, code, field and column, and its first row with what is wrong there."""
    fault = {"status": Status.INVALID, "code": "field_invalid", "field": "trade_amount", "column": "note"}
    rows = [outcome(source_row=n, file_line=n + 1, message=f"{n} is odd", **fault) for n in (3, 4)]

    read = page(*rows)

    cells = [text for text in read.texts if text.strip()]
    at = cells.index("trade_amount (column note)")
    assert cells[at - 3 : at + 3] == [
        "2", "invalid", "field_invalid", "trade_amount (column note)", "orders-1.csv: row 3 (line 4)", "3 is odd",
    ]  # fmt: skip


def test_a_run_without_rows_has_a_page(summary_of: Callable[..., Summary]) -> None:
    """A run that found a header and no rows has a page that says so."""
    summary = summary_of(Tally(), exit_code=0, inputs=())

    read = Page(render_page(summary, Tally(), None))

    assert {"Nothing: every row is done.", "None.", "None was read."} <= set(read.texts)
    assert [attributes["href"] for tag, attributes in read.tags if tag == "a"] == [
        "rows_to_fix.xlsx",
        "rows_to_fix.csv",
        "summary.json",
    ]
