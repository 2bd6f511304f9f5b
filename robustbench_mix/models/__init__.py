"""Networks, their spatial mixers, and the sources of their weights."""
