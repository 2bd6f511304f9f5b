"""Our runs as RobustBench's entries, and its entries beside our runs."""
