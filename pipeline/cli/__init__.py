"""
The command `backfill`.

Read in this order:

- `main`: entry point, dispatch, exit codes; `parser`: commands and options; `usage`: help, near names, completion
- `run`: `run`, `rerun`, `resume`; `plan`: `plan`
- `history`: `runs`, `show`, `report`, with `run_tree` and `night`; `totals`: `totals`; `prune`: `prune`; `simulate`:
  `simulate`; `ledger`: `ledger copy`
- `terminal`: what they print: summaries on stdout, logs and progress on stderr

Imports `assemble` and all rooms below it; nothing imports `cli`.
"""
