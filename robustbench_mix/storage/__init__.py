"""Files: paths, locks, atomic writes, reads that trust nothing, and remote results."""
