"""Conversions between messages and nouns, and between gRPC statuses and errors."""
