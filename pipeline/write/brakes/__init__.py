"""write.brakes."""
