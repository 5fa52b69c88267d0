"""Accuracy of an Architecture: real images, and a short training on them."""
