"""Tokens and the audit log, and the messages about them."""
