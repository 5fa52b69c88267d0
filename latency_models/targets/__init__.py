"""Predict latencies on one target with the help of others."""
