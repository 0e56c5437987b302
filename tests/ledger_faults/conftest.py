"""A platform for each test, and scenes that run commands before it."""

from tests.kills.fixtures import new_workspace, simulator

__all__ = ["new_workspace", "simulator"]
