"""
Input tables of the Python API, saved as Parquet beside the ledger, so that `resume` can read them again.

A table stays as long as its run is in the ledger; `prune` deletes both.
"""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.ledger.ledger import Ledger
from pipeline.report.files.folder import PendingFiles
from pipeline.settings import Config

# Small pages and no dictionaries, because the reader has bounds for what they unpack to.
_GROUP_ROWS, _ROWS_AT_ONCE = 1 << 16, 4


def save_table(table: pa.Table, folder: Path, table_id: str) -> Path:
    """
    Write a table into the folder, which only its owner can read; return the file. It is on disk then.

    Raises ValueError if Parquet can't keep the table, and SettingsError if the folder is not writable.
    """
    file = folder / f"table-{table_id}.parquet"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with PendingFiles(folder) as pending:
            pq.write_table(
                table,
                pending.begin(file.name, private=True),
                compression="zstd",
                use_dictionary=False,
                row_group_size=_GROUP_ROWS,
                write_batch_size=_ROWS_AT_ONCE,
            )
    except OSError as exc:
        reason = exc.strerror or exc
        raise SettingsError(
            [t("can't save the input table in {folder}: {reason}", folder=folder, reason=reason)]
        ) from exc
    except pa.ArrowException as exc:
        raise ValueError(
            t("inputs can't be saved as Parquet: {reason}; convert or drop that column", reason=exc)
        ) from exc
    return file


def tables_folder(config: Config) -> Path:
    """Return the folder of the saved tables: beside the ledger's file, or beside the config."""
    if config.ledger_server is not None:
        return config.folder / "state" / "inputs"
    return config.ledger_path.with_name(f"{config.ledger_path.name}-inputs")


def delete_tables(config: Config, ledger: Ledger, before: datetime) -> None:
    """Delete the tables that were written before a moment, and that no run of the ledger has as its input."""
    folder = tables_folder(config)
    options = [run.options for run in ledger.recent()]
    needed = {Path(each["base"], name) for each in options for name in each["inputs"]}
    # A crash between saving and the run's begin leaves a table without a run.
    with suppress(OSError):
        for file in set(folder.glob("table-*.parquet")) - needed:
            if file.stat().st_mtime < before.timestamp():
                file.unlink()
