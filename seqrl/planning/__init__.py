"""Planning: drawing tokens from a model, and searching among what it draws."""
