"""map.by_columns."""
