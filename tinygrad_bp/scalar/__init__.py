"""The scalar graph: what a recorded graph of arrays means in single numbers."""
