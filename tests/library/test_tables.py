"""DataFrames and Arrow tables as inputs: what their values become, and where they are saved."""

import datetime as dt
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pipeline.assemble.saved_tables import save_table
from pipeline.cli.main import main
from pipeline.errors import RunHeld, SettingsError, SourceError
from pipeline.library import plan, resume, run, runs
from pipeline.library.progress import RunProgress
from pipeline.library.tables import table_of
from pipeline.model import CsvFormat, Row
from pipeline.read import find_inputs, open_source
from tests.postgresql import fixtures
from tests.postgresql.server import PostgresServer

postgres = fixtures.postgres

SHANGHAI = dt.timezone(dt.timedelta(hours=8))
MOMENT = dt.datetime(2025, 11, 20, 8)  # noqa: DTZ001 - a frame may hold times without a zone


def texts_of(data: object, folder: Path) -> tuple[tuple[str, ...], list[tuple[str | None, ...]]]:
    """Return the columns and cells of a table, as a run reads them."""
    file = save_table(table_of(data), folder, "x")
    (found,) = find_inputs([file.name], base=folder, date=dt.date(2025, 11, 20))
    with open_source(found, CsvFormat()) as source:
        rows = [row for chunk in source for row in chunk.rows]
    assert all(isinstance(row, Row) for row in rows)
    return source.columns, [row.cells for row in rows]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        pytest.param(pd.Series([0.1 + 0.2, 12.5, 18.0, float("nan")]), ["0.30000000000000004", "12.5", "18", None],
                     id="floats show a digit too many"),
        pytest.param(pd.Series([12345678901234567.0, 123.0]), ["≈1.2345678901234568E+16", "123"],
                     id="a float id of 17 digits is rounded"),
        pytest.param(pd.Series([1, None], dtype="Int64"), ["1", None], id="nullable whole numbers"),
        pytest.param(pd.Series([20888888888888888, 7]), ["20888888888888888", "7"], id="whole numbers"),
        pytest.param(pd.Series(["007", None, ""], dtype="string"), ["007", None, None], id="texts"),
        pytest.param(pd.Series(["007", None, float("nan"), pd.NA], dtype=object), ["007", None, None, None],
                     id="texts with each kind of missing value"),
        pytest.param(pd.Series(["b", "a", None], dtype="category"), ["b", "a", None], id="a category of texts"),
        pytest.param(pd.Series([2, 1, 2], dtype="category"), ["2", "1", "2"], id="a category of numbers"),
        pytest.param(pd.Series([Decimal("12.50"), Decimal("3.1"), None], dtype=object), ["12.50", "3.10", None],
                     id="decimals"),
        pytest.param(pd.Series([MOMENT, pd.NaT]), ["2025-11-20 08:00:00", None], id="times without zone"),
        pytest.param(pd.Series([MOMENT]).dt.tz_localize("Asia/Shanghai"), ["2025-11-20T00:00:00+00:00"],
                     id="times with zone"),
        pytest.param(pd.Series([MOMENT.replace(tzinfo=SHANGHAI), MOMENT.replace(tzinfo=dt.UTC)], dtype=object),
                     ["2025-11-20T00:00:00+00:00", "2025-11-20T08:00:00+00:00"], id="times with several zones"),
        pytest.param(pd.Series([dt.date(2025, 11, 20)], dtype=object), ["2025-11-20"], id="dates"),
        pytest.param(pd.Series([True, None], dtype=object), ["true", None], id="booleans"),
    ],
)  # fmt: skip
def test_a_column_of_a_frame_keeps_its_values(
    values: "pd.Series[Any]", texts: list[str | None], tmp_path: Path
) -> None:
    """Each type gives the text that the same type of Parquet gives: no digit and no moment changes."""
    names, rows = texts_of(pd.DataFrame({"x": values, "row": range(len(values))}), tmp_path)

    assert (names, [cells[0] for cells in rows]) == (("x", "row"), texts)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param([1, "A-2"], "values of several types (int, str); make it one type, for example with "
                     ".astype('string')", id="numbers and texts"),
        pytest.param([dt.date(2025, 1, 1), MOMENT], "values of several types (date, datetime); make it one type, for "
                     "example with .astype('string')", id="days and moments"),
        pytest.param([MOMENT, MOMENT.replace(tzinfo=dt.UTC)], "times with and without a zone; give all of them one "
                     "with .tz_localize", id="moments with and without zone"),
        pytest.param([{"a": 1}, {"b": 2}], "Python objects (dict); write them as JSON text, for example with "
                     ".map(json.dumps)", id="dicts"),
        pytest.param([np.array([1, 2])], "Python objects (ndarray); write them as JSON text, for example with "
                     ".map(json.dumps)", id="arrays, as pandas has lists of Parquet"),
        pytest.param([10**22], "values that Arrow can't keep (OverflowError); make it text with .astype('string'), or "
                     "drop it", id="numbers of more than 64 bits"),
        pytest.param([1j], "values that Arrow can't keep (ArrowInvalid); make it text with .astype('string'), "
                     "or drop it", id="complex numbers"),
        pytest.param(["\ud800"], "values that Arrow can't keep (UnicodeEncodeError); make it text with "
                     ".astype('string'), or drop it", id="half a character"),
    ],
)  # fmt: skip
def test_a_column_without_one_meaning_is_refused(values: list[object], message: str) -> None:
    """The error names the column and what to do; nothing is guessed."""
    with pytest.raises(ValueError, match=f"^{re.escape(f'column x of inputs has {message}')}$"):
        table_of(pd.DataFrame({"x": pd.Series(values, dtype=object)}))


