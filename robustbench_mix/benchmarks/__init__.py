"""Side-by-side measurements against what a user could pick instead."""
