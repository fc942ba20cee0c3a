"""Metrics, protocols, baselines and the report."""
