"""read.text."""
