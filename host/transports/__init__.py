"""How the lab reaches a device's agent: one file for each way."""
