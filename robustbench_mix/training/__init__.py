"""Train networks, load trained ones, and resume a training that was killed."""
