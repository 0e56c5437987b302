"""
Reconciliation: ask Zhima Go which reports it holds, and settle rows in doubt that it lists.

Read in this order:

1. `targets`: path and query of the two queries, made from a report's body.
2. `listing`: the reports on a page of an answer.
3. `conclusion`: what the listed reports prove about one report.
4. `queries`: one query with its permits and retries.
5. `reconciliation`: the calibration, then all agreements.

The first three are functions from values to values. The facts: docs/platform/alipay-v3-cumulation-query.md. It may
import `write` (attempts, verdicts), `ledger`, `model` and `clock`. It imports no other stage.
"""
