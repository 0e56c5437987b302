"""read.json_lines."""
