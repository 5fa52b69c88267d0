"""Reads exported programs, `.pte` files, without PyTorch."""
