"""Moments that are alike: stored features as vectors, and an index of them on disk."""
