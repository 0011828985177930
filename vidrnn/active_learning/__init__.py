"""Which unlabelled videos are worth labelling: how uncertain a model is of each, and how unlike they are."""
