"""read.parquet."""
