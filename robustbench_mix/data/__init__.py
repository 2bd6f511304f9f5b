"""Data sets as tensors, by name or from a folder of images."""
