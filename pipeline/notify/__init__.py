"""
What others learn of a run: messages for people, metrics, traces and lineage events for machines.

Read in this order:

- `run_end`: how a run ended, and how the job's run before it had ended
- `message`: which receivers want a message, and its text
- `channels/`: messages to robots, web servers and mail servers
- `telemetry/`: metrics as a file and by OTLP, traces by OTLP, lineage events by OpenLineage
- `background`: threads with a time limit, because nothing here may fail or delay a run
- `notices`: the front door; collects what a command's runs did, and sends it

Imports `settings` (receivers), `ledger`, `report` (the summary), and the ground. It writes nothing to the ledger.
"""
