"""Attacks of other libraries and plain ones, which the reference engine runs."""
