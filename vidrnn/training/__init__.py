"""Fitting the temporal model: the loop, checkpoints, whole runs and cross-validation."""
