"""The requests of both clients, and how their answers are read."""
