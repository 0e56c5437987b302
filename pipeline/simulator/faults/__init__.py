"""simulator.faults."""
