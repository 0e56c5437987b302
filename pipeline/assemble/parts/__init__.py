"""
The parts that each command needs.

Read in this order:

- `opening`, `ledgers`: config and ledger
- `system`, `run_options`: the outside world, and the options of a run
- `platform`: signer, transport and merchant of an account
- `new_run`, `sender`: a run to begin, and what sends its rows
- `shared_sender`, `helpers`: a run that several processes send, and the other ones of this host
- `cluster_workers`: other ones on the nodes of a cluster
"""
