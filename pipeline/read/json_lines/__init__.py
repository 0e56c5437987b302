"""
JSON lines.

`reader` is the entry, `values` parses one line. It imports `read.files`, `read.text` and `read.ports`.
"""
