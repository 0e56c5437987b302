"""How many things run at once."""
