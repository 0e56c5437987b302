"""The retry matrix as data: 49 conditions, and the codes of both platforms that some of them are known by."""