def test_categories_of_several_types_are_refused() -> None:
    """Categories are no exception."""
    frame = pd.DataFrame({"x": pd.Categorical([1, "A-2"])})

    with pytest.raises(ValueError, match=r"column x of inputs has values of several types \(int, str\)"):
        table_of(frame)


def test_several_levels_of_names_are_refused() -> None:
    """A MultiIndex of columns has no single name for each column."""
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]))

    with pytest.raises(ValueError, match="inputs has 2 levels of column names"):
        table_of(frame)


def test_repeated_names_and_numbers_as_names_stay(tmp_path: Path) -> None:
    """They are columns like those of a file: a repeated name matters only if a field uses it."""
    frame = pd.DataFrame([[1, 2, 3]], columns=["x", "x", 7])

    assert texts_of(frame, tmp_path) == (("x", "x", "7"), [("1", "2", "3")])


def test_named_levels_of_the_index_are_columns(tmp_path: Path) -> None:
    """An index with a name holds data, one without a name only numbers the rows."""
    frame = pd.DataFrame({"k": ["a", "b"], "n": [1, 2], "x": [3, 4]})

    assert texts_of(frame.set_index(["k", "n"]), tmp_path) == (("k", "n", "x"), [("a", "1", "3"), ("b", "2", "4")])
    assert texts_of(frame[["x"]].set_index(pd.Index(["p", "q"])), tmp_path) == (("x",), [("3",), ("4",)])


def test_arrow_data_keeps_its_types(tmp_path: Path) -> None:
    """Tables, batches, and all data with Arrow's stream interface are read as Parquet of the same types."""
    table = pa.table({"x": pa.array(["007"]), "t": pa.array([MOMENT], pa.timestamp("us", "UTC"))})
    texts = (("x", "t"), [("007", "2025-11-20T08:00:00+00:00")])

    for data in (table, table.to_batches()[0], table.to_reader(), OnlyAStream(table)):
        assert texts_of(data, tmp_path) == texts


