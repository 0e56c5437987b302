"""
The command `backfill`.

Read in this order:

- `main`: entry point, dispatch, exit codes; `parser`: commands and options
- `run`: `run`, `rerun`, `resume`; `plan`: `plan`
- `history`: `runs`, `show`, `report`; `totals`: `totals`; `prune`: `prune`; `simulate`: `simulate`
- `ledger`: `ledger copy`
- `summary`: output on stdout; `progress`, `logs`: output on stderr; `streams`: streams that never fail

Imports `assemble` and all rooms below it; nothing imports `cli`.
"""
