"""
Parquet files.

`reader` is the entry, `text` turns typed values into text, `int96` decides how old timestamps count. `page_sizes`,
with `compact_thrift`, refuses files that unpack to too much. It imports `read.files` and `read.ports`.
"""
