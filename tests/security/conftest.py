"""Fixtures of the acceptance tests: a workspace with config, keys and simulated platforms."""

from tests.acceptance.conftest import simulator, workspace

__all__ = ["simulator", "workspace"]
