"""`latlab profile`: the command, the networks side by side, and their tables."""
