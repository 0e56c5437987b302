"""
From the text of a cell to the value of a field.

`cells` finds the text of a cell. `conversion` chooses the reader of a field: `amounts`, `ids`, or `times` with
`time_forms`. `plain_texts` and `constraints` serve `by_columns`: they say which texts need no row mapper. It imports
`map.faults`, `map.fields` and `map.rules`.
"""
