"""Video files: probing, decoding, sampling and the synthetic demo clips."""
