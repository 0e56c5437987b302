"""read.files."""
