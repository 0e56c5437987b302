"""
The tables of jobs.

`job` reads a whole job. `export_words` reads `values` and `filter`, `zones` suggests names of time zones. It imports
`model`, `resources` and the modules of `settings` above it, but not `accounts`.
"""
