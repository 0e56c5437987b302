"""The garbage collector: how often Python searches for reference cycles."""

import gc

# New objects between two searches. Rows are many thousand tuples without cycles; with Python's default of 700, the
# searches cost a fifth of the CPU time of a points run.
_NEW_OBJECTS = 10_000


def collect_rarely() -> None:
    """Search for reference cycles once in 10,000 new objects, in this whole process."""
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
