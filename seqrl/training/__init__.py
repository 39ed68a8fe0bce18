"""Training: its settings, its loop, its checkpoints. Knows no agent."""
