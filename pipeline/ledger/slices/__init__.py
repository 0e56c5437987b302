"""
Slices: the inputs of a run in parts that several processes stage, of any host, with a ledger on a server. Slices of
a plan, which writes nothing, are staged by processes of one host with any ledger.

The driver, which has the job's lease, writes the slices of its run. Any process takes one, stages its rows and writes
them as blocks; it may be done twice, or by two at once. The driver then finds what only all rows together show. Orders
and tasks are decided on and written slice by slice, again by any process; balances and states by the driver.

Read in this order:

1. `table`: the statements of the tables `slices` and `blocks`.
2. `blocks`: a staged chunk, its notes and what is found about it as bytes, and back. `counts`: those of a slice.
3. `slice_ledger`: `SliceLedger`, the ledger as the process uses it that has a slice.
4. `gathering`: the blocks of all slices, as the chunks of the run.
5. `dry_slice`: slices of a plan, and their blocks in spill files.

Imports `staging`, `history`, `rules`, `store` and `records`.
"""
