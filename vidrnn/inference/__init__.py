"""Using a trained model: on annotated videos and on new ones."""
