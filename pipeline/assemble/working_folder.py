"""The folder that the command line's relative paths start from."""

from pathlib import Path

from pipeline.errors import SettingsError


def working_folder() -> Path:
    """Return the working directory, or raise SettingsError where somebody has removed it."""
    try:
        return Path.cwd()
    except OSError as exc:
        raise SettingsError(
            [f"the working directory can't be used ({exc.strerror}); change to one that is there"]
        ) from exc
