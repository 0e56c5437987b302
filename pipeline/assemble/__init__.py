"""
Builds the parts of a run from config and command line.

Read in this order:

- `runner`: `run`, `rerun`, `resume`; `plan`: `plan`; `reconcile`: `reconcile`
- `senders`: `send_partition`, for runs that another process leads; `work_loop`: what a worker does until it is stopped
- `slicing`: `run_slice`, which any process of any host may call; `dry_slicing`: the same for a plan, on one host
- `saved_plans`: plans in files; `saved_tables`: DataFrames and Arrow tables as inputs that `resume` can read again
- `parts/`: config, ledger, options, the outside world, and the parts of a run
- `reports/`: the report, and files that it must not overwrite

Imports `run`, `settings` and all rooms below; only `cli` and `library` import it.
"""
