"""Networks, their spatial mixers, and where their weights come from."""
