"""Synthetic people: a data engine that draws clothed, animated people with exact ground truth."""
