"""
Output of the command: the summary on stdout, logs and progress on stderr.

Read in this order:

- `streams`: streams that never fail; `summary`: output on stdout
- `logs`: log lines, for people or as JSON, without secrets
- `snapshot`: the progress of a run at one moment, and its text; `progress`: what is shown, and when
- `display`: the progress on a terminal; the only module that imports `rich`
"""
