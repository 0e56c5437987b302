"""The files of a new folder. An existing file is never replaced."""

from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.errors import SettingsError
from pipeline.language import Language, language_in_use, t
from pipeline.simulator import write_client_keys
from pipeline.starter.samples import write_balances, write_orders, write_states, write_tasks

_TEMPLATES = Path(__file__).parent / "templates"
_OWNER_ONLY = 0o600


def _text(name: str, chinese: str | None = None) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        template = chinese if chinese and language_in_use() is Language.CHINESE else name
        path.write_bytes((_TEMPLATES / template).read_bytes())
        path.chmod(_OWNER_ONLY)

    return write


# Writers by path within the folder.
_FILES: Mapping[str, Callable[[Path], None]] = {
    "backfill.toml": _text("backfill.toml", "backfill.zh.toml"),
    "README.md": _text("README.md", "README.zh.md"),
    ".gitignore": _text("gitignore"),
    "exports/orders.csv": write_orders,
    "exports/tasks.parquet": write_tasks,
    "exports/states.csv": write_states,
    "exports/points.xlsx": write_balances,
}


def write_starter(folder: Path) -> list[Path]:
    """
    Write the files into a new or existing folder; return their paths, and that of the key folder.

    Raises SettingsError, before anything is written, if one of them exists or the folder cannot be written.
    """
    there = [name for name in (*_FILES, "keys") if (folder / name).exists()]
    if there:
        raise SettingsError(
            [
                t(
                    "init: {folder} has {there} already, and nothing is replaced; choose another folder",
                    folder=folder,
                    there=", ".join(there),
                )
            ]
        )
    try:
        for name, write in _FILES.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path)
        write_client_keys(folder / "keys")
    except OSError as exc:
        raise SettingsError(
            [
                t(
                    "init: {path}: {reason}; choose a writable folder",
                    path=exc.filename or folder,
                    reason=exc.strerror,
                )
            ]
        ) from exc
    return [*(folder / name for name in _FILES), folder / "keys"]
