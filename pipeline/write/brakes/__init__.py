"""
Brakes: the conditions under which a run pauses, or stops itself.

Read `run_control` (the flag that ends a run), `circuit_breaker` (pauses during an outage), `failure_streaks` (equal
failures that end a run).

It may import `answers.verdict`, `model` and `clock`.
"""
