"""A night for each test, those of the acceptance tests: a folder, a config, and simulated platforms."""

from tests.acceptance.conftest import night, simulator

__all__ = ["night", "simulator"]
