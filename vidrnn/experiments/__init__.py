"""Whole runs over stored features: train, cross-validate, evaluate, search for settings."""
