"""Agents: one page each. Copy one, change it, name it in an experiment; nothing to register."""
