"""
The fast path: map whole chunks by columns, with the same result as `bind`.

`chunk_mapper` is the entry, and explains the idea. `feeds` and `column_readers`, with `cell_columns`, read a column.
`learner` makes a `template` from one row, `chunk_builder` collects the results, `digests` hashes columns. It imports
all of `map` above it; nothing of `map` imports it.
"""
