"""Experiments that come with the package: each a file with a constant EXPERIMENT, to copy."""
