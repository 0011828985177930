"""Videos to features: supervised decoder processes, batches across videos, results into the store."""
