"""
Delivering: the dues of a run as lanes, their intents, and their settled outcomes.

Read `queue` first (which dues go in which order), then `deliveries` (intents and settlements in one transaction),
then `questions` (dues about which the platform can be asked).
`sending` is what a process uses of them that sends for a run. Where several do, each has `partitions` of the queue and
shares `shared_state`; `sender_ledger` is the ledger as one of them uses it.
Imports `history`, `rules`, `store`, `database` and `records`.
"""
