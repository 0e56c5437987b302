"""simulator.state."""
