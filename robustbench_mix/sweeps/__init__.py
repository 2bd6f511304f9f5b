"""Sweeps of many trainings and attacks: definition, plan, scheduling and execution."""
