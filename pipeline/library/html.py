"""Results as HTML for notebooks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATE = """<div class="backfill"><p><strong>{{ title }}</strong></p>
{%- for line in lines %}<p>{{ line }}</p>{% endfor %}
{%- for table in tables if table.rows %}
<table><thead><tr>{% for name in table.columns %}<th>{{ name }}</th>{% endfor %}</tr></thead><tbody>
{%- for row in table.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}
</tbody></table>{% endfor %}</div>"""


@dataclass(frozen=True, slots=True)
class HtmlTable:
    """A table: its column names, which are those of the data, and its cells row by row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]

    @classmethod
    def of_counts(cls, name: str, counts: Mapping[str, int]) -> "HtmlTable":
        """Return a table of rows by name, without zeros."""
        return cls((name, "rows"), [(what, f"{number:,}") for what, number in counts.items() if number])


def page(title: str, lines: Sequence[str], tables: Sequence[HtmlTable]) -> str:
    """Return a title, lines and tables as HTML. No text becomes markup; an empty table is left out."""
    return _template().render(title=title, lines=lines, tables=tables)


@cache
def _template() -> "Template":
    # Imported here, because only notebooks need it.
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415

    return Environment(autoescape=True, undefined=StrictUndefined).from_string(_TEMPLATE)
