"""
Duplicates: rows of one run that come twice, or contradict one another.

`find` notes a few numbers for each row while chunks are read. `partitions` groups these by hash, with bounded memory.
`deduplicate` compares the entries of each group, and writes what it finds into `rulings`, a byte for each row.
"""
