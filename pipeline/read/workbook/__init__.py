"""read.workbook."""
