"""Outcomes as a DataFrame or an Arrow table, for notebooks and scripts."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from pipeline.errors import SourceError
from pipeline.language import t
from pipeline.report.files.csv_lines import unguarded
from pipeline.report.files.record import MOMENTS, OUTCOME_COLUMNS, WHOLE_NUMBERS, OutcomeFormat, columns_of
from pipeline.tables.outcome_page import OutcomePage

# pandas takes a good part of a second to import, and only these functions need it.
if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def read_outcome(path: Path) -> "pd.DataFrame":
    """
    Return the outcomes of a run, one line for each row read, from an outcome file or a report folder.

    All formats give the same types: texts as `string`, whole numbers as nullable `Int64`, times as UTC timestamps; an
    empty trace id is missing. If a folder has several outcome files, the newest is read. Raises SourceError if there
    is none.
    """
    file = _newest_outcome_file(path) if path.is_dir() else path
    if not file.is_file():
        raise SourceError(t("{file} does not exist; give an outcome file or a report folder", file=file))
    match file.suffix.removeprefix("."):
        case OutcomeFormat.CSV:
            return _typed(_read_csv(file))
        case OutcomeFormat.JSONL:
            return _typed(_read_jsonl(file))
        case OutcomeFormat.PARQUET:
            return _typed(_read_parquet(file))
    raise SourceError(
        t(
            "{file} is not an outcome file; its name must end in {formats}",
            file=file,
            formats=", ".join(OutcomeFormat),
        )
    )


def outcome_frame(run_id: str, job: str, pages: Iterable[OutcomePage]) -> "pd.DataFrame":
    """Return outcomes as `read_outcome` does, without a file."""
    import pandas as pd  # noqa: PLC0415 - see the top

    columns: list[list[object]] = [[] for _ in OUTCOME_COLUMNS]
    for page in pages:
        for column, values in zip(columns, columns_of(run_id, job, page), strict=True):
            column.extend(values)
    named = zip(OUTCOME_COLUMNS, columns, strict=True)
    return _typed(pd.DataFrame({name: pd.Series(values, dtype="object") for name, values in named}))


def outcome_table(frame: "pd.DataFrame") -> "pa.Table":
    """Return outcomes as an Arrow table: texts, whole numbers of 64 bits, and times in UTC with milliseconds."""
    import pyarrow as pa  # noqa: PLC0415 - as pandas

    kinds = dict.fromkeys(WHOLE_NUMBERS, pa.int64()) | dict.fromkeys(MOMENTS, pa.timestamp("ms", "UTC"))
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in OUTCOME_COLUMNS])
    return pa.Table.from_pandas(frame, schema, preserve_index=False).replace_schema_metadata()


def _newest_outcome_file(folder: Path) -> Path:
    files = [file for form in OutcomeFormat if (file := folder / f"outcome.{form}").is_file()]
    if not files:
        raise SourceError(
            t("{folder} has no outcome file; `backfill report RUN --output {folder}` writes one", folder=folder)
        )
    return max(files, key=lambda file: file.stat().st_mtime_ns)


def _read_csv(file: Path) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - see the top

    frame = pd.read_csv(file, dtype="string", na_filter=False, encoding="utf-8")
    for name in OUTCOME_COLUMNS:
        frame[name] = frame[name].map(unguarded)
    return frame


def _read_jsonl(file: Path) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - see the top

    with file.open("rb") as lines:
        return pd.DataFrame(map(orjson.loads, lines), columns=list(OUTCOME_COLUMNS), dtype="object")


def _read_parquet(file: Path) -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - see the top

    # Without this, a parent folder such as run=1 would become a column.
    return pd.read_parquet(file, dtype_backend="numpy_nullable", partitioning=None)


def _typed(frame: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd  # noqa: PLC0415 - see the top

    for name in OUTCOME_COLUMNS:
        texts = frame[name].astype("string")
        known = texts.mask(texts == "")
        if name in WHOLE_NUMBERS:
            frame[name] = known.astype("Int64")
        elif name in MOMENTS:
            frame[name] = pd.to_datetime(known, utc=True, format="ISO8601").astype("datetime64[ns, UTC]")
        else:
            frame[name] = known if name == "trace_id" else texts
    return frame
