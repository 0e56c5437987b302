"""How often Python looks for garbage that its counts of references miss: objects that hold each other in a circle."""

import gc

# Pages of rows are many thousand tuples and no circles. Looked through for every 700 new ones, as is Python's way, they
# cost a fifth of a night's points.
_NEW_OBJECTS = 10_000


def look_seldom() -> None:
    """Look for circles once in some thousand new objects, in this whole process."""
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
