"""Attacks, their one contract, and what they share: norms, losses and randomness."""
