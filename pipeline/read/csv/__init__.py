"""
CSV files.

`reader` is the entry. `layout` finds the header and the delimiter. `simple_blocks` reads most blocks by columns with
Arrow. `records`, with `record_lines` and `placeholders`, reads the others record by record, and is the reference. It
imports `read.files`, `read.text` and `read.ports`.
"""
