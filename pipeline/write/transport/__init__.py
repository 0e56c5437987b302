"""write.transport."""
