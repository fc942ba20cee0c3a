"""Synthetic people: the data engine."""
