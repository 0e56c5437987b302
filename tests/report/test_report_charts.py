"""The charts: which there are, and what they show."""

import re
from collections.abc import Callable
from html import unescape

from pipeline.model import Status
from pipeline.report import Summary, Tally
from pipeline.report.charts import Chart, charts_of
from pipeline.tables.outcome_page import Outcome
from tests.report.outcome_pages import page_of


def charts(summary_of: Callable[..., Summary], *outcomes: Outcome) -> list[Chart]:
    tally = Tally()
    tally.add(page_of(*outcomes))
    return charts_of(summary_of(tally), tally)


def labels(chart: Chart) -> list[str]:
    """Return the texts of a chart, without the blanks that make room for wide characters."""
    return [unescape(text).strip("\N{NO-BREAK SPACE}") for text in re.findall(r"<text[^>]*>([^<]*)<", chart.svg)]


def test_a_run_that_sent_has_charts_over_time(
    summary_of: Callable[..., Summary], outcome: Callable[..., Outcome]
) -> None:
    """Rows have a line for each status, requests one beside the quota, and latencies a bar for each percentile."""
    rejected = outcome(status=Status.REJECTED, finished_at="2024-05-01T16:00:01.000Z", latency_ms=1500)

    finished, requests, latency, faults = charts(summary_of, outcome(), rejected)

    assert [chart.title for chart in (finished, requests, latency, faults)] == [
        "Finished rows by status, per 1 s",
        "Requests per second, mean of 5 s",
        "Latency of a row's last request in ms",
        "Faults by column",
    ]
    assert labels(finished)[:2] == ["succeeded", "rejected"]
    assert re.findall(r'stroke="(var[^"]*)"', finished.svg) == ["var(--succeeded)", "var(--rejected)"]
    assert "16:00:00" in labels(finished)
    assert labels(requests)[:2] == ["requests", "quota"]
    assert requests.svg.count("stroke-dasharray") == 1
    assert {"p50: 333", "p90: 1,500", "p95: 1,500", "p99: 1,500", "max: 1,500"} <= set(labels(latency))
    assert labels(faults)[-1] == "SUCCESS: 1"


def test_a_run_that_sent_nothing_has_no_empty_chart(
    summary_of: Callable[..., Summary], outcome: Callable[..., Outcome]
) -> None:
    """Without requests there are faults alone; without faults there is no chart."""
    invalid = outcome(status=Status.INVALID, code="field_invalid", field="trade_amount")
    skipped = outcome(status=Status.SKIPPED, code="unchanged")

    assert [chart.title for chart in charts(summary_of, invalid, skipped)] == ["Faults by column"]
    assert charts(summary_of, skipped) == []


def test_faults_are_counted_by_column(summary_of: Callable[..., Summary], outcome: Callable[..., Outcome]) -> None:
    """The column names a fault, else the field, else the code; the 10 largest are shown, long names shortened."""
    faults = [
        {"column": "消费金额", "field": "trade_amount", "code": "field_invalid"},
        {"column": "消费金额", "field": "trade_amount", "code": "field_missing"},
        {"field": "a_field_with_a_long_name"},
        {"code": "timeout"},
        *({"field": f"field_{number}"} for number in range(9)),
    ]

    (chart,) = charts(summary_of, *(outcome(status=Status.INVALID, **fault) for fault in faults))

    assert {"消费金额: 2", "a_field_with_a_lo…: 1", "timeout: 1", "field_0: 1", "field_6: 1", "others: 2"} <= set(
        labels(chart)
    )
    assert chart.svg.count("<rect") == 1 + 11


def test_a_chart_is_drawing_alone(summary_of: Callable[..., Summary], outcome: Callable[..., Outcome]) -> None:
    """A chart has no script, style, link or address, whatever a column is called."""
    evil = outcome(status=Status.INVALID, column="<script>x</script>", field="f")

    found = "".join(chart.svg for chart in charts(summary_of, outcome(), evil))

    assert set(re.findall(r"<(\w+)", found)) == {"g", "rect", "line", "path", "text"}
    assert "://" not in found
    assert "href" not in found
