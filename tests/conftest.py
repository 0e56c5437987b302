"""The garbage collector leaves alone what lives to the end."""

import gc


def pytest_collection_finish() -> None:
    """Freeze the modules and the tests: there are a million objects, which each full collection would visit."""
    gc.collect()
    gc.freeze()
