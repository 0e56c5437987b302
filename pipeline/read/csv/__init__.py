"""read.csv."""
