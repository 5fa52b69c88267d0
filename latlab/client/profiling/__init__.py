"""Profiles of networks, from what a lab has measured or predicts."""
