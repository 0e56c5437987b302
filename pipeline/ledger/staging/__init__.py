"""ledger.staging."""
