"""The page in a real browser: it works as a user sees it, and nothing of the data runs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.language import Language, texts_in
from pipeline.model import Status
from pipeline.report import PageContext, Summary, Tally
from pipeline.report.page import render_page
from pipeline.tables.outcome_page import Outcome
from tests.report.browser import Browser, open_browser
from tests.report.outcome_pages import page_of

HOSTILE = (
    "<script>document.title='hacked'</script>",
    '"><img src=x onerror="document.title=\'hacked\'">',
    "</script><script>document.title='hacked'</script>",
    "</title></style></svg><script>document.title='hacked'</script>",
    "javascript:document.title='hacked'",
    "{{ 7 * 7 }}{% raw %}",
)
SHOWN = (
    "[...document.querySelectorAll('#listed tr')].filter(row => row.offsetParent).map(row => row.cells[1].innerText)"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def opened(
    browser: Browser, tmp_path: Path, outcome: Callable[..., Outcome], summary_of: Callable[..., Summary]
) -> Callable[..., Browser]:
    """Return a function that opens the page of one good row and the given ones."""

    def open_page(*outcomes: Outcome, language: Language = Language.ENGLISH, **changes: object) -> Browser:
        tally = Tally()
        tally.add(page_of(outcome(), *outcomes))
        with texts_in(language):
            page = render_page(summary_of(tally, **changes), tally, "outcome.csv", PageContext())
        (tmp_path / "report.html").write_text(page, encoding="utf-8")
        browser.open(tmp_path / "report.html")
        return browser

    return open_page


@pytest.fixture
def rows(outcome: Callable[..., Outcome]) -> list[Outcome]:
    """Return 4 rows that need attention, in source order."""
    return [
        outcome(source_row=2, request_key="A-2", status=Status.INVALID, code="field_missing", message="no amount"),
        outcome(source_row=10, request_key="A-10", status=Status.UNKNOWN, code="timeout", message="no answer"),
        outcome(source_row=11, request_key="A-11", status=Status.INVALID, code="field_invalid", message="18.005 yuan"),
        outcome(source_row=9, request_key="A-9", status=Status.UNSENT, code="deadline", message="it is 06:00"),
    ]


@pytest.mark.parametrize("language", Language)
def test_a_page_loads_without_errors_and_requests(
    opened: Callable[..., Browser], rows: list[Outcome], language: Language, tmp_path: Path
) -> None:
    """The page logs nothing, asks for nothing but itself, and has its controls and 4 drawn charts."""
    browser = opened(*rows, language=language)

    drawn = browser.run("[...document.querySelectorAll('svg .series')].filter(each => each.getBBox().width > 0).length")
    assert (browser.errors, browser.requests) == ([], [(tmp_path / "report.html").as_uri()])
    assert browser.run("document.getElementById('controls').hidden") is False
    assert browser.run("document.querySelectorAll('figure svg').length") == 4
    assert drawn == 6


def test_rows_are_listed_with_doubt_first(opened: Callable[..., Browser], rows: list[Outcome]) -> None:
    """Without a search, all listed rows are shown: unknown, invalid, unsent."""
    browser = opened(*rows)

    assert browser.run(SHOWN) == ["A-10", "A-2", "A-11", "A-9"]
    assert browser.run("document.getElementById('found').innerText") == "4 of 4 rows shown"


@pytest.mark.parametrize(
    ("entered", "shown"),
    [
        pytest.param({"search": "18.005 YUAN"}, ["A-11"], id="text of a message, in any case"),
        pytest.param({"search": "orders-1.csv: row 1"}, ["A-10", "A-11"], id="place"),
        pytest.param({"status": "invalid"}, ["A-2", "A-11"], id="status"),
        pytest.param({"status": "invalid", "search": "amount"}, ["A-2"], id="status and text"),
        pytest.param({"search": "nowhere"}, [], id="nothing found"),
        pytest.param({"order": "0"}, ["A-2", "A-9", "A-10", "A-11"], id="sorted by row number"),
        pytest.param({"order": "3"}, ["A-9", "A-11", "A-2", "A-10"], id="sorted by code"),
        pytest.param({"order": "3", "status": "invalid"}, ["A-11", "A-2"], id="sorted and filtered"),
    ],
)
def test_search_filter_and_order_work_together(
    opened: Callable[..., Browser], rows: list[Outcome], entered: dict[str, str], shown: list[str]
) -> None:
    """A row is shown if it has the text and the status; an empty form shows all rows as listed again."""
    browser = opened(*rows)

    for field, value in entered.items():
        browser.type(field, value)
    found = browser.run(SHOWN)
    number = browser.run("document.getElementById('found').innerText")
    for field in entered:
        browser.type(field, "")

    assert (found, number) == (shown, f"{len(shown)} of 4 rows shown")
    assert browser.run(SHOWN) == ["A-10", "A-2", "A-11", "A-9"]
    assert browser.errors == []


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_the_data_runs(
    opened: Callable[..., Browser], outcome: Callable[..., Outcome], summary_of: Callable[..., Summary], text: str
) -> None:
    """Texts of exports and platforms are shown as they are, also in charts, and run no script."""
    row = outcome(
        status=Status.INVALID, source_file=text, request_key=text, code=text, message=text, field=text, column=text
    )

    browser = opened(row, job=text, account=text, reason=text)

    assert browser.run("document.title") == f"{text}: Run finished: some rows need attention."
    assert browser.run("document.querySelector('h1').textContent") == text
    assert browser.run("document.querySelector('#listed .message').textContent") == text
    assert browser.run("document.querySelectorAll('script, img').length") == 1
    assert (browser.errors, len(browser.requests)) == ([], 1)


def test_the_policy_stops_any_other_script(opened: Callable[..., Browser], rows: list[Outcome]) -> None:
    """Even markup that got into the page would not run: the policy allows the page's own script alone."""
    browser = opened(*rows)

    browser.run(
        "(() => { const other = document.createElement('script'); other.textContent = \"document.title = 'hacked'\";"
        " document.body.append(other); document.body.insertAdjacentHTML('beforeend', '<img src=x>'); })()"
    )

    assert browser.run("document.title") == "orders: Run finished: some rows need attention."
    assert any("Content Security Policy" in error for error in browser.errors)


