"""Benchmarks against the alternatives, measured side by side."""
