"""How much of the lab each owner uses."""
