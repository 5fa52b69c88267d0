"""Metrics, health and traces for operators, and messages to the service manager."""
