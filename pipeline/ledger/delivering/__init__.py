"""ledger.delivering."""
