"""Real images to train on."""
