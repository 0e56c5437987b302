"""The retry matrix as data: 49 conditions, the rules of most of them, and the codes that some are known by."""
