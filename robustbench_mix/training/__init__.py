"""Training networks, and resuming a training that was killed."""
