"""
Engines: run tasks concurrently, and settings of the Python process that runs them.

Read `threads` (tasks on threads), `processes` (processes that end with this one) and `garbage` (the garbage collector).
It imports nothing of ours.
"""
