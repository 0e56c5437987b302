"""
Workbooks (.xlsx, .xls, .ods).

`reader` is the entry. `archive` checks sizes and finds failed formulas before it. It imports `read.files`,
`read.fixed_rows`, `read.ports` and `read.text`.
"""
