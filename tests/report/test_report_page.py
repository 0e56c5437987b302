"""The page and the next steps."""

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from pipeline.language import Language, texts_in
from pipeline.model import Status
from pipeline.report import PageContext, Summary, Tally
from pipeline.report.advice import Step, next_steps, verdict
from pipeline.report.page import render_page
from pipeline.tables.agreement_totals import OpenAgreement, OpenAgreements
from pipeline.tables.outcome_page import Outcome
from tests.report.outcome_pages import page_of

VOID = frozenset({"meta", "input"})


class Page(HTMLParser):
    """Tags and texts of a page; checks that every tag is closed in order."""

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
    """Return a function that renders the page of one good row and the given ones."""

    def read(*outcomes: Outcome, language: Language = Language.ENGLISH, **changes: Any) -> Page:
        tally = Tally()
        tally.add(page_of(outcome(), *outcomes))
        with texts_in(language):
            return Page(render_page(summary_of(tally, **changes), tally, "outcome.csv", PageContext()))

    return read


def tally_of(outcome: Callable[..., Outcome], new_keys: int, **counts: int) -> Tally:
    tally = Tally()
    for status, count in counts.items():
        for _ in range(count):
            tally.add(page_of(outcome(status=Status(status), wants_new_key=status == "rejected" and new_keys > 0)))
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
            [("Send the 3 open rows again with the same keys (the platform counts each once):", "rerun {run}")],
            id="open-rows",
        ),
        pytest.param(
            "completed",
            3,
            0,
            {"invalid": 1},
            [
                (
                    "Fix the 1 row in rows_to_fix.csv or rows_to_fix.xlsx (reason in `_message`), then run:",
                    "run orders reports/{run}/rows_to_fix.csv",
                )
            ],
            id="rows-to-fix",
        ),
        pytest.param(
            "completed",
            3,
            1,
            {"rejected": 1},
            [
                (
                    "Send 1 row with new request keys, as the platform demands:",
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
                    "Send 1 row with new request keys, as the platform demands, and 1 open row with the old keys:",
                    "rerun {run} --new-keys",
                ),
                (
                    "Fix the 1 row in rows_to_fix.csv or rows_to_fix.xlsx (reason in `_message`), then run:",
                    "run orders reports/{run}/rows_to_fix.csv",
                ),
            ],
            id="new-keys-open-rows-and-rows-to-fix",
        ),
        pytest.param(
            "interrupted",
            5,
            0,
            {"succeeded": 1, "unsent": 9},
            [("Send the rest:", "resume {run}")],
            id="interrupted",
        ),
        pytest.param(
            "stopped",
            4,
            0,
            {"unsent": 9},
            [("Fix the cause, then send the rows that are left:", "resume {run}")],
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
    """Each end of a run has its steps, in the order to do them."""
    tally = tally_of(outcome, new_keys, **counts)

    found = next_steps(summary_of(tally, state=state, exit_code=exit_code), tally)

    assert found == [Step(text, f"backfill {command.format(run=run_id)}") for text, command in steps]


def test_the_steps_after_too_many_invalid_rows(
    outcome: Callable[..., Outcome], summary_of: Callable[..., Summary], run_id: str
) -> None:
    """If too many rows are invalid: fix the config, or send the valid rows, or fix the rows."""
    tally = Tally()
    tally.add(page_of(outcome(status=Status.INVALID), outcome(status=Status.UNSENT, code="too_many_invalid")))

    found = next_steps(summary_of(tally, state="stopped", exit_code=4), tally)

    assert found == [
        Step("Fix the config, then read and send the rows again:", f"backfill resume {run_id}"),
        Step("Or send only the valid rows:", f"backfill resume {run_id} --max-invalid 100%"),
        Step(
            "Fix the 1 row in rows_to_fix.csv or rows_to_fix.xlsx (reason in `_message`), then run:",
            f"backfill run orders reports/{run_id}/rows_to_fix.csv",
        ),
    ]


def test_a_command_can_be_pasted_into_a_shell(
    outcome: Callable[..., Outcome], summary_of: Callable[..., Summary]
) -> None:
    """Arguments with spaces or special characters are quoted for a shell."""
    tally = tally_of(outcome, 0, invalid=1)

    (step,) = next_steps(summary_of(tally, job="my job", report="/a b/$(c)"), tally)

    assert step.command == "backfill run 'my job' '/a b/$(c)/rows_to_fix.csv'"


@pytest.mark.parametrize("exit_code", range(7))
def test_every_exit_code_has_a_sentence(summary_of: Callable[..., Summary], exit_code: int) -> None:
    """Every exit code has a sentence, also an unknown one."""
    sentence = verdict(summary_of(Tally(), exit_code=exit_code))

    assert sentence.startswith(("Run ", "The run "))
    assert sentence.endswith(".")


def test_markup_in_the_data_stays_text(page: Callable[..., Page], outcome: Callable[..., Outcome]) -> None:
    """Texts of platforms and exports are shown as text and never become markup."""
    evil = "<script>alert('&amp;')</script>\"><img src=x onerror=alert(1)>"
    row = outcome(status=Status.REJECTED, source_file=evil, request_key=evil, code=evil, message=evil)

    read = page(row, job=evil, account=evil, report=evil, reason=evil, run_id=evil, state=evil)

    assert read.open == []
    assert [tag for tag, _ in read.tags if tag in {"script", "img", "link", "iframe"}] == ["script"]
    assert {name for _, attributes in read.tags for name in attributes if name.startswith("on")} == set()
    assert read.texts.count(evil) >= 6


def test_the_page_needs_nothing_but_itself(page: Callable[..., Page]) -> None:
    """The page names no picture, style sheet or address: it works from disk and sends no request."""
    read = page()

    links = [attributes["href"] for _, attributes in read.tags if "href" in attributes]
    assert read.open == []
    assert links == ["outcome.csv", "rows_to_fix.xlsx", "rows_to_fix.csv", "summary.json"]
    assert not any("src" in attributes for _, attributes in read.tags)
    assert not any("://" in text or "url(" in text or "@import" in text for text in read.texts)


def test_the_page_is_accessible(page: Callable[..., Page], outcome: Callable[..., Outcome]) -> None:
    """The language is named, every table has a caption and headers with their scope, and statuses are words."""
    read = page(outcome(status=Status.UNKNOWN))

    tags = [tag for tag, _ in read.tags]
    assert ("html", {"lang": "en"}) in read.tags
    assert tags.count("table") == tags.count("caption") == tags.count("thead") == 5
    assert all({"role", "aria-label"} <= set(attributes) for tag, attributes in read.tags if tag == "svg")
    assert all(attributes["scope"] in {"col", "row"} for tag, attributes in read.tags if tag == "th")
    assert set(Status) <= set(read.texts)


def test_the_page_shows_the_run_and_its_end(
    page: Callable[..., Page], outcome: Callable[..., Outcome], run_id: str
) -> None:
    """The page shows the run, its end and reason, the times, the use of the quota and the rows to look at."""
    unsent = outcome(
        source_row=7, file_line=8, request_key="A-7", status=Status.UNSENT, code="deadline", message="it is 06:00"
    )
    skipped = outcome(source_row=8, status=Status.SKIPPED, code="duplicate_row")

    read = page(unsent, skipped, state="interrupted", exit_code=5, reason="it is 06:00", finished_at=None)

    assert {
        "orders",
        f"Run {run_id}, alipay.cumulation with account zhima",
        "Run interrupted: rows are left.",
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
    """The page lists 50 rows of a status, and says how many there are and where the others are."""
    read = page(*(outcome(source_row=n, status=Status.INVALID) for n in range(1, 1235)))

    assert "Rows that need attention: 50 of 1,234" in read.texts
    assert "The first 50 rows of each status are listed. All rows are in outcome.csv." in read.texts
    listed = [text for text in read.texts if text.startswith("orders-1.csv:")]
    # The first entry is the example of the fault group.
    assert listed == [f"orders-1.csv: row {n}" for n in (1, *range(1, 51))]


@pytest.mark.parametrize(
    ("left", "rows", "state", "severity", "sentence"),
    [
        pytest.param(0, 45_000, "completed", "none", "Of 45,000 rows none is left.", id="none"),
        pytest.param(5, 45_000, "completed", "minor", "5 of 45,000 rows are left (<0.1%).", id="5 of 45,000"),
        pytest.param(450, 45_000, "completed", "major", "450 of 45,000 rows are left (1.0%).", id="1 %"),
        pytest.param(45_000, 45_000, "completed", "major", "45,000 of 45,000 rows are left (100.0%).", id="all"),
        pytest.param(1, 45_000, "stopped", "major", "1 of 45,000 rows are left (<0.1%).", id="stopped"),
        pytest.param(1, 45_000, "interrupted", "minor", "1 of 45,000 rows are left (<0.1%).", id="interrupted"),
    ],
)
def test_the_page_begins_with_the_severity(
    page: Callable[..., Page], left: int, rows: int, state: str, severity: str, sentence: str
) -> None:
    """A few bad rows look different from a bad batch; a run that stopped itself is always severe."""
    read = page(left=left, rows=rows, counts={Status.SUCCEEDED: rows - left, Status.UNKNOWN: left}, state=state)

    assert ("div", {"class": f"verdict {severity}"}) in read.tags
    assert sentence in read.texts


def test_the_page_shows_related_runs_settings_and_versions(
    page: Callable[..., Page], summary_of: Callable[..., Summary]
) -> None:
    """Parent and followers are named, and each setting has its config key."""
    context = PageContext(
        is_rerun=True,
        reruns=("R2", "R3"),
        fixes=("F1",),
        settings={"max_attempts": "5"},
        versions={"backfill": "0.1.0"},
    )

    read = Page(render_page(summary_of(Tally(), parent="R0"), Tally(), None, context))
    fix = Page(render_page(summary_of(Tally(), parent="R0"), Tally(), None, PageContext()))

    assert {"Rerun of R0", "Reruns: R2, R3", "Fixes: F1", "max_attempts", "5", "backfill", "0.1.0"} <= set(read.texts)
    assert "Fix of R0" in fix.texts
    assert "Settings and versions" not in fix.texts


def test_the_page_is_chinese_where_wanted(summary_of: Callable[..., Summary], outcome: Callable[..., Outcome]) -> None:
    """Verdict, steps, headings and charts are Chinese; statuses, codes, commands and messages stay as they are."""
    tally = tally_of(outcome, 0, unknown=2)

    with texts_in(Language.CHINESE):
        html = render_page(summary_of(tally), tally, "outcome.csv", PageContext())

    read = Page(html)
    assert ("html", {"lang": "zh"}) in read.tags
    assert {
        "运行完成：部分行需要处理。",
        "用相同的键重新发送 2 个未决行（平台每行只计一次）：",
        "需要处理的行：2",
        "各列的问题行数",
        "unknown",
    } <= set(read.texts)
    assert not any(text in html for text in ("What to do next", "Severity", "Rows that need", "Time and quota"))


def test_faults_are_shown_in_groups(page: Callable[..., Page], outcome: Callable[..., Outcome]) -> None:
    """Each group has its rows, status, code, field and column, and the first row with its message."""
    fault = {"status": Status.INVALID, "code": "field_invalid", "field": "trade_amount", "column": "note"}
    rows = [outcome(source_row=n, file_line=n + 1, message=f"{n} is odd", **fault) for n in (3, 4)]

    read = page(*rows)

    cells = [text for text in read.texts if text.strip()]
    at = cells.index("trade_amount (column note)")
    assert cells[at - 3 : at + 3] == [
        "2", "invalid", "field_invalid", "trade_amount (column note)", "orders-1.csv: row 3 (line 4)", "3 is odd",
    ]  # fmt: skip


def test_a_run_without_rows_has_a_page(summary_of: Callable[..., Summary]) -> None:
    """The page of a run without rows says so."""
    summary = summary_of(Tally(), exit_code=0, inputs=())

    read = Page(render_page(summary, Tally(), None, PageContext()))

    assert {"Nothing to do: every row is done.", "None.", "No file was read."} <= set(read.texts)
    assert [attributes["href"] for tag, attributes in read.tags if tag == "a"] == [
        "rows_to_fix.xlsx",
        "rows_to_fix.csv",
        "summary.json",
    ]


@pytest.mark.parametrize(
    ("language", "count", "heading", "line"),
    [
        pytest.param(
            Language.ENGLISH,
            1,
            "Agreements whose totals are not final: 1",
            ["2***1 (20 characters)", "2", "<b>.csv: row 8"],
            id="all",
        ),
        pytest.param(
            Language.ENGLISH,
            1200,
            "Agreements whose totals are not final: the first 1 of 1,200",
            ["2***1 (20 characters)", "2", "<b>.csv: row 8"],
            id="some",
        ),
        pytest.param(
            Language.CHINESE,
            1200,
            "累计尚未最终确定的协议：1,200 个中的前 1 个",
            ["2***1 (20 个字符)", "2", "<b>.csv：第 8 行"],
            id="in Chinese",
        ),
    ],
)
def test_agreements_that_are_not_final_are_listed(
    page: Callable[..., Page], language: Language, count: int, heading: str, line: list[str]
) -> None:
    """Their numbers are masked, and the first row of each is named, as it is in the report."""
    listed = OpenAgreement("20255108518085000001", 2, "<b>.csv", 8)

    read = page(language=language, open_agreements=OpenAgreements(count, (listed,)))

    assert {heading, "backfill totals --show-ids"} <= set(read.texts)
    at = read.texts.index(line[0])
    assert read.texts[at : at + 3] == line


def test_final_totals_are_not_mentioned(page: Callable[..., Page]) -> None:
    """Without such agreements the page has no section about them."""
    assert not any("totals" in text for text in page().texts)
