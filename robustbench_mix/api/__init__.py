"""What Python code calls: one evaluation, or a whole curve of a network at hand."""
