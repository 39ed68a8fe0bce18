"""Networks: from token batches to predictions. Knows no agent and no task."""
