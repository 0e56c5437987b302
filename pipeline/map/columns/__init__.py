"""
From the cells of a row to the texts of its fields.

`headings` finds a column by name, `field_sources` finds the source of each field, `words` holds the export's words and
the filter. `rounded_ids` finds ids that a spreadsheet rounded. It imports `map.rules`, `map.fields` and `map.values`.
"""
