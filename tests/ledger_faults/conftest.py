"""A platform for each test, and scenes that run commands before it."""

from tests.kills.fixtures import scene, simulator

__all__ = ["scene", "simulator"]
