"""A picture to the network's square: the resize, and the pictures of motion and change."""
