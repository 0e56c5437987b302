"""The working directory: the base of relative paths on the command line."""

from pathlib import Path

from pipeline.errors import SettingsError


def working_folder() -> Path:
    """Return the working directory. Raises SettingsError if it was removed."""
    try:
        return Path.cwd()
    except OSError as exc:
        raise SettingsError([f"can't use the working directory ({exc.strerror}); change to an existing one"]) from exc
