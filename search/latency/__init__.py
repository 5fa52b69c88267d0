"""Latencies: predicted and measured by the lab."""
