"""
The package `backfill` of the wheel: `import backfill` gives what `pipeline.library` has.

The build puts this folder into the wheel under that name (pyproject.toml); an editable install gets a copy of it.
"""

from pipeline.library import *  # noqa: F403 - the names are those of `__all__`
from pipeline.library import __all__ as __all__
