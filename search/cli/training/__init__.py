"""The command `latlab train`."""
