"""map.values."""
