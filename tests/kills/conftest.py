"""Fixtures: the simulator and new workspaces."""

from tests.kills.fixtures import new_workspace, simulator

__all__ = ["new_workspace", "simulator"]
