"""Files: paths, locks, whole writes, wary reads, and folders elsewhere."""
