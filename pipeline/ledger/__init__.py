"""The durable record of deliveries and runs, kept in SQLite."""
