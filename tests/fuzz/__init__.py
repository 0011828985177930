"""Damaged videos made on purpose, by a seed: each ends with frames or a named failure, never a hang or a crash."""
