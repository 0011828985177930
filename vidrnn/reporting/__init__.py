"""The report of a run: one HTML page that opens from disk, with everything in it."""
