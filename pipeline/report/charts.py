"""The charts of a run as SVG, from the counts of one pass over its outcomes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from unicodedata import east_asian_width

import leather
from leather.svg import stringify

from pipeline.language import t
from pipeline.model import Status
from pipeline.report.summary import Summary
from pipeline.report.tally import Tally
from pipeline.report.timeline import REQUESTS, TimeBins

WIDTH, HEIGHT = 480, 240
_PERCENTS = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}
_MOST_BARS = 10
_LABEL_LENGTH = 18
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
# Names of the page's colours.
_INK, _WARNING = "var(--link)", "var(--poor)"


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: title, note below it, and the content of an SVG element of WIDTH x HEIGHT."""

    title: str
    note: str
    svg: str


def charts_of(summary: Summary, tally: Tally) -> list[Chart]:
    """Return the charts of a run, without those that would be empty."""
    charts = (
        _finished(tally),
        _requests(summary, tally),
        _latency(tally),
        _faults(summary),
    )
    return [chart for chart in charts if chart is not None]


def _finished(tally: Tally) -> Chart | None:
    bins = tally.timeline.finished
    counts = {status: bins.counts(status) for status in Status if status in bins}
    if not counts:
        return None
    chart = _over_time(bins, max(max(each) for each in counts.values()))
    chart.add_y_axis(tick_formatter=_whole)
    for status, each in counts.items():
        chart.add_line(_steps(bins, each), name=status.value, stroke_color=f"var(--{status})")
    return Chart(t("Finished rows by status, per {width}", width=_length(bins.width)), t("Times are UTC."), _svg(chart))


def _requests(summary: Summary, tally: Tally) -> Chart | None:
    bins, limit = tally.timeline.requests, summary.quota.limit_per_s
    rates = [count / bins.width for count in bins.counts(REQUESTS)]
    if not rates:
        return None
    chart = _over_time(bins, max(limit, *rates))
    chart.add_y_axis(tick_formatter=_number)
    chart.add_line(_steps(bins, rates), name=t("requests"), stroke_color=_INK)
    quota = _steps(bins, [limit] * len(rates))
    chart.add_line(quota, name=t("quota"), stroke_color=_WARNING, stroke_dasharray="6 4")
    note = t(
        "The dashed line is the quota of {limit} per second. Retries of a row count as evenly spread.",
        limit=f"{limit:g}",
    )
    return Chart(t("Requests per second, mean of {width}", width=_length(bins.width)), note, _svg(chart))


def _latency(tally: Tally) -> Chart | None:
    found = ((name, tally.timeline.latency(percent)) for name, percent in _PERCENTS.items())
    bars = [(name, latency) for name, latency in found if latency is not None]
    return _bars(
        bars, _INK, t("Latency of a row's last request in ms"), t("p95: 95 % of the requests took at most this long.")
    )


def _faults(summary: Summary) -> Chart | None:
    rows: Counter[str] = Counter()
    for group in summary.faults.groups:
        rows[_shortened(group.kind.column or group.kind.field or group.kind.code)] += group.rows
    bars = rows.most_common(_MOST_BARS)
    if others := rows.total() + summary.faults.rows_of_others - sum(count for _, count in bars):
        bars.append((t("others"), others))
    return _bars(bars, _WARNING, t("Faults by column"), t("A fault without a column stands under its code."))


def _bars(bars: Sequence[tuple[str, int]], color: str, title: str, note: str) -> Chart | None:
    """Return a chart of bars; the number of each one is in its label."""
    if not any(count for _, count in bars):
        return None
    chart = leather.Chart()
    chart.set_x_scale(_scale(max(count for _, count in bars)))
    chart.add_bars([(count, _padded(f"{label}: {count:,}")) for label, count in bars], fill_color=color)
    chart.add_x_axis(tick_formatter=_whole)
    return Chart(title, note, _svg(chart))


def _over_time(bins: TimeBins, most: float) -> leather.Chart:
    """Return a chart without lines, for counts over time from 0 to `most`."""
    start, span, unit = bins.starts[0], len(bins.starts) * bins.width, _unit(bins)
    form = "%m-%d %H:%M" if span > _DAY else "%H:%M" if unit > 1 else "%H:%M:%S"
    chart = leather.Chart()
    chart.set_x_scale(_scale(span / unit))
    chart.add_x_axis(tick_formatter=lambda at, *_: datetime.fromtimestamp(start + float(at) * unit, UTC).strftime(form))
    chart.set_y_scale(_scale(most))
    return chart


# leather tries dozens of ways to mark a scale, which takes longer than drawing the chart.
@lru_cache(maxsize=256)
def _scale(most: float) -> leather.Linear:
    """Return a scale from 0 to `most`."""
    return leather.Linear(0, most)


def _steps(bins: TimeBins, values: Sequence[float]) -> list[tuple[float, float]]:
    """Return the corners of a line that has each bin's value from the bin's start to its end."""
    width = bins.width / _unit(bins)
    return [(at * width, value) for number, value in enumerate(values) for at in (number, number + 1)]


def _unit(bins: TimeBins) -> int:
    """Return the unit of a time axis in seconds: leather marks round numbers of it."""
    span = len(bins.starts) * bins.width
    return next((unit for unit in (_HOUR, _MINUTE) if span >= 3 * unit), 1)


def _svg(chart: leather.Chart) -> str:
    return str(stringify(chart.to_svg_group(WIDTH, HEIGHT)))


def _number(value: Decimal, *_: int) -> str:
    return f"{value:,f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:,f}"


def _whole(value: Decimal, *_: int) -> str:
    """Return a number of rows; nothing for a mark between two numbers."""
    return f"{value:,.0f}" if value == int(value) else ""


def _shortened(label: str) -> str:
    return label if len(label) <= _LABEL_LENGTH else f"{label[: _LABEL_LENGTH - 1]}…"


def _padded(label: str) -> str:
    """Return a label with a blank for each wide character, because leather takes all for equally wide."""
    return "\N{NO-BREAK SPACE}" * sum(east_asian_width(char) in "WF" for char in label) + label


def _length(seconds: int) -> str:
    for unit, size in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
