"""ledger.staging.duplicates."""
