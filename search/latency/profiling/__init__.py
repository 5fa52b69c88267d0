"""Profiles of networks: measured, or predicted where nothing was measured."""
