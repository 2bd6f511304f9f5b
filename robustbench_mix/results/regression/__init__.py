"""Baselines of the regression gate, and runs held against them."""
