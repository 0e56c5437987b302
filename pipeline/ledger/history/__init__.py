"""
History: what the ledger keeps of runs, and how it is read again and deleted.

Read in this order:

1. `runs`: runs and accounts, and each change of a run's phase. `dues`: the dues of a run as a whole.
2. `inputs`: the input files of a run, and how staged rows are deleted.
3. `skipped_rows`: rows that share an outcome, many in one line of the ledger.
4. `outcomes`: the outcome of each row, for reports.
5. `origins`: which row of an earlier run a fixed row stands for.
6. `run_counts`: rows of a run by status. `rows_left`: how many are not done, over its reruns and fixes.
7. `totals`: the totals of agreements, over all runs.
8. `prune`: deletes old runs. `row_ranges`: short transactions for changes of all lines of a run.

Imports `rules`, `store` and `records`.
"""
