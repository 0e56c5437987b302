"""read.find."""
