"""report.files."""
