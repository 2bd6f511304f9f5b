"""Many trainings and attacks: what a sweep asks for, its plan, and who does it."""
