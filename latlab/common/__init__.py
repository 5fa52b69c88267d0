"""Code that agents and the host share. It travels in the agent's bundle."""
