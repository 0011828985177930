"""Metrics, baselines that look at no pixel, and reports."""
