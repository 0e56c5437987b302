"""
The durable record of deliveries and runs: one SQLite file, or a database on a PostgreSQL server.

The promises of the program rest on this room. An intent is on disk before its request leaves; an outcome is on disk
before it is reported; delivered rows are never sent again. docs/ledger.md describes each table, and the state after
a crash at any moment.

Read in this order:

1. `records`: the values that go in and come out.
2. `ledger`: `Ledger`, an open ledger; it finds runs and starts them.
   `database`: the file or the server behind it.
3. `run_ledger`: `RunLedger`, the ledger as one run uses it: stage, deliver, conclude.
4. `dry_run`: `DryRun`, the same staging for `plan`; it writes nothing. `copying`: moves a ledger to another place.
5. `staging`: from mapped chunks to rows and dues. `slices`: the same by several processes.
6. `delivering`: from dues to lanes, intents and settled outcomes.
7. `rules`: may this be sent now? Staging and delivering both ask them.
8. `history`: runs, inputs, outcomes and origins; pruning.
9. `store`: the database: connections, transactions, lease, marks, schema.

Imports: `ledger`, `run_ledger` and `copying` import all rooms here; `slices` imports `staging` and what that may;
`staging` imports `history`, `rules` and `store`; `delivering` imports `database`, `history`, `rules` and `store`;
`history` imports `rules` and `store`; `rules` imports `store`. All may import `records`, `batch_sizes`,
`pipeline.tables`, `pipeline.model`, `pipeline.errors` and `pipeline.clock`.
"""
