"""Write an input for a test, and read it back."""

import datetime
from collections.abc import Callable

import pytest

from pipeline.model import BadRow, CsvFormat, Row
from pipeline.read import SourceFile, find_inputs, open_source
from pipeline.read.files.bounds import Bounds

DAY = datetime.date(2026, 3, 31)


@pytest.fixture(scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., SourceFile]:
    base = tmp_path_factory.mktemp("exports")

    def write(data: bytes, name: str = "orders.csv") -> SourceFile:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        (found,) = find_inputs([name], base=base, date=DAY)
        return found

    return write


@pytest.fixture(scope="module")
def file_lines(write: Callable[..., SourceFile]) -> Callable[..., list[int]]:
    """Read a file and return the lines where its rows begin."""

    def file_lines(
        data: bytes, form: CsvFormat | None = None, *, chunk_rows: int = 1024, bounds: Bounds | None = None
    ) -> list[int]:
        with open_source(write(data), form or CsvFormat(), chunk_rows=chunk_rows, bounds=bounds or Bounds()) as source:
            chunks = list(source)
        assert [len(chunk.file_lines or ()) for chunk in chunks] == list(map(len, chunks))
        return [line for chunk in chunks for line in chunk.file_lines or ()]

    return file_lines


@pytest.fixture(scope="module")
def read(
    write: Callable[..., SourceFile],
) -> Callable[..., tuple[tuple[str, ...], list[Row | BadRow]]]:
    def read(
        data: bytes,
        form: CsvFormat | None = None,
        *,
        name: str = "orders.csv",
        chunk_rows: int = 1024,
        bounds: Bounds | None = None,
    ) -> tuple[tuple[str, ...], list[Row | BadRow]]:
        file = write(data, name)
        with open_source(file, form or CsvFormat(), chunk_rows=chunk_rows, bounds=bounds or Bounds()) as source:
            rows = [row for chunk in source for row in chunk.rows]
            assert source.rows == len(rows)
            return source.columns, rows

    return read
