"""
Commands on past runs.

Read in this order:

- `history`: `runs`, `show`, `report`
- `run_tree`: a run with its reruns and fixes, as lines
- `night`: one report over all runs of a day
"""
