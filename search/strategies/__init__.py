"""Strategies, which propose architectures and learn from their trials."""
