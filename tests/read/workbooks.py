"""Small workbooks, written as XML, so that tests need no program to write them."""

import zipfile
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO

Raw = str
"""The XML of a cell, without its place: `t="b"><v>1</v>`."""


def xlsx(sheets: Mapping[str, Sequence[Sequence[Raw | None]]], *, shared: Sequence[str] = ()) -> bytes:
    """Return an .xlsx with sheets of cells; None is a missing cell."""
    names = list(sheets)
    tags = "".join(f'<sheet name="{escape(name)}" sheetId="{at}" r:id="rId{at}"/>' for at, name in enumerate(names, 1))
    targets = "".join(
        f'<Relationship Id="rId{at}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{at}.xml"/>'
        for at in range(1, len(names) + 1)
    )
    members = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
        "_rels/.rels": (
            f'<Relationships xmlns="{_PACKAGE}/relationships">'
            f'<Relationship Id="w" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{tags}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": (
            f'<Relationships xmlns="{_PACKAGE}/relationships">{targets}'
            f'<Relationship Id="s" Type="{_OFFICE}/sharedStrings" Target="sharedStrings.xml"/>'
            f'<Relationship Id="t" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>'
        ),
        "xl/styles.xml": _STYLES,
        "xl/sharedStrings.xml": (
            f'<sst xmlns="{_MAIN}">{"".join(f"<si><t>{escape(text)}</t></si>" for text in shared)}</sst>'
        ),
    }
    for at, rows in enumerate(sheets.values(), 1):
        members[f"xl/worksheets/sheet{at}.xml"] = _sheet(rows)
    return archive(members)


def text(value: str) -> Raw:
    """Return a cell of text."""
    return f' t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is>'


def number(value: str) -> Raw:
    """Return a cell of a number, as written in the file."""
    return f"><v>{value}</v>"


def moment(serial: str) -> Raw:
    """Return a cell of a date and time, counted in days from 1900."""
    return f' s="1"><v>{serial}</v>'


def truth(value: bool) -> Raw:
    return f' t="b"><v>{int(value)}</v>'


def failed(shown: str) -> Raw:
    """Return a cell whose formula failed."""
    return f' t="e"><f>A1/0</f><v>{escape(shown)}</v>'


def ods(rows: Sequence[str]) -> bytes:
    """Return an .ods with one sheet of rows, which are XML."""
    space = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'<office:document-content xmlns:office="{space}:office:1.0" xmlns:table="{space}:table:1.0" '
        f'xmlns:text="{space}:text:1.0"><office:body><office:spreadsheet><table:table table:name="Blatt">'
        f"{''.join(rows)}</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    space = f"{space}:manifest:1.0"
    manifest = (
        f'<manifest:manifest xmlns:manifest="{space}"><manifest:file-entry manifest:full-path="/" '
        f'manifest:media-type="{kind}"/></manifest:manifest>'
    )
    return archive({"mimetype": kind, "content.xml": content, "META-INF/manifest.xml": manifest})


def archive(members: Mapping[str, str]) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return file.getvalue()


def _sheet(rows: Sequence[Sequence[Raw | None]]) -> str:
    lines = []
    for row_number, cells in enumerate(rows, 1):
        line = "".join(
            f'<c r="{_letters(at)}{row_number}"{cell}</c>' for at, cell in enumerate(cells) if cell is not None
        )
        lines.append(f'<row r="{row_number}">{line}</row>')
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>'


def _letters(at: int) -> str:
    return chr(ord("A") + at)


_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_STYLES = f'<styleSheet xmlns="{_MAIN}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs></styleSheet>'
