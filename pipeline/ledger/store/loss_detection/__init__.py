"""
Loss detection: notices that the ledger was restored, lost, replaced or overwritten.

Read in this order:

1. `generations`: how far the ledger has come, as it says itself.
2. `marks`: how far it has come, in files outside of it.
3. `traces`: all that runs left outside, compared with the ledger before a run.
4. `lost_file`: whether the open file is still the ledger, at each commit.

Imports `database` and `port` of the store.
"""
