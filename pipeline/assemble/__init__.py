"""
Builds the parts of a run from config and command line.

Read in this order:

- `runner`: `run`, `rerun`, `resume`; `plan`: `plan`; `nothing_done`: reruns and resumes without rows
- `system`, `run_options`, `row_limits`: the outside world, and the options of a run
- `opening`, `ledgers`, `traces`: config and ledger
- `new_run`, `sender`, `platform`, `transports`: parts of a run
- `reporting`, `page_context`, `protected_files`, `working_folder`: the report, and files that it must not overwrite

Imports `run`, `settings` and all rooms below; only `cli` and `library` import it.
"""