@pytest.mark.parametrize("width", [pytest.param(360, id="phone"), pytest.param(1280, id="desktop")])
def test_a_page_is_as_wide_as_its_window(opened: Callable[..., Browser], rows: list[Outcome], width: int) -> None:
    """Nobody has to scroll sideways, and each row's message is within the window."""
    browser = opened(*rows)
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)

    wide = browser.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    right = browser.run("document.querySelector('#listed .message').getBoundingClientRect().right")
    browser.call("Emulation.clearDeviceMetricsOverride")
    assert wide == 0
    assert 0 < right < width


def test_a_page_is_dark_where_the_system_is(opened: Callable[..., Browser], rows: list[Outcome]) -> None:
    """Text and charts change their colours with the system's."""
    browser = opened(*rows)
    colours = "['body', 'figure svg text', '.lines path'].map(name => document.querySelector(name)).map(each =>" + (
        " [getComputedStyle(each).color, getComputedStyle(each).fill, getComputedStyle(each).stroke].join())"
    )

    found = []
    for scheme in ("light", "dark"):
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        found.append(browser.run(colours))
    browser.call("Emulation.setEmulatedMedia", features=[])

    assert all(light != dark for light, dark in zip(*found, strict=True))


def test_a_printed_page_has_no_controls(opened: Callable[..., Browser], rows: list[Outcome]) -> None:
    """On paper there is nothing to click, all rows are there, statuses keep their colours, and the text is dark."""
    browser = opened(*rows)

    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.call("Emulation.setEmulatedMedia", media="print", features=dark)
    text = browser.run("getComputedStyle(document.body).color")
    display = browser.run("getComputedStyle(document.getElementById('controls')).display")
    shown = browser.run(SHOWN)
    colours = browser.run("getComputedStyle(document.querySelector('.bar span')).printColorAdjust")
    browser.call("Emulation.setEmulatedMedia", media="", features=[])

    assert (text, colours) == ("rgb(27, 31, 36)", "exact")
    assert display == "none"
    assert shown == ["A-10", "A-2", "A-11", "A-9"]
