"""map.columns."""
