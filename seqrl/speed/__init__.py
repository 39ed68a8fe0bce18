"""How fast the suite is beside others who do the same work: measured here, never quoted."""
