"""Runs: one agent on one task with one seed; what describes them, does them, and remains."""
