"""
Delivery: send each due of the ledger to its platform, at most once, and record its outcome.

Read in this order:

1. `ports`: the protocols that others implement.
2. `writer`: lanes and admission. `lanes`: dues that are admitted together.
3. `delivery`: the attempts of one due. `attempt`, `retry`, `keys`: their permits, repeats and keys.
4. `answers/`: from an answer to a verdict. `settlement`: from verdicts to an outcome.
5. `brakes/`: pause and stop. `transport/`: HTTP.

It may import `ledger` (records, rules), `limits` (permits) and the ground. It imports no other stage.
"""
