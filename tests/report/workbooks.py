"""The raw content of a workbook file; a library would convert the cells to values."""

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def sheet(path: Path, number: int = 1) -> ET.Element:
    """Return a worksheet's XML."""
    with zipfile.ZipFile(path) as parts:
        return ET.fromstring(parts.read(f"xl/worksheets/sheet{number}.xml"))


def rows(path: Path, number: int = 1) -> list[dict[str, str]]:
    """Return the rows of a sheet as dicts from column letter to text; empty cells are left out."""
    found = []
    for row in sheet(path, number).iter(f"{_MAIN}row"):
        cells = {re.sub(r"\d", "", cell.attrib["r"]): cell for cell in row.iter(f"{_MAIN}c")}
        found.append({letters: "".join(cell.itertext()) for letters, cell in cells.items()})
    return found


def kinds(path: Path) -> set[str]:
    """Return the cell types of the first sheet."""
    return {cell.attrib.get("t", "n") for cell in sheet(path).iter(f"{_MAIN}c")}


def formats(path: Path) -> set[str]:
    """Return the number formats of all cells and columns of the first sheet; 49 is text."""
    with zipfile.ZipFile(path) as parts:
        styles = ET.fromstring(parts.read("xl/styles.xml"))
    (forms,) = styles.iter(f"{_MAIN}cellXfs")
    by_style = [form.attrib["numFmtId"] for form in forms]
    cells = {cell.attrib.get("s", "0") for cell in sheet(path).iter(f"{_MAIN}c")}
    columns = {column.attrib.get("style", "0") for column in sheet(path).iter(f"{_MAIN}col")}
    return {by_style[int(style)] for style in cells | columns}


def sheets(path: Path) -> list[str]:
    """Return the names of the sheets."""
    with zipfile.ZipFile(path) as parts:
        return [each.attrib["name"] for each in ET.fromstring(parts.read("xl/workbook.xml")).iter(f"{_MAIN}sheet")]
