"""Explaining a gradient: the chain rule, path by path and in numbers."""
