"""The Python interface: one evaluation, or a whole curve of a given network."""
