"""
Engines: run tasks concurrently, and settings of the Python process that runs them.

Read `threads` (tasks on threads), `processes` (a module in several processes) and `garbage` (the garbage collector). It
imports nothing of ours.
"""
