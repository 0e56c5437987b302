"""
JSON lines.

`source` is the reader, `values` parses one line. It imports `read.files`, `read.text` and `read.ports`.
"""
