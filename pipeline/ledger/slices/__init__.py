"""
Slices: the inputs of a run in parts that several processes stage, of any host. Only a ledger on a server has them.

The driver, which has the job's lease, writes the slices of its run. Any process takes one, stages its rows and writes
them as blocks; it may be done twice, or by two at once. The driver then decides on all rows, as for rows that it staged
itself.

Read in this order:

1. `blocks`: a staged chunk and its notes as bytes, and back.
2. `table`: the statements of the tables `slices` and `blocks`.
3. `slice_ledger`: `SliceLedger`, the ledger as the process uses it that has a slice.
4. `gathering`: the blocks of all slices, as the chunks of the run.

Imports `staging`, `history`, `rules`, `store` and `records`.
"""
