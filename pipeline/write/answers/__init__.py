"""write.answers."""
