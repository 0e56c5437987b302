"""simulator.apis."""
