"""Records of runs, and the tables and plots that follow from them."""
