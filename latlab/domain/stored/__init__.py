"""Stored measurements and visits, as lists show them."""
