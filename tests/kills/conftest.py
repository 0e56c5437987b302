"""A platform for each test, and scenes that play before it."""

from tests.kills.fixtures import scene, simulator

__all__ = ["scene", "simulator"]
