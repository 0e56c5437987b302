"""
Rules: may this content be sent now, under this identity? Staging and delivering both ask them.

Read in this order:

1. `admission`: the answer for one delivery and for one balance. No SQL.
2. `known_deliveries`: lookups of many deliveries at once. `cards`: the balances of cards.
3. `dependencies`: refunds wait for payments, states and balances for earlier ones.
4. `objects`: the states of an object.
5. `fixes`: fixed rows; at most one variant of a row counts.
6. `tasks`: the two forms of a task's keys.
7. `measures`: what a delivery adds to the totals of its agreement.

Imports `records` and `store`.
"""
