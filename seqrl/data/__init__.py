"""Where episodes come from: every source ends in the same `Episodes`."""
