"""
Staging: from mapped chunks to rows and dues in the ledger.

`Staging.add` takes each chunk when it is read. Chunks wait in a spill file until all inputs are read, since only then
the first row of a key or the newest balance of a card is known. `decide` then decides on each chunk and writes it.

Read in this order:

1. `staged_chunk`: a chunk, and the decision on each of its rows.
2. `staging`: collects chunks, and finds what only all rows together show.
3. `decide`: the decision on a chunk, and its lines in the ledger.
4. `duplicates`: rows that come twice.
5. `balances`, `unchanged_balances`: points. `states`, `sequence`: states. `refunds`. `recognition`: fixed rows.
6. `rerun`: copies open rows of another run, instead of reading inputs.
7. `changes`: compares a dry run with an earlier run.

Imports `history`, `rules`, `store` and `records`.
"""
