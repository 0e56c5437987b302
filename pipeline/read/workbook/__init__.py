"""
Workbooks (.xlsx, .xls, .ods).

`source` is the reader. `archive` checks sizes and finds failed formulas before it. It imports `read.files`,
`read.fixed_rows` and `read.text`.
"""
