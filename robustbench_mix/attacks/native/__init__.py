"""Our own batched attacks, which the fast engine runs."""
