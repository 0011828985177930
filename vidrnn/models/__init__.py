"""Temporal models: recurrent layers, pooling over time, the classifier and its file."""
