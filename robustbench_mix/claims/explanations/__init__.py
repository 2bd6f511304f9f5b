"""Tables that explain a gap between twins, from the records alone."""
