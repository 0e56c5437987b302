"""
The command `backfill`.

Read in this order:

- `main`: entry point, dispatch, exit codes; `interrupts`: Ctrl-C while no run is active
- `parser`: commands and options; `usage`: help, near names, completion
- `run`: `run`, `rerun`, `resume`; `plan`: `plan`
- `past_runs`: `runs`, `show`, `report`
- `totals`, `prune`, `reconcile`, `check`, `init`, `simulate`, `ledger`: the commands of these names
- `worker`: `worker`, and its answers to probes
- `terminal`: what they print: summaries on stdout, logs and progress on stderr

Imports `assemble` and all rooms below it; nothing imports `cli`.
"""
