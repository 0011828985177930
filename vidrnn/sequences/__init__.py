"""Feature sequences in memory: loading, splits, and the choice of time steps."""
