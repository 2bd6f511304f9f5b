"""The machine and the process: devices, memory, threads, progress and provenance."""