class OnlyAStream:
    """Data of another library."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        capsule: object = self._table.__arrow_c_stream__(requested_schema)  # type: ignore[no-untyped-call]
        return capsule


def test_arrow_data_that_is_no_table_is_refused() -> None:
    """One column has no names."""
    with pytest.raises(ValueError, match="inputs can't be read as an Arrow table"):
        table_of(pa.chunked_array([[1]]))


def test_a_type_without_a_form_in_parquet_is_refused(tmp_path: Path) -> None:
    """The error says the type; no file is left."""
    table = pa.table({"x": pa.nulls(1, pa.month_day_nano_interval())})

    with pytest.raises(ValueError, match=r"inputs can't be saved as Parquet: .*month_day_nano_interval"):
        save_table(table, tmp_path / "new", "x")

    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_that_is_not_writable_is_a_settings_error(tmp_path: Path) -> None:
    """The message names the folder."""
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(SettingsError, match=r"can't save the input table in .*file/inputs: Not a directory"):
        save_table(pa.table({"x": [1]}), tmp_path / "file" / "inputs", "x")


def test_long_cells_are_read_again(tmp_path: Path) -> None:
    """Pages are small enough for the reader's bound, also with cells of some megabytes."""
    _, rows = texts_of(pd.DataFrame({"x": [str(at) + "x" * 3_000_000 for at in range(40)]}), tmp_path)

    assert [len(cells[0] or "") for cells in rows] == [3_000_001] * 10 + [3_000_002] * 30


def test_a_frame_runs_like_a_file(config: Path, frame: pd.DataFrame) -> None:
    """Rows are named after the saved table, which only its owner can read; a plan leaves no file."""
    made = plan(config, "orders", frame, environ={})
    result = run(config, "orders", frame, environ={})
    again = run(config, "orders", pa.Table.from_pandas(frame), environ={})

    folder = tables_folder_beside(config)
    (name,) = set(result.outcome()["source_file"])
    assert (made.to_send, result.counts["succeeded"], again.codes) == (2, 2, {"already_succeeded": 2})
    assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert (folder.stat().st_mode & 0o777, len(list(folder.iterdir()))) == (0o700, 2)


def tables_folder_beside(config: Path) -> Path:
    return config.parent / "state" / "backfill.db-inputs"


def test_a_saved_table_that_changed_is_not_resumed(config: Path, frame: pd.DataFrame) -> None:
    """As with any input, `resume` sends nothing of a file that is not what the run read."""
    run(config, "orders", frame, progress=cancel_after_reading, environ={})
    (saved,) = tables_folder_beside(config).iterdir()
    saved.write_bytes(saved.read_bytes() + b"x")

    with pytest.raises(SourceError, match=r"table-.*\.parquet changed since run"):
        resume(config, environ={})


def test_with_a_ledger_on_a_server_tables_are_saved_beside_the_config(
    config: Path, frame: pd.DataFrame, postgres: PostgresServer
) -> None:
    """A run from Python, its past and its resume need a folder, but no ledger file."""
    url = postgres.database()
    config.write_text(f'{config.read_text("utf-8")}\n[ledger]\nurl = "{url}"\n', "utf-8")
    run(config, "orders", frame, progress=cancel_after_reading, environ={})
    resumed = resume(config, environ={})
    (past,) = runs(config, limit=None, environ={})
    (saved,) = (config.parent / "state").rglob("*.parquet")
    postgres.drop(url)

    assert (resumed.counts["succeeded"], past.run_id) == (2, resumed.run_id)
    assert saved.parent == config.parent / "state" / "inputs"


def cancel_after_reading(progress: RunProgress) -> None:
    if progress.rows:
        progress.cancel()


def test_a_run_that_did_not_begin_keeps_no_table(config: Path, frame: pd.DataFrame) -> None:
    """While another run of the job is active, the table is deleted again."""

    def run_again(progress: RunProgress) -> None:
        if progress.rows and not refused:
            with pytest.raises(RunHeld) as caught:
                run(config, "orders", frame, environ={})
            refused.append(caught.value)

    refused: list[RunHeld] = []
    run(config, "orders", frame, progress=run_again, environ={})

    assert (len(refused), len(list(tables_folder_beside(config).iterdir()))) == (1, 1)


def test_prune_deletes_tables_of_deleted_runs(config: Path, frame: pd.DataFrame) -> None:
    """The table of a run that is kept stays; that of a pruned run, and one without a run, are deleted."""
    run(config, "orders", frame, environ={})
    last = run(config, "orders", frame, environ={})
    folder = tables_folder_beside(config)
    os.utime(save_table(pa.table({"x": [1]}), folder, "stray"), (0, 0))

    assert main(["prune", "--keep", "0", "--config", str(config)]) == 0

    assert {path.name for path in folder.iterdir()} == set(last.outcome()["source_file"])
