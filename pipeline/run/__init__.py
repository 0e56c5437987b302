"""
One run: stage, deliver, conclude.

Read in this order:

- `run`: the run and its 3 steps; `ports`: the parts that it needs
- `stage`: reading, mapping and staging the inputs; `slices`: the same by several processes
- `fixes`: fixed rows; `wrong_batch`: too many invalid rows
- `plan`: the result of staging without sending; `saved_plan`: a plan in a file, and the checks that it still holds
- `waits`: waits of a run for log and summary; `events`: progress callbacks; `exit_code`: exit codes

Imports `read`, `map`, `write`, `ledger`, `report`, `tables` and the ground.
"""
