"""
Engines: run tasks concurrently, and settings of the Python process that runs them.

Read `threads` (tasks on threads), `processes` (processes of this host that end with this one), `leads` (threads that
speak with such processes), `cluster` (processes on the nodes of a Ray cluster; `ray` is its part that speaks to Ray)
and `garbage` (the garbage collector).

It imports nothing of ours.
"""
