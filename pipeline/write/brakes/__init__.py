"""
Brakes: the conditions under which a run pauses, or stops itself.

Read `run_control` (the flag that ends a run), `circuit_breaker` (pauses during an outage), `failure_streaks` (equal
failures that end a run), `shared_control` (a run that several processes send).

It may import `answers.verdict`, `ledger.records`, `model` and `clock`.
"""
