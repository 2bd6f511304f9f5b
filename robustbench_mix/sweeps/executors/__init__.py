"""Executors, which run the tasks of a sweep: processes on this machine, or a cluster."""
