"""Frozen networks and how they are executed: by name, on an engine, compared with plain PyTorch."""
