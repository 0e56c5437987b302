"""`report.html`: one page with the run's result, the next steps, charts, faults and counts."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.language import Language
from pipeline.model import Status
from pipeline.redact import shown, shown_row
from pipeline.report.advice import next_steps, severity, verdict
from pipeline.report.files.rows_to_fix import CSV_NAME, WORKBOOK_NAME
from pipeline.report.summary import Summary
from pipeline.report.tally import LISTED_ROWS, Tally
from pipeline.report.texts import Texts

if TYPE_CHECKING:
    from jinja2 import Template

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class PageContext:
    """
    What a page shows beside summary and tally.

    - `is_rerun`: whether `parent` of the summary is the run that this one reruns; otherwise this run fixes it
    - `reruns`, `fixes`: the runs that followed
    - `settings`: settings of the job without secrets, by config key
    - `versions`: versions of the program and of Python
    """

    language: Language = Language.ENGLISH
    is_rerun: bool = False
    reruns: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def render_page(summary: Summary, tally: Tally, outcome_name: str | None, context: PageContext) -> str:
    """
    Return the page: one HTML document that needs no other file and sends no request.

    `outcome_name` is the outcome file in the same folder, if there is one. Its only script is ours: the page's policy
    allows it by its hash.
    """
    # Imported here, because commands that write no page do not need it.
    from pipeline.report.charts import HEIGHT, WIDTH, charts_of  # noqa: PLC0415

    texts = Texts(context.language)
    script = (_FOLDER / "report.js").read_text(encoding="utf-8")
    return template().render(
        t=texts,
        language=context.language,
        script=script,
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
        summary=summary,
        context=context,
        verdict=verdict(summary, texts),
        severity=severity(summary),
        steps=next_steps(summary, tally, texts),
        charts=charts_of(summary, tally, texts),
        chart_size=(WIDTH, HEIGHT),
        statuses=list(Status),
        skipped=tally.skipped,
        open_rows=tally.left,
        listed=tally.need_attention(),
        most=LISTED_ROWS,
        outcome_name=outcome_name,
        files=_files(outcome_name, texts),
    )


@cache
def template(name: str = "report.html.template") -> "Template":
    """Return a template of this folder."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - as the charts

    # Every text is escaped but our script and the charts, whose texts the library escapes. A missing name is an error.
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": lambda number: f"{number:,}",
        "share": _share,
        "moment": lambda text: f"{text[:10]} {text[11:19]} UTC",
        "duration": _duration,
        "masked": lambda number: shown(number).plain,
        "place": shown_row,
    }
    return environment.get_template(name)


def _files(outcome_name: str | None, texts: Texts) -> dict[str, str]:
    """Return the files beside the page, with their meanings."""
    outcome = {outcome_name: texts("file_outcome")} if outcome_name else {}
    return outcome | {
        WORKBOOK_NAME: texts("file_workbook"),
        CSV_NAME: texts("file_csv"),
        "summary.json": texts("file_summary"),
    }


def _share(rows: int, total: int) -> str:
    """Return a share in percent; a few rows among many are not 0.0 %."""
    share = rows / max(total, 1)
    return f"{share:.1%}" if not rows or share >= 0.001 else "<0.1%"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(hours or minutes) + [f"{rest} s"]
    return " ".join(parts)
