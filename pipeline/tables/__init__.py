"""
The tables that the stages pass on, as columns.

In the order of the data flow:

- `text_columns`: columns of text; `rows`: other Arrow columns
- `chunk`: rows as read
- `mapped_chunk`: rows as mapped, with their payloads
- `outcome_page`: outcomes of rows; `fault_groups`: their faults in groups
- `agreement_totals`: totals of agreements
- `row_mark`: the `_row` column of fixed rows

Imports `model` and `redact` only.
"""
