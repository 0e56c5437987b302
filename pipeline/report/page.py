"""`report.html`: one page with the run's result, the next steps, faults and counts."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template

from pipeline.model import Status
from pipeline.redact import shown, shown_row
from pipeline.report.advice import next_steps, verdict
from pipeline.report.files.rows_to_fix import CSV_NAME, WORKBOOK_NAME
from pipeline.report.summary import Summary
from pipeline.report.tally import Tally
from pipeline.tables.agreement_totals import OpenAgreements
from pipeline.tables.fault_groups import FaultGroup

_TEMPLATE = Path(__file__).with_name("report.html.template")
_AGREEMENTS = Path(__file__).with_name("report_agreements.html.template")
_MEANINGS = {
    Status.SUCCEEDED: "Confirmed by the platform, signature verified.",
    Status.SKIPPED: "Nothing to send.",
    Status.INVALID: "Not sent: the row is wrong and needs a fix.",
    Status.REJECTED: "Refused by the platform for good.",
    Status.UNKNOWN: "May have been applied: no trusted answer came.",
    Status.BLOCKED: "Not sent: a row that it depends on did not succeed.",
    Status.UNSENT: "Certainly not applied.",
}


def render_page(summary: Summary, tally: Tally, outcome_name: str | None) -> str:
    """
    Return the page: one HTML document, without scripts and without other files.

    `outcome_name` is the outcome file in the same folder, if there is one.
    """
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        {name: escape(text) for name, text in _texts(summary, tally).items()},
        mood={0: "good", 3: "fair", 5: "fair"}.get(summary.exit_code, "poor"),
        reason=_paragraph(summary.reason),
        steps=_steps(summary, tally),
        bar=_bar(summary),
        counts=_counts(summary),
        faults=_faults(summary),
        agreements=_agreements(summary.open_agreements),
        skipped=_skipped(tally),
        rows=_attention(tally),
        inputs=_inputs(summary),
        files=_files(outcome_name),
    )


def _texts(summary: Summary, tally: Tally) -> dict[str, str]:
    left, listed = tally.left, len(tally.need_attention())
    return {
        "job": summary.job,
        "run_id": summary.run_id,
        "api": summary.api,
        "account": summary.account,
        "verdict": verdict(summary),
        "state": summary.state,
        "exit_code": str(summary.exit_code),
        "started": _moment(summary.started_at),
        "finished": _moment(summary.finished_at),
        "elapsed": _duration(summary.elapsed_s),
        "total": f"{summary.rows:,}",
        "attempts": f"{summary.attempts:,}",
        "rate": f"{summary.sent_per_s:.2f}",
        "limit": f"{summary.quota.limit_per_s:g}",
        "used": f"{summary.quota.used_fraction:.0%}",
        "throttled": f"{summary.quota.throttled:,}",
        "attention": f"{left:,}" if left == listed else f"the first {listed} of {left:,}",
    }


def _steps(summary: Summary, tally: Tally) -> str:
    steps = [
        f"<li>{escape(step.text)}<pre><code>{escape(step.command)}</code></pre></li>"
        for step in next_steps(summary, tally)
    ]
    return f"<ol>{''.join(steps)}</ol>" if steps else "<p>Nothing to do: every row is done.</p>"


def _bar(summary: Summary) -> str:
    return "".join(
        f'<span class="{status}" style="flex-grow:{summary.counts[status]}"></span>'
        for status in Status
        if summary.counts.get(status)
    )


def _counts(summary: Summary) -> str:
    return "".join(_count(status, summary.counts.get(status, 0), summary.rows) for status in Status)


def _count(status: Status, count: int, rows: int) -> str:
    share = f'<td class="number">{count / max(rows, 1):.1%}</td>'
    return f'<tr><th scope="row">{_badge(status)}<small>{_MEANINGS[status]}</small></th>{_number(count)}{share}</tr>'


def _faults(summary: Summary) -> str:
    rows = [_fault(group) for group in summary.faults.groups]
    if left := summary.faults.rows_of_others:
        rows.append(_number(left) + '<td colspan="5">with other faults</td>')
    return _body(rows, "None.")


def _fault(group: FaultGroup) -> str:
    status, code, field, column, _ = group.kind
    name = field if column in (None, field) else f"{field} (column {column})"
    example = _text(group.example.place, "place") + _text(group.example.message, "message")
    return _number(group.rows) + _cell(_badge(status)) + _code(code) + _text(name or "", "place") + example


def _agreements(found: OpenAgreements) -> str:
    """Return the section on agreements whose totals are not final; nothing if there are none."""
    if not found.count:
        return ""
    listed = len(found.first)
    rows = _body(
        (
            _text(shown(each.agreement).plain, "place")
            + _number(each.rows)
            + _text(shown_row(each.file, each.row), "place")
            for each in found.first
        ),
        "None.",
    )
    count = f"{found.count:,}" if found.count == listed else f"the first {listed} of {found.count:,}"
    return Template(_AGREEMENTS.read_text(encoding="utf-8")).substitute(count=count, rows=rows)


def _skipped(tally: Tally) -> str:
    return _body((_code(code) + _number(rows) for code, rows in tally.skipped.items()), "None.")


def _attention(tally: Tally) -> str:
    return _body(
        (
            _text(shown_row(row.source_file, row.source_row, row.file_line), "place")
            + _code(row.request_key)
            + _cell(_badge(row.status))
            + _code(row.code)
            + _text(row.message, "message")
            for row in tally.need_attention()
        ),
        "None.",
    )


def _inputs(summary: Summary) -> str:
    return _body(
        (
            _text(file.file, "place") + _number(file.rows) + _text(file.encoding or "", "encoding") + _code(file.sha256)
            for file in summary.inputs
        ),
        "No file was read.",
    )


def _files(outcome_name: str | None) -> str:
    files = {
        WORKBOOK_NAME: "rows to fix, for a spreadsheet",
        CSV_NAME: "the same rows as CSV",
        "summary.json": "the numbers of this page, for scripts",
    }
    if outcome_name:
        files = {outcome_name: "the outcome of every row"} | files
    return "".join(f'<li><a href="{escape(name)}">{escape(name)}</a>: {text}</li>' for name, text in files.items())


def _body(rows: Iterable[str], nothing: str) -> str:
    lines = "".join(f"<tr>{cells}</tr>" for cells in rows)
    return lines or f'<tr><td class="nothing" colspan="5">{nothing}</td></tr>'


def _cell(markup: str) -> str:
    return f"<td>{markup}</td>"


def _text(text: str, kind: str) -> str:
    return f'<td class="{kind}">{escape(text)}</td>'


def _code(text: str) -> str:
    return _cell(f"<code>{escape(text)}</code>" if text else "")


def _number(count: int) -> str:
    return f'<td class="number">{count:,}</td>'


def _badge(status: Status) -> str:
    return f'<span class="badge {status}">{status}</span>'


def _paragraph(text: str | None) -> str:
    return f"<p>{escape(text)}</p>" if text else ""


def _moment(text: str | None) -> str:
    """Return a time (ISO 8601, UTC) for people."""
    return f"{text[:10]} {text[11:19]} UTC" if text else "not yet"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(hours or minutes) + [f"{rest} s"]
    return " ".join(parts)
