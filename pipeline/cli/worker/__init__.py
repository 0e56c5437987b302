"""
The command `worker`, which sends for runs that other processes began.

Read in this order:

- `worker`: the command, until it is stopped
- `health`: what it answers to probes
"""
