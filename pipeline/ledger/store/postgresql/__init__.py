"""
The ledger on a PostgreSQL server.

Four rules make it as safe as a file with one writer. A test races against each of them.

- A. The fence of a run's job is locked in each of its transactions, not only read: a takeover waits for that.
- B. Transactions of one account run one at a time: two jobs can't both find that a delivery is not known.
- C. The server ends a transaction that is idle for some seconds: a frozen process can't block a takeover.
- D. No statement is prepared: a plan that was made while a table was empty would stay in use.

Nothing outlives a transaction on the server's side but tables, so PgBouncer may pool connections by transaction.

Read in this order:

1. `schema`: the tables, and the functions that statements for SQLite need.
2. `connection`: runs the ledger's statements; connects again when the server restarts.
3. `errors`: messages that say what to do.
4. `transactions`: rules A to C, and the fate of a commit whose answer was lost.
5. `quotas`: the quotas of all hosts, on the server's time.
6. `database`: opens all of these.

Imports `store` and `records`. Only this package imports psycopg, the extra `postgres`.
"""
