"""
Delivery: send each due of the ledger to its platform, at most once, and record its outcome.

Read in this order: `ports` (what the room needs from others), `writer` (lanes and admission), `delivery` (the attempts
of one due), `answers/` (what an answer means), `retry`, `settlement`, then `brakes/`, `keys` and `transport/`.

It may import `ledger` (records, rules), `limits` (permits), `model`, `clock` and `errors`. It imports no other stage:
neither `read` nor `map`.
"""
