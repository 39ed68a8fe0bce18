"""The shared layer: an agent declares one step as parts; tokens, windows and decoding follow."""
