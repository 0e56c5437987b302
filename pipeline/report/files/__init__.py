"""
The files of a report.

- `folder`: files that appear whole or not at all
- `record`: columns of the outcome file
- `outcome_file`, `csv_lines`, `parquet_file`: the outcome file in each format
- `rows_to_fix`, `workbook`: the rows to fix, as CSV and as .xlsx
- `totals_file`: totals of agreements in each format
- `reading`: the outcome file as a DataFrame

Imports nothing of ours beside what `report` may import.
"""
