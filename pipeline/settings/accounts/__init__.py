"""settings.accounts."""
