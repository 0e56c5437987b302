"""
Store: the ledger's database. Nothing here decides about a row.

Read in this order:

0. `port`: what all rooms see of the database, in a file or on a server.
1. `schema`: the tables, and the steps between versions.
2. `database`: opens the file; turns SQLite's errors into messages that say what to do.
3. `transactions`, `group_commit`: one writer at a time, and one commit for many threads.
4. `lease`: one run of a job at a time. `sender_lease`: one sender of a partition at a time.
5. `loss_detection`: notices a ledger that was restored, lost, replaced or overwritten.
6. `space`: a long write-ahead log, and free pages.
7. `quotas`: the file beside the ledger that holds the state of quotas.
8. `spill_file`: temporary files of a run.
9. `postgresql`: the same on a PostgreSQL server; only this imports psycopg.

Imports only `records` of this package.
"""
