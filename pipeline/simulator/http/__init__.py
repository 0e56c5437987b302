"""simulator.http."""
