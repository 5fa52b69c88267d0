"""Check and clean what devices say, before anything else uses it."""
