"""How the client finds a lab, and calls it."""
