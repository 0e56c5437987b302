"""
Builds the parts of a run from config and command line.

Read in this order:

- `runner`: `run`, `rerun`, `resume`; `plan`: `plan`; `saved_plans`: plans in files
- `nothing_done`: reruns and resumes without rows
- `system`, `run_options`: the outside world, and the options of a run
- `opening`, `ledgers`: config and ledger
- `new_run`, `sender`, `platform`: parts of a run
- `saved_tables`: DataFrames and Arrow tables as inputs that `resume` can read again
- `totals`: totals of agreements
- `reporting`, `page_context`, `protected_files`: the report, and files that it must not overwrite

Imports `run`, `settings` and all rooms below; only `cli` and `library` import it.
"""
